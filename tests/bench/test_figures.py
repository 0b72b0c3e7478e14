"""What `vision bench` makes of times: rates in pieces, tables, lines; its pictures and its processes."""

from __future__ import annotations

import io
import sys
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visioncli.bench.figures import PIECES, Cold, Failed, Figures, Spread, Steady, rates
from visioncli.bench.process import run

STEADY = Steady(
    runtime="openvino",
    device="cpu",
    asked="auto",
    precision="bf16",
    batch=8,
    parallel=2,
    pictures=160,
    rate=Spread((40.0, 50.0, 45.0)),
    network=Spread((60.0,)),
    stages={"decode": 12.0, "prepare": 1.5, "network": 33.0, "finish": 0.25},
    cpu_ms=40.0,
    cpu_s=9.5,
    peak_mb=345.6,
    failed=0,
)
COLD = Cold("openvino", "cpu", "auto", "bf16", Spread((0.7, 0.6, 0.65)), 0.6, 197.0)
FAILED = Failed("torch", "fp16", 1, "fp16 is slow", 2)


def test_a_steady_rate_has_no_spread() -> None:
    found = rates(10.0, [10 + 0.1 * (i + 1) for i in range(50)], 1)
    assert len(found.values) == PIECES
    assert found.values == pytest.approx([10.0] * PIECES)
    assert not found.noisy


def test_bursts_are_not_cut() -> None:
    """Four at a time each second are four a second in every piece, though none comes in between."""
    marks = [second + 0.001 * i for second in range(1, 8) for i in range(4)]
    assert rates(0.003, marks, 4).values == pytest.approx([4.0] * PIECES)


def test_less_than_a_burst_is_no_rate() -> None:
    with pytest.raises(ValueError, match="3 pictures"):
        rates(0.0, [1.0, 2.0, 3.0], 4)


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=60), st.integers(1, 8))
def test_pieces_cover_all_of_it(steps: list[float], each: int) -> None:
    marks = list(accumulate(steps))
    whole = len(marks) // each
    if not whole:
        return
    found = rates(0.0, marks, each)
    assert len(found.values) == min(PIECES, whole)
    overall = whole * each / marks[whole * each - 1]
    assert found.low <= overall * (1 + 1e-9)
    assert found.high >= overall * (1 - 1e-9)


def test_spread() -> None:
    assert (STEADY.rate.median, STEADY.rate.low, STEADY.rate.high) == (45.0, 40.0, 50.0)
    assert STEADY.rate.noisy
    assert not Spread((1.0, 1.1)).noisy


def test_the_roofline_is_the_lower_one() -> None:
    assert STEADY.roofline(2) == 50.0  # 40 ms of CPU on two cores
    assert STEADY.roofline(4) == 60.0  # the network


def shown(figures: list[Figures], width: int = 80) -> str:
    from rich.console import Console

    from visioncli.bench.report import print_tables

    out = io.StringIO()
    print_tables(Console(file=out, width=width), figures, 2)
    return out.getvalue()


def test_the_table_fits_a_terminal() -> None:
    text = shown([STEADY, COLD])
    assert "…" not in text
    for words in ("bf16 auto", "45.0", "40.0–50.0", "60.0", "346", "0.65", "0.60–0.70", "197", "cold start"):
        assert words in text


def test_no_table_of_nothing() -> None:
    assert shown([FAILED]) == ""
    assert "cold start" not in shown([STEADY])


def test_lines_and_tree_say_the_same() -> None:
    from visioncli.bench.report import lines, tree

    heading, line = (row.split("\t") for row in lines([STEADY, COLD, FAILED]))
    row = dict(zip(heading, line, strict=True))
    whole = tree({"machine": {"cores": 2}}, [STEADY, COLD, FAILED], complete=True)
    [steady], [cold], [failed] = whole["steady"], whole["cold"], whole["failed"]
    assert float(row["pictures_s"]) == steady["rate"]["median"] == 45.0
    assert float(row["cold_s"]) == cold["seconds"]["median"] == 0.65
    assert steady["roofline"] == 50.0
    assert failed == {"runtime": "torch", "asked": "fp16", "batch": 1, "message": "fp16 is slow", "code": 2}


def test_made_pictures_are_the_same_each_time(tmp_path: Path) -> None:
    from PIL import Image

    from visioncli.bench.pictures import make

    (tmp_path / "again").mkdir()
    first, again = make(tmp_path, 2), make(tmp_path / "again", 2)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    assert first[0].read_bytes() != first[1].read_bytes()
    with Image.open(first[0]) as picture:
        assert picture.size == (1280, 720)


def test_a_peak_is_the_process_s_own() -> None:
    """Not that of the one it is started from, which holds more."""
    held = bytearray(400 << 20)
    held[::4096] = b"x" * len(held[::4096])
    done = run([sys.executable, "-S", "-c", "x = bytearray(100 << 20); x[::4096] = b'x' * len(x[::4096])"])
    assert len(held) == 400 << 20
    assert 100 < done.peak_mb < 200
    assert done.code == 0
    assert done.cpu_s > 0
    assert done.seconds > 0


def test_a_process_that_fails_says_why() -> None:
    done = run([sys.executable, "-S", "-c", "raise SystemExit('no reason')"])
    assert (done.code, done.words.strip()) == (1, "no reason")
