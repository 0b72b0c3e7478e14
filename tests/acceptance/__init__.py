"""Every "Done when" that a machine can check, one line with its figure each: `python -m tests.acceptance`.

A check is a function that takes a `World` and returns its figure, or raises: anything but `NotHereError`
means that the bar is missed. An issue's checks live in one module or package, named in `ISSUES`; a check is a
function there with `@check(number, what)` above it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from tests.build_weights import ROOT, build, shared

# Modules in the order of the issues; each registers its checks when it is imported.
ISSUES = (
    "tests.acceptance.spine.commands",
    "tests.acceptance.spine.library",
    "tests.acceptance.spine.quality",
    "tests.acceptance.spine.media",
    "tests.acceptance.spine.suites",
    "tests.acceptance.mini.figures",
    "tests.acceptance.mini.box",
    "tests.acceptance.segment.models",
    "tests.acceptance.segment.outputs",
    "tests.acceptance.track.tracks",
    "tests.acceptance.track.speed",
    "tests.acceptance.track.counts",
    "tests.acceptance.fast",
    "tests.acceptance.evaluate",
)
Made = TypeVar("Made")
BIN = Path(sys.executable).parent


class NotHereError(Exception):
    """This machine lacks what the check needs (a browser, a GPU): said, and not counted as a failure."""


@dataclass(frozen=True)
class World:
    """What checks work with: the real media, the real weights, and a scratch folder that goes at the end."""

    data: Path
    weights: Path
    scratch: Path
    _made: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def environment(self) -> dict[str, str]:
        """Nobody's home, and the real weights as a user names them."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("VISION_", "YOLO_"))}
        home = {f"XDG_{kind}_HOME": str(self.scratch / "home" / kind.lower()) for kind in ("CACHE", "CONFIG")}
        own = {"TORCH_HOME": str(self.scratch / "home" / "torch"), "VISION_SHARED": str(self.data.parent)}
        return {**kept, **home, **own, "VISION_WEIGHTS": str(self.weights)}

    def folder(self, name: str) -> Path:
        """A fresh folder below the scratch one."""
        path = self.scratch / name
        path.mkdir(parents=True)
        return path

    def once(self, make: Callable[[World], Made]) -> Made:
        """What `make` made when it was first asked, for checks that share it; its failure too."""
        if make not in self._made:
            try:
                self._made[make] = make(self)
            except Exception as error:
                self._made[make] = error
        made = self._made[make]
        if isinstance(made, Exception):
            raise made
        return made

    def run(
        self, *command: object, cwd: Path = ROOT, env: dict[str, str] | None = None, timeout: float = 1200
    ) -> subprocess.CompletedProcess[str]:
        """A command line to its end, with text output; stdin is empty."""
        return subprocess.run(
            [str(part) for part in command], cwd=cwd, env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip

    def vision(
        self, *arguments: object, code: int = 0, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`vision …`, which must end with `code` and without a traceback."""
        done = self.run(BIN / "vision", *arguments, cwd=cwd or self.scratch, env=env)
        said = done.stderr.strip()
        assert done.returncode == code, f"exit code {done.returncode}, not {code}: {said[-300:]}"
        assert "Traceback" not in said, said[-300:]
        return done


@dataclass(frozen=True)
class Check:
    """One line of the report. `timed`: a stopwatch decides it, which means little on CI's noisy machine.

    `open`: the bar is known not to be reached yet, and why. The line says so and does not decide.
    """

    number: str
    what: str
    run: Callable[[World], str]
    timed: bool = False
    open: str = ""


CHECKS: list[Check] = []


def check(
    number: str, what: str, *, timed: bool = False, open: str = ""
) -> Callable[[Callable[[World], str]], Callable[[World], str]]:
    """Register a check: `number` is issue and item (`11.4`), `what` the words before its figure."""

    def register(function: Callable[[World], str]) -> Callable[[World], str]:
        CHECKS.append(Check(number, what, function, timed, open))
        return function

    return register


def bar(reached: bool, figure: str) -> str:
    """`figure` where the bar is reached; AssertionError with it where it is not."""
    if not reached:
        raise AssertionError(figure)
    return figure


def world(scratch: Path) -> World:
    """FileNotFoundError without VISION_SHARED."""
    weights = build(ROOT / "build" / "weights", quiet=True)
    folder = shared()
    assert folder is not None  # or build() would have raised
    return World((folder / "data").resolve(), weights.resolve(), scratch)
