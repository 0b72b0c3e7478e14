"""`vision segment`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from visioncli.cli.help import Command
from visioncli.cli.options import (
    MODEL,
    Crops,
    DetectAnswers,
    Inputs,
    Network,
    Outputs,
    SegmentOutputs,
    class_list,
    takes,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """\
vision segment photo.jpg
vision segment street.mp4 --kind semantic --masks masks/
vision segment portrait.jpg --classes person --background blur
vision segment photos/ --jsonl masks.jsonl --polygons --no-media"""


class Kind(StrEnum):
    """A mask for each object, or a class for every pixel."""

    instance = "instance"
    semantic = "semantic"


@dataclass(frozen=True)
class Kinds:
    """What is wanted where no model is named."""

    kind: Annotated[
        Kind,
        typer.Option(
            "--kind",
            help="Without --model: a mask for each object, or a class for every pixel.",
            rich_help_panel=MODEL,
        ),
    ] = Kind.instance


@app.command(cls=Command, epilog=EXAMPLES)
@takes(Inputs, Network, Kinds, DetectAnswers, SegmentOutputs, Crops, Outputs)
def segment(
    inputs: Inputs,
    network: Network,
    kinds: Kinds,
    answers: DetectAnswers,
    shapes: SegmentOutputs,
    crops: Crops,
    outputs: Outputs,
) -> None:
    """Find which pixels are what: a mask for each object (instance), or a class for every pixel (semantic).

    Prints a table and writes annotated copies to vision-out/. In a pipe: tab-separated lines, one an object
    or a class.
    """
    from visioncli.cli.run import run

    run(
        "segment",
        inputs,
        network,
        outputs,
        default=f"segment-{kinds.kind}",
        crops=crops.crops,
        shapes=shapes,
        conf=answers.conf,
        iou=answers.iou,
        max_det=answers.max_det,
        classes=class_list(answers.classes),
        agnostic_nms=answers.agnostic_nms,
    )
