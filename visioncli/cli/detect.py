"""`vision detect`."""

from __future__ import annotations

import typer

from visioncli.cli.help import Command
from visioncli.cli.options import (
    Crops,
    DetectAnswers,
    Inputs,
    Network,
    Outputs,
    Thresholds,
    class_list,
    takes,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """\
vision detect photo.jpg
vision detect --video cars.mp4 --classes car,truck
find . -name '*.jpg' -print0 | vision detect -0 - --jsonl out.jsonl --no-media"""


@app.command(cls=Command, epilog=EXAMPLES)
@takes(Inputs, Network, DetectAnswers, Thresholds, Crops, Outputs)
def detect(
    inputs: Inputs,
    network: Network,
    answers: DetectAnswers,
    thresholds: Thresholds,
    crops: Crops,
    outputs: Outputs,
) -> None:
    """Find objects: boxes with labels and scores, in pictures and video.

    Prints a table and writes annotated copies to vision-out/. In a pipe: tab-separated lines, one an object.
    """
    from visioncli.cli.run import run

    run(
        "detect",
        inputs,
        network,
        outputs,
        crops=crops.crops,
        conf=answers.conf,
        iou=answers.iou,
        max_det=answers.max_det,
        classes=class_list(answers.classes),
        agnostic_nms=answers.agnostic_nms,
        thresholds=thresholds.by_label(),
    )
