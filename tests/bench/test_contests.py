"""What `make bench` makes of its runs: ratios, the table, the page; and that its contests are run as said."""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.bench import listing, report
from tests.bench.bench import named
from tests.bench.race import WARM_UPS, Contest, Round, Run, Side, quiet_peer, race

NOTHING = Side([])
SETTING = report.Setting(
    date(2026, 1, 2), {"cpu": "Some CPU", "cores": 2, "system": "Linux", "torch": "2.9"}, 3, 0.25
)


def contest(bar: float | None = 3.0, memory_bar: float | None = 0.5) -> Contest:
    rounds = [
        Round(Run(2, 3, 100), Run(8, 9, 250)),
        Round(Run(1, 3, 110), Run(5, 9, 240)),
        Round(Run(3, 3, 120), Run(7, 9, 230)),
    ]
    return Contest("video", "yolo predict", NOTHING, NOTHING, bar, memory_bar, rounds, Run(5, 9, 260))


def test_ratios_are_of_medians_and_spreads_of_rounds() -> None:
    one = contest()
    assert one.ratio == 7 / 2
    assert one.spread == (7 / 3, 5.0)
    assert one.threaded_ratio == 5 / 2
    assert one.memory == (110, 240)


@pytest.mark.parametrize(
    ("bar", "memory_bar", "said"),
    [
        (3.5, 0.46, "reached"),
        (3.6, 0.46, "missed: time"),
        (3.5, 0.45, "missed: memory"),
        (3.6, 0.45, "missed: time and memory"),
        (None, 0.46, "reached"),
        (None, None, ""),
    ],
)
def test_bars(bar: float | None, memory_bar: float | None, said: str) -> None:
    assert report.verdict(contest(bar, memory_bar)) == said


def test_the_table() -> None:
    unfinished = Contest("never run", "yolo predict", NOTHING, NOTHING, 1.0)
    heading, rule, *rows = report.table([contest(), contest(None, None), unfinished]).splitlines()
    assert len({line.count("|") for line in (heading, rule, *rows)}) == 1
    assert rows == [
        "| video, beside yolo predict | 2.00 | 7.00 | 3.50 (2.33 to 5.00) | 5.00 s: 2.50"
        " | 3.00, memory 0.50 | 110 of 240 (0.46) | reached |",
        "| video, beside yolo predict | 2.00 | 7.00 | 3.50 (2.33 to 5.00) | 5.00 s: 2.50"
        " | none | 110 of 240 (0.46) |  |",
    ]


def test_the_setting_in_a_line() -> None:
    line = "2026-01-02, 2 cores of Some CPU, torch 2.9; medians of 3 runs; load at the start 0.25."
    assert str(SETTING) == line


def test_json_has_every_run() -> None:
    told = json.loads(report.as_json(SETTING, [contest()]))
    assert (told["day"], told["machine"]["cores"], told["runs"]) == ("2026-01-02", 2, 3)
    [one] = told["contests"]
    assert one["ratio"] == 3.5
    assert [each["theirs"]["seconds"] for each in one["rounds"]] == [8, 5, 7]
    assert one["threaded"]["seconds"] == 5


def test_writing_leaves_the_rest_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    before, after = "# Page\n\n<!-- bench: here -->\n", "<!-- /bench -->\n\nMore é.\n"
    page.write_text(f"{before}old\n\nolder\n{after}", "utf-8")
    for text in ("| a |\n\nline", "new"):
        report.write(text, page)
        assert page.read_text("utf-8") == f"{before}{text}\n{after}"


@pytest.mark.parametrize(
    "page", ["no lines\n", "<!-- bench: a -->\n", "<!-- /bench -->\n<!-- bench: a -->\n"]
)
def test_a_page_without_the_lines_is_left(page: str, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(page)
    with pytest.raises(ValueError, match="no lines"):
        report.write("new", path)
    assert path.read_text() == page


def test_the_page_has_the_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text((listing.ROOT / "docs" / "performance.md").read_text("utf-8"), "utf-8")
    report.write("new", page)


def test_contests_are_told_apart_and_found() -> None:
    everything = listing.contests(listing.Places(Path("data"), Path("weights"), Path("scratch")))
    titles = [one.title for one in everything]
    assert len(set(titles)) == len(titles)
    assert named(everything, []) == everything
    assert [one.title for one in named(everything, ["TIMM", "yolo track"])] == [titles[7], titles[-1]]
    assert named(everything, ["no such"]) == []
    written = [side.out for one in everything for side in (one.ours, one.theirs) if side.out is not None]
    assert len(set(written)) == len(written)


def test_a_thousand_photographs_of_a_few(tmp_path: Path) -> None:
    (tmp_path / "data" / "imagenet" / "n01").mkdir(parents=True)
    (tmp_path / "data" / "coco").mkdir()
    for path in ("imagenet/n01/a.jpg", "imagenet/n01/b.jpg", "imagenet/labels.csv", "coco/a.jpg"):
        (tmp_path / "data" / path).write_text(path)
    places = listing.Places(tmp_path / "data", tmp_path, tmp_path)
    listing.link_photographs(places)
    links = sorted(places.folder("imagenet").iterdir())
    assert len(links) == len(list(places.folder("coco").iterdir())) == 1000
    assert [path.read_text() for path in links[:3]] == [f"imagenet/n01/{name}.jpg" for name in "aba"]


def writes(path: Path, word: str) -> list[object]:
    """A command that notes that it ran, and with which thread setting."""
    code = (
        "import os, sys; print(sys.argv[2], os.environ.get('OMP_NUM_THREADS'), file=open(sys.argv[1], 'a'))"
    )
    return [sys.executable, "-S", "-c", code, path, word]


def test_both_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After runs that are not counted ours and the peer as it comes; then it with OMP_NUM_THREADS = cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    log, lines = tmp_path / "log", []
    one = Contest("test", "peer", Side(writes(log, "ours")), Side(writes(log, "theirs")))
    race(one, 2, quiet_peer(tmp_path), lines.append)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    turns = ["ours None", "theirs None"] * 2
    assert log.read_text().splitlines() == [*["ours None"] * WARM_UPS, *turns, f"theirs {cores}"]
    assert len(lines) == WARM_UPS + len(turns) + 1
    assert len(one.rounds) == 2
    assert one.threaded is not None


def test_a_side_that_writes_nothing_fails(tmp_path: Path) -> None:
    out = tmp_path / "out"
    Side(writes(out / "file", "kept"), out).run({})
    with pytest.raises(RuntimeError, match="wrote nothing"):
        Side([sys.executable, "-S", "-c", ""], out).run({})
    with pytest.raises(RuntimeError, match="ended with 3: no luck"):
        Side([sys.executable, "-S", "-c", "import sys; print('no luck'); sys.exit(3)"]).run({})
