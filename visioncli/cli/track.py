"""`vision track`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visioncli.cli.help import Command
from visioncli.cli.options import ANSWER, OUTPUT, DetectAnswers, Inputs, Network, Outputs, class_list, takes
from visioncli.errors import UsageError
from visioncli.track import TRACKERS

if TYPE_CHECKING:
    from visioncli.track.saved import Saved

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

TRACK = "Tracks"

EXAMPLES = """\
vision track cars.mp4
vision track --video shop.mp4 --classes person --tracker bytetrack --jsonl tracks.jsonl
vision track cars.mp4 --set track_buffer=60 --set new_track_thresh=0.5"""


@dataclass(frozen=True)
class TrackAnswers(DetectAnswers):
    """Which objects count."""

    conf: Annotated[
        float | None,
        typer.Option(
            "--conf",
            min=0,
            max=1,
            metavar="X",
            help="Score that begins a track; weaker boxes may continue it. The tracker's own if not given.",
            show_default=False,
            rich_help_panel=ANSWER,
        ),
    ] = None  # type: ignore[assignment]  # the other commands have a number for all models


@dataclass(frozen=True)
class Trackers:
    """Which tracker, with which parameters."""

    tracker: Annotated[
        str | None,
        typer.Option(
            "--tracker",
            metavar="NAME",
            help=f"{', '.join(TRACKERS)}; {TRACKERS[0]} if not given.",
            autocompletion=lambda incomplete: [t for t in TRACKERS if t.startswith(incomplete)],
            show_default=False,
            rich_help_panel=TRACK,
        ),
    ] = None
    tracker_config: Annotated[
        Path | None,
        typer.Option(
            "--tracker-config",
            metavar="FILE",
            help="Its parameters, a YAML file as Ultralytics writes them.",
            show_default=False,
            rich_help_panel=TRACK,
        ),
    ] = None
    set: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="KEY=VALUE", help="One parameter, like track_buffer=60.", rich_help_panel=TRACK
        ),
    ] = field(default_factory=list)
    smooth: Annotated[
        bool,
        typer.Option(
            "--smooth", help="Boxes of the tracker's filter, not the detections' own.", rich_help_panel=TRACK
        ),
    ] = False
    detections: Annotated[
        Path | None,
        typer.Option(
            "--detections",
            metavar="FILE",
            help="Track what an earlier run found, without a network: its record (vision detect --conf 0.1 "
            "--jsonl FILE), or MOTChallenge's det.txt.",
            show_default=False,
            rich_help_panel=TRACK,
        ),
    ] = None
    mot: Annotated[
        str | None,
        typer.Option(
            "--mot",
            metavar="FILE|DIR",
            help="Tracks as MOTChallenge writes them; in a folder one file a video.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None


@app.command(cls=Command, epilog=EXAMPLES)
@takes(Inputs, Network, TrackAnswers, Trackers, Outputs)
def track(
    inputs: Inputs, network: Network, answers: TrackAnswers, trackers: Trackers, outputs: Outputs
) -> None:
    """Follow objects through video: boxes with labels and ids that stay.

    Prints a summary and writes an annotated copy to vision-out/. In a pipe: tab-separated lines, one a box.
    """
    from visioncli.cli.run import run
    from visioncli.track.config import configure
    from visioncli.track.follow import Tracking

    config = configure(trackers.tracker, file=trackers.tracker_config, sets=trackers.set, conf=answers.conf)
    run(
        "track",
        inputs,
        network,
        outputs,
        tracking=Tracking(config, smooth=trackers.smooth, saved=_saved(trackers, network)),
        mot=trackers.mot,
        conf=config.lowest,
        iou=answers.iou,
        max_det=answers.max_det,
        classes=class_list(answers.classes),
        agnostic_nms=answers.agnostic_nms,
    )


def _saved(trackers: Trackers, network: Network) -> Saved | None:
    """The detections of an earlier run, where they are given."""
    if trackers.detections is None:
        return None
    if network.model is not None:
        raise UsageError("--detections takes the place of a model", hint="leave out --model")
    from visioncli.track.saved import open_saved

    return open_saved(trackers.detections)
