"""What `make bench` shows of its contests: a table, JSON, and the page that keeps the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tests.bench.race import Contest

OPENING, CLOSING = "<!-- bench:", "<!-- /bench -->"
HEADING = (
    "what",
    "vision, s",
    "peer, s",
    "times as fast (spread)",
    "with OMP_NUM_THREADS = cores",
    "bar",
    "memory, MB",
    "",
)


@dataclass(frozen=True)
class Setting:
    """When and on what it was measured; `load` is the system's over the minute before the start."""

    day: date
    machine: dict[str, Any]
    runs: int
    load: float

    def __str__(self) -> str:
        """One line of it."""
        about = {**self.machine}
        where = f"{about.pop('cores')} cores of {about.pop('cpu')}"
        about.pop("system")
        versions = ", ".join(f"{name} {version}" for name, version in about.items())
        times = "once each" if self.runs == 1 else f"medians of {self.runs} runs"
        return f"{self.day}, {where}, {versions}; {times}; load at the start {self.load:.2f}."


def table(results: Sequence[Contest]) -> str:
    """The figures as a Markdown table; contests of which no round was finished are left out."""
    rows = [HEADING, ("---",) * len(HEADING), *(row(one) for one in results if one.rounds)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def row(one: Contest) -> tuple[str, ...]:
    """A contest's cells."""
    ours, theirs = one.memory
    return (
        one.title,
        f"{one.median('ours'):.2f}",
        f"{one.median('theirs'):.2f}",
        ratio(one.ratio, one.spread),
        "" if one.threaded is None else f"{one.threaded.seconds:.2f} s: {one.threaded_ratio:.2f}",
        bars(one) or "none",
        f"{ours:.0f} of {theirs:.0f} ({ours / theirs:.2f})",
        verdict(one),
    )


def ratio(middle: float, spread: tuple[float, float]) -> str:
    """A ratio and its spread."""
    return f"{middle:.2f} ({spread[0]:.2f} to {spread[1]:.2f})"


def bars(one: Contest) -> str:
    """What is asked of a contest, in a few words; empty where nothing is."""
    asked = [f"{one.bar:.2f}"] if one.bar is not None else []
    asked += [f"memory {one.memory_bar:.2f}"] if one.memory_bar is not None else []
    return ", ".join(asked)


def verdict(one: Contest) -> str:
    """Whether the bars are reached, or which is not."""
    if not bars(one):
        return ""
    missed = [what for what, reached in (("time", one.fast), ("memory", one.lean)) if not reached]
    return f"missed: {' and '.join(missed)}" if missed else "reached"


def as_json(setting: Setting, results: Sequence[Contest]) -> str:
    """Every run and the medians."""
    contests = [
        {
            "name": one.name,
            "peer": one.peer,
            "bar": one.bar,
            "memory_bar": one.memory_bar,
            "ratio": one.ratio,
            "spread": one.spread,
            "threaded": one.threaded and asdict(one.threaded),
            "threaded_ratio": one.threaded_ratio,
            "memory": one.memory,
            "fast": one.fast,
            "lean": one.lean,
            "rounds": [asdict(each) for each in one.rounds],
        }
        for one in results
        if one.rounds
    ]
    return json.dumps({**asdict(setting), "contests": contests}, indent=1, default=str)


def write(text: str, page: Path) -> None:
    """Put `text` between the two comment lines of a page. ValueError where they are not there."""
    lines = page.read_text("utf-8").splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith(OPENING)), None)
    last = next((i for i, line in enumerate(lines) if line == CLOSING), None)
    if first is None or last is None or last < first:
        raise ValueError(f"{page}: no lines {OPENING} … --> and {CLOSING}")
    page.write_text("\n".join([*lines[: first + 1], text, *lines[last:], ""]), "utf-8")
