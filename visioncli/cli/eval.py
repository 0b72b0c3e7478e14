"""`vision eval`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from visioncli.cli.help import Command
from visioncli.cli.options import (
    ANSWER,
    INPUT,
    OUTPUT,
    Config,
    Debug,
    Force,
    Iou,
    MaxDet,
    Network,
    Quiet,
    Verbose,
    takes,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """\
vision eval detect --data coco/val2017 --model yolo26n --report report/
vision eval classify --data imagenet/val --model resnet50 --json
vision eval detect --data my/data.yaml --model best.pt --sweep thresholds.json
vision eval track --data MOT17/train --records tracks/"""


class Task(StrEnum):
    """What is evaluated."""

    classify = "classify"
    detect = "detect"
    segment = "segment"
    track = "track"


@dataclass(frozen=True)
class Data:
    """The data set, and answers that were saved."""

    task: Annotated[
        Task,
        typer.Argument(
            metavar="TASK",
            help="classify, detect, segment or track.",
            rich_help_panel=INPUT,
            show_default=False,
        ),
    ]
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="PATH",
            help="COCO JSON, YOLO data.yaml, VOC, ImageFolder, a folder with labels.csv, MOTChallenge "
            "or mask folders.",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ]
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME", help="Of data sets in parts; val if not given.", rich_help_panel=INPUT
        ),
    ] = None
    records: Annotated[
        Path | None,
        typer.Option(
            "--records",
            metavar="FILE",
            help="Saved answers instead of a model: a record, COCO results, MOT files, a folder of masks.",
            rich_help_panel=INPUT,
        ),
    ] = None


@dataclass(frozen=True)
class EvalAnswers:
    """Which answers count."""

    conf: Annotated[
        float | None,
        typer.Option(
            "--conf",
            min=0,
            max=1,
            metavar="X",
            help="Lowest score; 0.001 if not given, for tracks the tracker's own.",
            show_default=False,
            rich_help_panel=ANSWER,
        ),
    ] = None
    iou: Iou = None
    max_det: MaxDet = 300


@dataclass(frozen=True)
class EvalOutputs:
    """Where figures go."""

    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="A page with figures, curves and the worst mistakes, as DIR/index.html.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout.", rich_help_panel=OUTPUT)
    ] = False
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="The answers, as COCO results.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    sweep: Annotated[
        Path | None,
        typer.Option(
            "--sweep",
            metavar="FILE",
            help="The score threshold with the best F1 of each class, for detect --conf-file.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    force: Force = False
    quiet: Quiet = False
    verbose: Verbose = False
    debug: Debug = False
    config: Config = None


@app.command("eval", cls=Command, epilog=EXAMPLES)
@takes(Data, Network, EvalAnswers, EvalOutputs)
def evaluate(data: Data, network: Network, answers: EvalAnswers, outputs: EvalOutputs) -> None:
    """Measure a model, or saved answers, on a data set: the figures that everyone quotes.

    Needs the extra packages of visioncli[eval] for boxes and tracks. In a pipe: tab-separated lines.
    """
    from visioncli.cli.eval_run import run

    run(data, network, answers, outputs)
