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
    from visioncli.track.config import TrackerConfig
    from visioncli.track.count import Counting
    from visioncli.track.reid import Encoder
    from visioncli.track.saved import Saved

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

TRACK, COUNT = "Tracks", "Counts"

EXAMPLES = """\
vision track cars.mp4
vision track --video shop.mp4 --classes person --tracker bytetrack --jsonl tracks.jsonl
vision track cars.mp4 --set track_buffer=60 --set new_track_thresh=0.5
vision track cars.mp4 --detections found.jsonl --tracker ocsort --mot tracks.txt
vision track street.mp4 --line 0,0.6,1,0.6,street --events crossings.csv"""


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
    reid: Annotated[
        str | None,
        typer.Option(
            "--reid",
            metavar="off|auto|FILE",
            help="Tell objects apart by their looks too: by the detector's own features, or by a network "
            "in a file (ONNX, TorchScript) on their crops. off if not given.",
            show_default=False,
            rich_help_panel=TRACK,
        ),
    ] = None
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


@dataclass(frozen=True)
class Counts:
    """What to count, and how far back to draw."""

    line: Annotated[
        list[str],
        typer.Option(
            "--line",
            metavar="X1,Y1,X2,Y2[,NAME]",
            help="Count what crosses a line; from its left to its right is in. Pixels, or shares (0 to 1).",
            show_default=False,
            rich_help_panel=COUNT,
        ),
    ] = field(default_factory=list)
    zone: Annotated[
        Path | None,
        typer.Option(
            "--zone",
            metavar="FILE",
            help='Count visits to the polygons in a JSON file: {"door": [[x, y], ...]}.',
            show_default=False,
            rich_help_panel=COUNT,
        ),
    ] = None
    events: Annotated[
        str | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Crossings, entries and exits as CSV.",
            show_default=False,
            rich_help_panel=COUNT,
        ),
    ] = None
    trail: Annotated[
        float,
        typer.Option(
            "--trail",
            min=0,
            metavar="SECONDS",
            help="How far back the trails reach that are drawn; 0 for none.",
            rich_help_panel=OUTPUT,
        ),
    ] = 2.0


@app.command(cls=Command, epilog=EXAMPLES)
@takes(Inputs, Network, TrackAnswers, Trackers, Counts, Outputs)
def track(
    inputs: Inputs,
    network: Network,
    answers: TrackAnswers,
    trackers: Trackers,
    counts: Counts,
    outputs: Outputs,
) -> None:
    """Follow objects through video: boxes with labels and ids that stay.

    Prints a summary and writes an annotated copy to vision-out/. In a pipe: tab-separated lines, one a box.
    """
    from visioncli.cli.run import run
    from visioncli.track.config import configure, parse_sets
    from visioncli.track.follow import Tracking

    config = configure(
        trackers.tracker,
        file=trackers.tracker_config,
        sets=parse_sets(trackers.set),
        conf=answers.conf,
        reid=trackers.reid,
    )
    run(
        "track",
        inputs,
        network,
        outputs,
        tracking=Tracking(
            config, smooth=trackers.smooth, saved=_saved(trackers, network, config), encoder=_encoder(config)
        ),
        mot=trackers.mot,
        counting=_counting(counts, config),
        trail=counts.trail,
        events=counts.events,
        conf=config.lowest,
        iou=answers.iou,
        max_det=answers.max_det,
        classes=class_list(answers.classes),
        agnostic_nms=answers.agnostic_nms,
    )


def _saved(trackers: Trackers, network: Network, config: TrackerConfig) -> Saved | None:
    """The detections of an earlier run, where they are given."""
    if trackers.detections is None:
        return None
    if network.model is not None:
        raise UsageError("--detections takes the place of a model", hint="leave out --model")
    if config.reid == "auto":
        raise UsageError("saved detections have no features of appearance", hint="--reid FILE, or off")
    from visioncli.track.saved import open_saved

    return open_saved(trackers.detections)


def _encoder(config: TrackerConfig) -> Encoder | None:
    """The network of `--reid FILE`."""
    if config.reid in ("off", "auto"):
        return None
    from visioncli.track.reid import Encoder

    return Encoder(Path(config.reid))


def _counting(counts: Counts, config: TrackerConfig) -> Counting:
    """What to count at, checked before any work."""
    from visioncli.track.config import BUFFER_RATE
    from visioncli.track.count import Counting
    from visioncli.track.counting import PATIENCE
    from visioncli.track.shapes import check_names, parse_line, read_zones

    lines = [parse_line(text, number) for number, text in enumerate(counts.line, 1)]
    zones = [] if counts.zone is None else read_zones(counts.zone)
    check_names(lines, zones)
    # As long as the tracker waits, and a little: then the track's id does not come back.
    waits = float(config.values["track_buffer"]) / BUFFER_RATE
    return Counting(lines, zones, max(PATIENCE, 1.1 * waits))
