from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visioncli.output.text import by_count, clock, plural, visible


def test_visible() -> None:
    assert visible("evil\x1b[2J\n\tname\x9b\u202e.jpg\udce9") == r"evil\x1b[2J\n\tname\x9b\u202e.jpg\xe9"
    assert visible("Ünïcödé ビデオ 🚗") == "Ünïcödé ビデオ 🚗"


@given(st.text(st.characters()))
def test_visible_text_is_one_printable_line(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 s"), (0.844, "0.84 s"), (9.996, "10.0 s"), (59.96, "1:00"), (125, "2:05"), (3725, "1:02:05")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_counts() -> None:
    assert by_count(["b", "a", "a", "c"]) == [("a", 2), ("b", 1), ("c", 1)]
    assert [plural(n, "frame") for n in (0, 1, 1204)] == ["0 frames", "1 frame", "1,204 frames"]
