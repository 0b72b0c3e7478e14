"""The table of a tracked video: a row a label, and what lines and zones counted."""

from __future__ import annotations

import io

from rich.console import Console

from tests.track.test_counting import ACROSS, DOOR, frame
from visioncli.output.table import Table
from visioncli.output.terminal import Terminal
from visioncli.track.summary import Ledger


def test_a_tracked_video() -> None:
    written = io.StringIO()
    terminal = Terminal()
    terminal._out = Console(file=written, width=100, color_system=None)
    table, ledger = Table(terminal), Ledger([ACROSS], [DOOR])
    for number, y in enumerate(range(150, 250, 4)):
        result = frame(number, {1: (200.0, float(y)), 2: (500.0, 300.0)}, label=0 if number < 5 else 2)
        ledger.take(result)
        table.result(result)
    for number in range(25, 30):
        result = frame(number, {3: (9.0, 9.0)}, label=0)
        ledger.take(result)
        table.result(result)
    table.summary("a.mp4", ledger.end()[0])
    table.done("a.mp4", 30, 0, 4)
    lines = [line.rstrip() for line in written.getvalue().splitlines()]
    assert lines == [
        "a.mp4  640×360 · 30 frames · 1.16 s · 4 dropped",
        " label   tracks  at once  longest    mean",
        " car          2        2   0.96 s  0.96 s",
        " person       1        2   0.16 s  0.16 s",
        " all          3            0.96 s  0.69 s",
        "  gate: in 1 car, out 0",
        "  door: visits 1 person, entries 0, exits 0, mean stay 1.0 s, longest 1.0 s",
    ]


def test_without_tracks() -> None:
    written = io.StringIO()
    terminal = Terminal()
    terminal._out = Console(file=written, width=100, color_system=None)
    table, ledger = Table(terminal), Ledger([ACROSS])
    ledger.take(frame(0, {}))
    table.result(frame(0, {}))
    table.summary("a.mp4", ledger.end()[0])
    table.done("a.mp4", 1, 0)
    assert written.getvalue().splitlines()[1:] == ["  nothing found", "  gate: in 0, out 0"]
