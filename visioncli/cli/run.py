"""What the commands that run a model share: inputs through a model into sinks, media and an exit code."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from visioncli.cli.interrupt import Interrupt
from visioncli.cli.options import Inputs, Network, Outputs, SegmentOutputs, batch_size, size
from visioncli.cli.work import Work
from visioncli.errors import UsageError
from visioncli.output import Sink, open_sinks
from visioncli.output.terminal import Terminal
from visioncli.profile import Profile

if TYPE_CHECKING:
    from visioncli.api import Model
    from visioncli.media.frame import Failure, Input
    from visioncli.media.sources import Found
    from visioncli.output.media import MediaSink
    from visioncli.pipeline import Settings
    from visioncli.track.count import Counting
    from visioncli.track.follow import Tracking

DEFAULT_OUT = Path("vision-out")
FEW = 2  # pictures
_CHOSEN = {"device": "device", "precision": "precision", "runtime": "name"}  # what `auto` became
NO_SHAPES = SegmentOutputs()


def run(
    task: str,
    inputs: Inputs,
    network: Network,
    outputs: Outputs,
    *,
    crops: Path | None = None,
    shapes: SegmentOutputs = NO_SHAPES,
    default: str | None = None,
    tracking: Tracking | None = None,
    mot: str | None = None,
    counting: Counting | None = None,
    trail: float = 0.0,
    events: str | None = None,
    **answers: Any,
) -> None:
    """Run a command to its end; `default` is the key in `api.DEFAULTS` where that is not the task.

    `shapes` says what to make of masks.
    `tracking` makes tracks of what is found in videos, `counting` counts them, `events` names the file for
    what happens, `trail` is how many seconds of each track are drawn. Raises typer.Exit with 3, 130 or 143
    where it did not all go well.
    """
    terminal = Terminal(quiet=outputs.quiet, verbose=outputs.verbose)
    profile = Profile()
    size(network.imgsz), batch_size(network.batch, 1)  # say now, not after loading, what makes no sense
    with Interrupt() as interrupt, ExitStack() as stack:
        _spare_media(outputs, events)
        found = _find(task, inputs, network.offline)
        taken: Iterator[Input | Failure] = found
        progress = terminal.progress(task)
        sinks = [
            *open_sinks(
                terminal,
                json=outputs.json,
                jsonl=outputs.jsonl,
                csv=outputs.csv,
                events=events,
                force=outputs.force,
                polygons=shapes.polygons,
            ),
            progress,
            *_mot(mot, outputs.force),
        ]
        for sink in sinks:
            stack.callback(sink.close)
        if outputs.json:
            taken = _pictures_only(taken, "--json", "use --jsonl")
        if shapes.background == "remove":
            taken = _pictures_only(taken, "--background remove", "--background black, or another colour")
        if tracking is not None:
            taken = _videos_only(taken)
        media = _media(outputs, crops, shapes, terminal, trail)
        if media is not None:
            folders = (outputs.out or DEFAULT_OUT, crops, shapes.masks, shapes.cutouts)
            taken = _without_our_own(taken, [folder for folder in folders if folder is not None])
        span = _span(inputs)
        with profile.stage("load"):
            saved = None if tracking is None else tracking.saved
            if saved is not None:
                model = saved.model()
            else:
                looks = tracking is not None and tracking.config.reid == "auto"
                model = load_model(task, default or task, network, terminal, features=looks, few=_few(inputs))
        seen = media is not None or (tracking is not None and tracking.encoder is not None)
        settings = _settings(model, inputs, network, span, keep_images=seen, **answers)
        settings = replace(settings, tell=terminal.warn, least=None if seen else least(model, network))
        if tracking is not None:
            settings = replace(settings, observe=tracking.observer)
        work = Work(sinks, media, terminal, profile, settings, progress, interrupt.stop)
        stack.callback(work.abort)
        if hasattr(progress, "expect_inputs"):
            progress.expect_inputs(_count(inputs))
        interrupt.drain()
        about = _about(model, task, inputs, network, outputs, answers)
        if tracking is not None:
            about = replace(about, options={**about.options, **tracking.options()})
        if counting is not None:
            counting = replace(counting, warn=terminal.warn)
            about = replace(about, options={**about.options, **counting.options()})
        work.start(about)

        from visioncli.pipeline import run as answering

        stream: Any = answering(
            taken, model.adapter, model.runtime, settings, stop=interrupt.stop, profile=profile
        )
        if tracking is not None:
            stream = tracking.follow(stream, settings, profile)
        if counting is not None:
            stream = counting.count(stream)
        with closing(stream):
            for event in stream:
                work.take(event)
        work.end(interrupted=interrupt.code is not None)
    if work.copies and not outputs.no_media and terminal.interactive:
        terminal.note(f"annotated copies: {outputs.out or DEFAULT_OUT}/")
    if found.skipped:
        terminal.detail(f"{found.skipped} files in folders were no media and left out")
    if outputs.profile:
        for line in profile.table():
            print(line, file=sys.stderr)
    if interrupt.code is not None:
        raise typer.Exit(interrupt.code)
    if work.errors:
        terminal.detail(f"{work.errors} of {work.inputs} inputs failed")
        raise typer.Exit(3)


def _find(task: str, inputs: Inputs, offline: bool) -> Found:
    """The inputs, as a stream; stdin where nothing is named and nobody types there."""
    from visioncli.media.sources import find

    named = [*inputs.inputs, *inputs.image, *inputs.video, *inputs.dir, *inputs.from_file]
    arguments = list(inputs.inputs)
    if not named:
        nobody_types = sys.stdin is not None and not sys.stdin.isatty()
        if not nobody_types and not (task == "track" and _webcam()):
            example = "cars.mp4" if task == "track" else "photo.jpg"
            raise UsageError(
                f"nothing to {task}: name files, folders, 'globs', addresses, or - for stdin",
                hint=f"like this: vision {task} {example}    (vision {task} --help tells more)",
                kind="no_input",
            )
        arguments = ["-"] if nobody_types else ["0"]
    return find(
        arguments,
        videos=inputs.video,
        images=inputs.image,
        dirs=inputs.dir,
        from_files=inputs.from_file,
        null=inputs.null,
        recursive=inputs.recursive,
        offline=offline,
        moving=task == "track",
    )


def _webcam() -> bool:
    """Whether there is a camera 0."""
    from visioncli.media.camera import available

    return available(0)


def _mot(target: str | None, force: bool) -> list[Sink]:
    if target is None:
        return []
    from visioncli.output.mot import MotFiles

    return [MotFiles(target, force=force)]


def _spare_media(outputs: Outputs, events: str | None) -> None:
    """Refuse `--jsonl photo.jpg`: an input that was taken for the option's FILE would be overwritten."""
    from visioncli.media.sniff import HEAD, sniff

    for option, name in (("--jsonl", outputs.jsonl), ("--csv", outputs.csv), ("--events", events)):
        if name is None or name == "-":
            continue
        if not name:
            raise UsageError(f"{option} names no file", hint=f"{option} out{option.replace('--', '.')}")
        hint = f"to write to stdout and look at {name}: {option} - {name}"
        if Path(name).is_dir():
            raise UsageError(f"{option} {name}: a folder, not a file", hint=hint)
        if Path(name).is_file():
            with Path(name).open("rb") as file:
                media = sniff(file.read(HEAD))
            if media is not None and media.what != "text":
                raise UsageError(f"{option} {name} would overwrite a {media.what}", hint=hint)


def _count(inputs: Inputs) -> int | None:
    """How many inputs there are, where that is known without looking: files that were named."""
    if inputs.dir or inputs.from_file:
        return None
    named = [*inputs.inputs, *inputs.image, *inputs.video]
    return len(named) if named and all(Path(name).is_file() for name in named) else None


def _few(inputs: Inputs) -> bool:
    """Whether it is a picture or two, by their names."""
    from visioncli.media.sniff import PICTURE_SUFFIXES

    named = [*inputs.inputs, *inputs.image, *inputs.video]
    suffixes = {Path(name).suffix.lower().removeprefix(".") for name in named}
    return (_count(inputs) or FEW + 1) <= FEW and suffixes <= PICTURE_SUFFIXES


def _pictures_only(found: Iterator[Input | Failure], option: str, hint: str) -> Iterator[Input | Failure]:
    """For an `option`: a video in the first place is refused now, one among the pictures when it comes."""
    from visioncli.media.frame import Failure, Input

    def refused(item: Input | Failure) -> str | None:
        if isinstance(item, Input) and item.kind != "picture":
            return f"{item.source}: {option} takes pictures only, and this is a {item.kind}"
        return None

    first = next(found, None)
    if first is not None and (reason := refused(first)):
        raise UsageError(reason, hint=hint)

    def rest() -> Iterator[Input | Failure]:
        for item in found if first is None else itertools.chain([first], found):
            if reason := refused(item):
                item = Failure(item.source, "unsupported", f"{reason} ({hint})")
            yield item

    return rest()


def _videos_only(found: Iterator[Input | Failure]) -> Iterator[Input | Failure]:
    """For `track`: a picture in the first place is refused now, one among the videos when it comes."""
    from visioncli.media.frame import Failure, Input

    reason = "a picture, and tracks need a video"
    hint = "a folder of frames is given as the folder; vision detect takes pictures"

    def checked(item: Input | Failure) -> Input | Failure:
        if isinstance(item, Input) and item.kind == "picture":
            return Failure(item.source, "unsupported", f"{item.source}: {reason} ({hint})")
        return item

    first = next(found, None)
    if isinstance(first, Input) and first.kind == "picture":
        raise UsageError(f"{first.source}: {reason}", hint=hint)
    return (checked(item) for item in (found if first is None else itertools.chain([first], found)))


def _without_our_own(found: Iterator[Input | Failure], folders: list[Path]) -> Iterator[Input | Failure]:
    """Leave out what we wrote: an output folder inside a folder that we go through, unless it was named."""
    from visioncli.media.frame import Input

    ours = [Path(os.path.abspath(folder)) for folder in folders]  # noqa: PTH100 - links are kept
    for item in found:
        if isinstance(item, Input) and isinstance(item.where, Path):
            path = Path(os.path.abspath(item.where))  # noqa: PTH100
            named = path.parents[min(len(item.relative.parts), len(path.parents)) - 1]
            if any(path.is_relative_to(o) and not named.is_relative_to(o) for o in ours):
                continue
        yield item


def _media(
    outputs: Outputs, crops: Path | None, shapes: SegmentOutputs, terminal: Terminal, trail: float
) -> MediaSink | None:
    if outputs.no_media and shapes.background is not None:
        raise UsageError("--background makes pictures, and --no-media forbids them")
    if outputs.no_media and not (crops or shapes.masks or shapes.cutouts):
        return None
    folder = None if outputs.no_media else outputs.out or DEFAULT_OUT
    if shapes.masks is not None and folder is not None and shapes.masks.resolve() == folder.resolve():
        raise UsageError(f"--masks {shapes.masks} is where the annotated copies go", hint="name another")
    from visioncli.output.media import MediaSink
    from visioncli.render.style import Style

    background = None
    if shapes.background is not None:
        from visioncli.render.background import Background

        background = Background.parse(shapes.background)
    return MediaSink(
        folder,
        crops=crops,
        cutouts=shapes.cutouts,
        masks=shapes.masks,
        background=background,
        style=Style(alpha=shapes.alpha),
        named=outputs.out is not None,
        force=outputs.force,
        trail=trail,
        warn=terminal.warn,
    )


def load_model(
    task: str,
    default: str,
    network: Network,
    terminal: Terminal,
    *,
    features: bool = False,
    few: bool = False,
) -> Model:
    """The model that the options name, or the default of that key, with a note on stderr where one is due.

    `few`: the run is a picture or two, which alone are not worth compiling for.
    """
    from visioncli.api import Model, choose

    resolved = choose(
        network.model,
        task,
        default=default,
        weights_dir=network.weights_dir,
        offline=network.offline,
        progress=not terminal.quiet,
    )
    if resolved.note:
        terminal.note(resolved.note)
    model = Model(
        resolved,
        device=network.device,
        precision=network.precision,
        runtime=network.runtime,
        imgsz=size(network.imgsz),
        trust=network.trust_checkpoint,
        features=features,
        few=few,
        say=terminal.note,
    )
    how = f"{model.runtime.name}, {model.runtime.precision} on {model.runtime.device}"
    terminal.detail(f"{resolved.path}, {how}")
    return model


def _span(inputs: Inputs) -> tuple[float | None, float | None]:
    """`--start` and `--end` in seconds."""
    if inputs.start is None and inputs.end is None:
        return None, None
    from visioncli.media.video_in import parse_time  # brings in FFmpeg, which pictures do without

    start = None if inputs.start is None else parse_time(inputs.start)
    end = None if inputs.end is None else parse_time(inputs.end)
    if start is not None and end is not None and end <= start:
        raise UsageError(f"--end {inputs.end} is not after --start {inputs.start}")
    return start, end


def _settings(
    model: Model,
    inputs: Inputs,
    network: Network,
    span: tuple[float | None, float | None],
    *,
    keep_images: bool,
    **answers: Any,
) -> Settings:
    from visioncli.pipeline import Settings

    start, end = span
    return Settings(
        batch=batch_size(network.batch, model.runtime.batch),
        options=model.options(**answers),
        stride=inputs.stride,
        start=start,
        end=end,
        keep_images=keep_images,
    )


def least(model: Model, network: Network) -> int | None:
    """How small pictures may be decoded for a model that shrinks them; None where every pixel counts.

    Four times the side that they are shrunk to: JPEGs of 12 megapixels took 48 ms to decode instead of 150,
    and no score changed by more than 0.026 (with three times by as much, with twice by 0.07).
    """
    side: int | None = getattr(model.adapter, "shorter_side", None)
    return None if side is None or network.precision == "fp32" else 4 * side


def _about(
    model: Model, task: str, inputs: Inputs, network: Network, outputs: Outputs, answers: dict[str, Any]
) -> Any:
    from visioncli.records import Run

    resolved = model.resolved
    options = {
        **asdict(network),
        **answers,
        "stride": inputs.stride,
        "start": inputs.start,
        "end": inputs.end,
    }
    options |= {name: getattr(model.runtime, attribute) for name, attribute in _CHOSEN.items()}
    options.pop("model")
    if task == "segment":
        options["kind"] = model.task.removeprefix("segment-")
    return Run(
        task=task,
        model=model.name,
        weights=resolved.variant.name if resolved.variant else resolved.path.name,
        sha256=resolved.sha256 or None,
        names=model.names,
        options=options,
    )
