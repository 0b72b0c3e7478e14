"""`vision bench`: how fast a model runs on this machine."""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visioncli.cli.help import Command
from visioncli.cli.interrupt import Interrupt
from visioncli.cli.options import (
    INPUT,
    MODEL,
    MORE,
    OUTPUT,
    Config,
    Debug,
    Network,
    Quiet,
    Recursive,
    batch_size,
    size,
    takes,
)
from visioncli.errors import InputError, UsageError, VisionError
from visioncli.output.terminal import Terminal, is_terminal
from visioncli.output.text import plural, visible

if TYPE_CHECKING:
    from visioncli.bench.figures import Figures
    from visioncli.registry.lookup import Resolved

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """\
vision bench --model yolo26n
vision bench cars.mp4 --model yolo11n --runtime openvino --batch 1,4,16
vision bench photos/ --task classify --model resnet50 --json > resnet50.json"""


class Task(StrEnum):
    """What the model is run for."""

    classify = "classify"
    detect = "detect"
    segment = "segment"


@dataclass(frozen=True)
class Subject:
    """What it is measured with."""

    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files, folders or 'globs' of pictures or videos; made-up pictures if not given.",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ] = field(default_factory=list)
    recursive: Recursive = False
    task: Annotated[
        Task | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="classify, detect or segment; what the model is for if not given.",
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None


@dataclass(frozen=True)
class Combinations(Network):
    """The model, and lists of how it runs."""

    runtime: Annotated[
        str, typer.Option("--runtime", metavar="LIST", help="What runs it.", rich_help_panel=MODEL)
    ] = "torch,openvino"
    precision: Annotated[
        str,
        typer.Option("--precision", metavar="LIST", help="Of auto, fp32, bf16, fp16.", rich_help_panel=MODEL),
    ] = "auto,fp32"
    batch: Annotated[
        str,
        typer.Option("--batch", metavar="LIST", help="Pictures at a time.", rich_help_panel=MODEL),
    ] = "1,8"


@dataclass(frozen=True)
class Measuring:
    """How long, and how it is shown."""

    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=0.1,
            max=3600,
            metavar="N",
            help="How long each combination is counted, after a warm-up: the pipeline, then the network.",
            rich_help_panel=MORE,
        ),
    ] = 3.0
    json: Annotated[
        bool, typer.Option("--json", help="All figures as JSON on stdout.", rich_help_panel=OUTPUT)
    ] = False
    quiet: Quiet = False
    debug: Debug = False
    config: Config = None


@app.command(cls=Command, epilog=EXAMPLES)
@takes(Subject, Combinations, Measuring)
def bench(subject: Subject, network: Combinations, measuring: Measuring) -> None:
    """Measure a model here: pictures a second by runtime, precision and batch, cold start, memory.

    Each combination runs in a process of its own. Ctrl-C prints what there is by then.
    """
    from visioncli.bench.figures import Steady
    from visioncli.bench.pictures import make
    from visioncli.bench.plan import Plan, machine
    from visioncli.bench.worker import WARM, Spec
    from visioncli.registry.cards import COMMANDS
    from visioncli.runtime import PRECISIONS, RUNTIMES

    if not hasattr(os, "wait4"):
        raise UsageError("vision bench counts CPU time and memory as Unix systems do, and this is none")
    runtimes = _listed("runtime", network.runtime, RUNTIMES)
    precisions = _listed("precision", network.precision, PRECISIONS)
    batches = [None if b == "auto" else batch_size(b, 1) for b in _words("batch", network.batch)]
    imgsz = size(network.imgsz)
    terminal = Terminal(quiet=measuring.quiet)
    figures: list[Figures] = []
    with Interrupt() as interrupt, tempfile.TemporaryDirectory(prefix="vision-bench-") as scratch:
        folder = Path(scratch)
        looked = _look(subject) if subject.inputs else _make(folder)
        resolved = _resolve(subject, network, terminal)
        task = subject.task or COMMANDS.get(resolved.card.task, resolved.card.task)
        spec = Spec(
            network.model or resolved.card.name,
            str(task),
            [str(name) for name in looked.names],
            runtimes[0],
            precisions[0],
            batches[0],
            measuring.seconds,
            network.device,
            imgsz,
            None if network.weights_dir is None else str(network.weights_dir),
            network.trust_checkpoint,
            subject.recursive,
        )
        about = {
            "model": resolved.card.name,
            "task": spec.task,
            "weights": str(resolved.path),
            "sha256": resolved.sha256 or None,
            "input": {"names": subject.inputs, "about": looked.about, "cold_start": str(looked.cold)},
            "machine": machine(),
            "seconds": measuring.seconds,
            "warm_up": WARM,
        }
        plan = Plan(spec, looked.picture or make(folder, 1)[0], runtimes, precisions, batches)
        try:
            measured = plan.measure(folder, terminal.note if terminal.interactive else _nothing)
            while (one := next(measured, None)) is not None:
                figures.append(one)
        except SystemExit:  # a signal: what has been measured is worth having
            if interrupt.code is None:
                raise
    _show(figures, about, measuring, terminal, complete=interrupt.code is None)
    if interrupt.code is not None:
        raise typer.Exit(interrupt.code)
    if any(isinstance(one, Steady) and one.failed for one in figures):
        raise typer.Exit(3)


def _words(option: str, text: str) -> list[str]:
    """A comma-separated list without repetitions. UsageError where it is empty."""
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        raise UsageError(f"--{option} names nothing", hint="a list like --batch 1,8")
    return words


def _listed(option: str, text: str, allowed: Sequence[str]) -> list[str]:
    words = _words(option, text)
    for word in words:
        if word not in allowed:
            raise UsageError(f"--{option} {word}: unknown", hint=f"a list of {', '.join(allowed)}")
    return words


@dataclass(frozen=True)
class Looked:
    """The inputs by name, in words, and the first picture among them."""

    names: Sequence[str | Path]
    about: str
    picture: Path | None

    @property
    def cold(self) -> str:
        """What cold starts are measured with, in words."""
        return "a made-up picture" if self.picture is None else str(self.picture)


def _make(folder: Path) -> Looked:
    """Pictures that are made up, in `folder`."""
    from visioncli.bench.pictures import COUNT, HEIGHT, WIDTH, make

    paths = make(folder)
    return Looked(paths, f"{COUNT} made-up pictures of {WIDTH}×{HEIGHT}", None)


def _look(subject: Subject) -> Looked:
    """The inputs that are named. UsageError for what cannot be read twice, InputError for what not once."""
    from visioncli.bench.worker import MOST_INPUTS
    from visioncli.media.address import public
    from visioncli.media.frame import Failure
    from visioncli.media.sources import find

    again = "files, folders and globs can be; save it first"
    for name in subject.inputs:
        if name == "-" or ("://" in name and not Path(name).exists()):
            raise UsageError(f"{public(name)} cannot be read again and again", hint=again)
    kinds: Counter[str] = Counter()
    picture = None
    for item in itertools.islice(find(subject.inputs, recursive=subject.recursive), MOST_INPUTS):
        if isinstance(item, Failure):
            message = item.message if item.source in item.message else f"{item.source}: {item.message}"
            raise InputError(message, kind=item.kind)
        if item.kind == "camera" or not isinstance(item.where, Path):
            raise UsageError(f"{item.source} cannot be read again and again", hint=again)
        kinds[item.kind] += 1
        if picture is None and item.kind == "picture":
            picture = item.where
    return Looked(subject.inputs, " and ".join(plural(n, kind) for kind, n in kinds.items()), picture)


def _resolve(subject: Subject, network: Network, terminal: Terminal) -> Resolved:
    """The model, its weights fetched: no process that is measured downloads anything."""
    from visioncli.api import choose

    resolved = choose(
        network.model,
        subject.task if subject.task or network.model else Task.detect,
        weights_dir=network.weights_dir,
        offline=network.offline,
        progress=not terminal.quiet,
    )
    if resolved.note:
        terminal.note(resolved.note)
    return resolved


def _show(
    figures: list[Figures],
    about: dict[str, Any],
    measuring: Measuring,
    terminal: Terminal,
    *,
    complete: bool,
) -> None:
    """Print what there is. VisionError where nothing ran."""
    from visioncli.bench import report
    from visioncli.bench.figures import NOISY, Cold, Failed, Steady

    failed = [one for one in figures if isinstance(one, Failed)]
    if failed and len(failed) == len(figures):
        error = VisionError(failed[0].message)
        error.exit_code = failed[0].code
        raise error
    if measuring.json:
        print(json.dumps(report.tree(about, figures, complete=complete), indent=2))
    elif is_terminal(sys.stdout) and figures:
        machine = about["machine"]
        facts = (about["model"], about["task"], about["input"]["about"])
        where = f"{plural(machine['cores'], 'core')} of {machine['cpu']}"
        terminal.out.print(visible(" · ".join((*facts, where))), "", soft_wrap=True, sep="\n")
        report.print_tables(terminal.out, figures, machine["cores"])
        terminal.note("medians, no media written; network/s: it alone; roof: of what it and the cores allow")
    elif figures:
        print("\n".join(report.lines(figures)))
    for said in dict.fromkeys(f"{one.runtime}: {one.message}" for one in failed):
        terminal.warn(said)
    if unread := max((one.failed for one in figures if isinstance(one, Steady)), default=0):
        terminal.warn(f"{plural(unread, 'input')} could not be read")
    noisy = [one for one in figures if isinstance(one, Steady) and one.rate.noisy]
    noisy_starts = [one for one in figures if isinstance(one, Cold) and one.seconds.noisy]
    if noisy or noisy_starts:
        terminal.warn(
            f"{len(noisy) + len(noisy_starts)} of {len(figures) - len(failed)} figures spread by more than "
            f"{NOISY:.0%}: this machine is busy, or its clock changes; see the spread before you compare"
        )
    if not complete:
        terminal.note("stopped before everything was measured")


def _nothing(line: str) -> None:
    """Nobody looks."""
