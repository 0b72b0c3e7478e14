"""The option groups that commands share: each option is written once, here.

A command takes whole groups: `@command(Inputs, Network, Answers, Outputs)` gives its function one argument a
group. What typer sees is the flat list of their fields.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from visioncli import config
from visioncli.errors import UsageError

LARGEST = 16_384  # px a side; beyond it a single picture takes more memory than machines have
INPUT, MODEL, ANSWER, OUTPUT, MORE = "Input", "Model", "Answer", "Output", "More"


def _models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Shell completion of `--model`: the models that the command at hand can run."""
    from visioncli.registry.lookup import every, same_command

    task = ctx.info_name or ""
    return [c.name for c in every() if c.name.startswith(incomplete) and same_command(c.task, task)]


# Options of several groups.
Recursive = Annotated[
    bool, typer.Option("-r", "--recursive", help="Go into sub-folders.", rich_help_panel=INPUT)
]
Iou = Annotated[
    float | None,
    typer.Option(
        "--iou",
        metavar="X",
        min=0,
        max=1,
        help="Overlap above which the weaker of two boxes goes; the library's default if not given.",
        show_default=False,
        rich_help_panel=ANSWER,
    ),
]
MaxDet = Annotated[
    int,
    typer.Option("--max-det", min=1, metavar="N", help="Most objects a picture.", rich_help_panel=ANSWER),
]
Force = Annotated[
    bool, typer.Option("-f", "--force", help="Overwrite files that you named.", rich_help_panel=OUTPUT)
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Errors only.", rich_help_panel=MORE)]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.", rich_help_panel=MORE)]
Debug = Annotated[bool, typer.Option("--debug", help="Tracebacks.", rich_help_panel=MORE)]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Defaults of options, instead of vision.toml.",
        is_eager=True,
        callback=config.apply,
        rich_help_panel=MORE,
    ),
]


@dataclass(frozen=True)
class Inputs:
    """What to look at."""

    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files, folders, 'globs', addresses, - for stdin (a picture, a video or a list of names), "
            "or camera numbers.",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ] = field(default_factory=list)
    image: Annotated[
        list[str], typer.Option("--image", metavar="FILE", help="A picture.", rich_help_panel=INPUT)
    ] = field(default_factory=list)
    video: Annotated[
        list[str], typer.Option("--video", metavar="FILE", help="A video.", rich_help_panel=INPUT)
    ] = field(default_factory=list)
    dir: Annotated[
        list[str], typer.Option("--dir", metavar="DIR", help="A folder.", rich_help_panel=INPUT)
    ] = field(default_factory=list)
    from_file: Annotated[
        list[str],
        typer.Option(
            "--from-file", metavar="LIST", help="A file with one input a line.", rich_help_panel=INPUT
        ),
    ] = field(default_factory=list)
    null: Annotated[
        bool,
        typer.Option(
            "-0", "--null", help="Lists are separated by NUL (find -print0).", rich_help_panel=INPUT
        ),
    ] = False
    recursive: Recursive = False
    stride: Annotated[
        int, typer.Option("--stride", min=1, metavar="N", help="Every Nth frame.", rich_help_panel=INPUT)
    ] = 1
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="T", help="Begin at T: seconds or h:mm:ss.", rich_help_panel=INPUT),
    ] = None
    end: Annotated[
        str | None,
        typer.Option("--end", metavar="T", help="Stop at T: seconds or h:mm:ss.", rich_help_panel=INPUT),
    ] = None


@dataclass(frozen=True)
class Network:
    """Which model, and how it runs."""

    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="NAME",
            help="A name of `vision models list`, NAME:WEIGHTS, or a checkpoint's path.",
            autocompletion=_models,
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None
    device: Annotated[
        str,
        typer.Option(
            "--device",
            metavar="auto|cpu|cuda[:N,…]|mps",
            help="Where it runs; cuda:0,1 is two GPUs.",
            rich_help_panel=MODEL,
        ),
    ] = "auto"
    batch: Annotated[
        str,
        typer.Option(
            "--batch",
            metavar="N|auto",
            help="Pictures at a time; auto suits the device. It changes no answer.",
            rich_help_panel=MODEL,
        ),
    ] = "auto"
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="auto|fp32|bf16|fp16",
            help="fp32 is the library's own.",
            rich_help_panel=MODEL,
        ),
    ] = "auto"
    runtime: Annotated[
        str,
        typer.Option("--runtime", metavar="auto|torch|openvino", help="What runs it.", rich_help_panel=MODEL),
    ] = "auto"
    imgsz: Annotated[
        str | None,
        typer.Option(
            "--imgsz",
            metavar="N|HxW",
            help="Size that pictures are fitted to; the model's own if not given.",
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            "--weights-dir", metavar="DIR", help="Look for weights here first.", rich_help_panel=MODEL
        ),
    ] = None
    offline: Annotated[
        bool, typer.Option("--offline", help="No connection at all.", rich_help_panel=MODEL)
    ] = False
    trust_checkpoint: Annotated[
        bool,
        typer.Option(
            "--trust-checkpoint",
            help="Load a checkpoint that may run code: only your own.",
            rich_help_panel=MODEL,
        ),
    ] = False


@dataclass(frozen=True)
class DetectAnswers:
    """Which objects count."""

    conf: Annotated[
        float, typer.Option("--conf", min=0, max=1, metavar="X", help="Lowest score.", rich_help_panel=ANSWER)
    ] = 0.25
    iou: Iou = None
    max_det: MaxDet = 300
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", metavar="person,car", help="Only these: labels or numbers.", rich_help_panel=ANSWER
        ),
    ] = None
    agnostic_nms: Annotated[
        bool,
        typer.Option(
            "--agnostic-nms",
            help="Boxes of different classes suppress each other too.",
            rich_help_panel=ANSWER,
        ),
    ] = False


@dataclass(frozen=True)
class Thresholds:
    """A lowest score for each class."""

    conf_file: Annotated[
        Path | None,
        typer.Option(
            "--conf-file",
            metavar="FILE",
            help="Lowest scores by class, as vision eval --sweep writes them; --conf is for the others.",
            rich_help_panel=ANSWER,
        ),
    ] = None

    def by_label(self) -> dict[str, float] | None:
        """The file's scores by label. UsageError for what is no such file."""
        if self.conf_file is None:
            return None
        import json

        try:
            tree = json.loads(self.conf_file.read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"--conf-file {self.conf_file}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"--conf-file {self.conf_file}: not JSON: {error}") from error
        scores = tree.get("conf") if isinstance(tree, dict) else None
        if not isinstance(scores, dict) or not all(_is_share(score) for score in scores.values()):
            raise UsageError(
                f"--conf-file {self.conf_file}: no thresholds", hint='{"conf": {"person": 0.4}} is wanted'
            )
        return {str(label): float(score) for label, score in scores.items()}


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True)
class ClassifyAnswers:
    """How many labels."""

    top_k: Annotated[
        int,
        typer.Option("-k", "--top-k", min=1, metavar="N", help="How many labels.", rich_help_panel=ANSWER),
    ] = 5


@dataclass(frozen=True)
class Outputs:
    """Where results go."""

    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="Annotated copies go here; vision-out/ if not given.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None
    no_media: Annotated[
        bool, typer.Option("--no-media", help="No annotated copies.", rich_help_panel=OUTPUT)
    ] = False
    json: Annotated[
        bool, typer.Option("--json", help="One JSON array on stdout (pictures only).", rich_help_panel=OUTPUT)
    ] = False
    jsonl: Annotated[
        str | None,
        typer.Option(
            "--jsonl", metavar="[FILE]", help="The record, a JSON object a line; stdout without FILE.",
            rich_help_panel=OUTPUT,
        ),
    ] = None  # fmt: skip
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Results as CSV.", rich_help_panel=OUTPUT)
    ] = None
    force: Force = False
    profile: Annotated[
        bool, typer.Option("--profile", help="Say where the time went.", rich_help_panel=MORE)
    ] = False
    quiet: Quiet = False
    verbose: Verbose = False
    debug: Debug = False
    config: Config = None


@dataclass(frozen=True)
class Crops:
    """Each object as a picture of its own."""

    crops: Annotated[
        Path | None,
        typer.Option("--crops", metavar="DIR", help="Save each object's crop here.", rich_help_panel=OUTPUT),
    ] = None


@dataclass(frozen=True)
class SegmentOutputs:
    """What masks are good for."""

    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            metavar="DIR",
            help="Save masks here as PNG: each pixel the number of its object, or its class.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    cutouts: Annotated[
        Path | None,
        typer.Option(
            "--cutouts",
            metavar="DIR",
            help="Save each object on transparency here.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    background: Annotated[
        str | None,
        typer.Option(
            "--background",
            metavar="blur|remove|COLOR|IMAGE",
            help="Instead of drawing, change what is behind the objects.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    polygons: Annotated[
        bool,
        typer.Option(
            "--polygons", help="Add masks as polygons to --jsonl and --json.", rich_help_panel=OUTPUT
        ),
    ] = False
    alpha: Annotated[
        float,
        typer.Option(
            "--alpha", min=0, max=1, metavar="X", help="How opaque masks are drawn.", rich_help_panel=OUTPUT
        ),
    ] = 0.4


def takes(*groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command's function one argument a group, filled from the flat options that typer sees."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for group in groups:
            hints = get_type_hints(group, include_extras=True)
            for f in fields(group):
                default = f.default_factory() if f.default_factory is not MISSING else f.default
                if default is MISSING:
                    default = inspect.Parameter.empty
                kind = inspect.Parameter.KEYWORD_ONLY
                parameters.append(inspect.Parameter(f.name, kind, default=default, annotation=hints[f.name]))

        @functools.wraps(function)
        def wrapper(**values: Any) -> None:
            function(*(group(**{f.name: values[f.name] for f in fields(group)}) for group in groups))

        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return decorate


def size(text: str | None) -> int | tuple[int, int] | None:
    """`640` or `384x640` (height x width) to px."""
    if text is None:
        return None
    parts = text.lower().replace(",", "x").split("x")
    if not all(p.strip().isdecimal() and int(p) > 0 for p in parts) or len(parts) > 2:
        raise UsageError(
            f"--imgsz {text}: not a size", hint="a number of pixels, or HEIGHTxWIDTH like 384x640"
        )
    numbers = [int(p) for p in parts]
    if max(numbers) > LARGEST:
        raise UsageError(f"--imgsz {text}: at most {LARGEST} pixels a side")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def class_list(text: str | None) -> list[str] | None:
    """`person,car` to labels."""
    if text is None:
        return None
    labels = [label.strip() for label in text.split(",") if label.strip()]
    if not labels:
        raise UsageError("--classes names no class", hint="labels or numbers, like --classes person,car")
    return labels


def batch_size(text: str, auto: int) -> int:
    """`8` or `auto` to a number of pictures."""
    if text == "auto":
        return auto
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--batch {text}: neither a number from 1 nor auto")
    return int(text)
