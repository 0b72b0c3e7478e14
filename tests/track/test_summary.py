"""What a video comes to: tracks by label, their lengths, counts, and the events as CSV."""

from __future__ import annotations

import csv
from pathlib import Path, PurePath
from typing import Any

import pytest

from tests.schema import validator
from tests.track.test_counting import ACROSS, DOOR, FPS, frame
from visioncli import records
from visioncli.errors import UsageError
from visioncli.media.frame import Frame, Input
from visioncli.output.events import EventsFile
from visioncli.pipeline import NO_IMAGE, Answer, Closed, Opened
from visioncli.track.count import Counting, Happened, Summed
from visioncli.track.shapes import Line
from visioncli.track.summary import Ledger


def test_tracks_and_their_lengths() -> None:
    ledger = Ledger()
    for number in range(100):
        sights = {1: (10.0, 10.0)} | ({2: (50.0, 50.0)} if 20 <= number < 46 else {})
        ledger.take(frame(number, sights, label=0 if number < 50 else 2))
    summary, events = ledger.end()
    assert events == []
    assert summary.fields()["tracks"] == {
        "count": 2, "mean": round((99 + 25) / 2 / FPS, 4), "longest": 99 / FPS,
        "labels": {"person": 1, "car": 1},
    }  # fmt: skip
    assert summary.labels["car"].longest == 99 / FPS, "a track's label is the last"


def test_nothing_at_all() -> None:
    ledger = Ledger([ACROSS], [DOOR])
    ledger.take(frame(0, {}))
    summary, _ = ledger.end()
    assert summary.fields()["tracks"] == {"count": 0, "mean": 0.0, "longest": 0.0, "labels": {}}
    assert summary.sentences() == ["gate: in 0, out 0", "door: visits 0, entries 0, exits 0"]


def test_in_words_and_in_the_record() -> None:
    ledger = Ledger([ACROSS], [DOOR])
    for number, y in enumerate(range(80, 320, 6)):
        ledger.take(frame(number, {1: (200, y), 2: (500, y)}, label=0))
        ledger.take(frame(number, {3: (600, y)}, label=2))
    summary, _ = ledger.end()
    assert summary.sentences() == [
        "gate: in 3 (2 person, 1 car), out 0",
        "door: visits 1 person, entries 1 person, exits 1 person, mean stay 1.3 s, longest 1.3 s",
    ]
    line = records.summary_line("a.mp4", summary)
    assert not list(validator().iter_errors(line))
    assert line["counts"][0] == {"line": "gate", "in": {"person": 2, "car": 1}, "out": {}}
    empty, _ = Ledger([ACROSS], [DOOR]).end()
    assert not list(validator().iter_errors(records.summary_line("a.mp4", empty)))


def test_memory_follows_the_tracks_at_hand() -> None:
    ledger = Ledger()
    for number in range(20_000):
        ledger.take(frame(number, {number // 10: (9.0, 9.0)}))
    assert len(ledger._open) < 10
    assert ledger.end()[0].tracks.count == 2000


class _Info:
    width, height = 640, 360


Sights = dict[int, tuple[float, float]]


def events_of(counting: Counting, sights: list[Sights], *, cut: bool = False) -> list[Any]:
    """What `Counting` makes of a video's events."""
    video = Input("a.mp4", "video", Path("a.mp4"), PurePath("a.mp4"))

    def stream() -> Any:
        yield Opened(video, _Info())  # type: ignore[arg-type]
        for i, one in enumerate(sights):
            yield Answer(video, Frame(NO_IMAGE, i, i / FPS), frame(i, one))
        yield Closed(video, len(sights), 0, cut)

    return list(counting.count(stream()))


CROSSING: list[Sights] = [{1: (200.0, float(y))} for y in range(150, 250, 5)]


def test_events_of_a_run() -> None:
    got = events_of(Counting([ACROSS]), CROSSING)
    kinds = [type(event) for event in got]
    assert kinds[0] is Opened
    assert kinds[-2:] == [Summed, Closed]
    (happened,) = (i for i, event in enumerate(got) if isinstance(event, Happened))
    answer = got[happened + 1]
    assert isinstance(answer, Answer)
    assert answer.signs[0].text == "gate   in 1   out 0"
    assert got[happened - 1].signs[0].text == "gate   in 0   out 0"


def test_a_video_that_was_cut_has_no_summary() -> None:
    assert not any(isinstance(event, Summed) for event in events_of(Counting([ACROSS]), CROSSING, cut=True))


def test_each_video_begins_at_nothing() -> None:
    counting = Counting([ACROSS], [DOOR])
    first, second = (events_of(counting, CROSSING)[-2].summary.fields() for _ in range(2))
    assert first == second
    assert first["counts"][0]["in"] == {"car": 1}


def test_a_line_outside_the_picture_is_told() -> None:
    said: list[str] = []
    events_of(Counting([Line("far", (2000, 0), (2000, 900)), ACROSS], [DOOR], warn=said.append), CROSSING)
    assert said == ["a.mp4: far lies outside its 640×360 px"]


def test_events_as_csv(tmp_path: Path) -> None:
    target = tmp_path / "events.csv"
    sink = EventsFile(target)
    sink.start(None)  # type: ignore[arg-type]
    for event in events_of(Counting([ACROSS], [DOOR]), CROSSING):
        if isinstance(event, Happened):
            sink.happened(event.events)
    assert not target.exists(), "whole or not there"
    sink.end(None)  # type: ignore[arg-type]
    sink.close()
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["where"], row["event"], row["id"], row["label"]) for row in rows] == [
        ("door", "appear", "1", "car"), ("gate", "in", "1", "car"), ("door", "vanish", "1", "car"),
    ]  # fmt: skip
    assert rows[1]["frame"] == "11"
    assert float(rows[1]["time"]) == pytest.approx(11 / FPS)
    assert (rows[0]["dwell"], float(rows[2]["dwell"])) == ("", pytest.approx(19 / FPS))
    with pytest.raises(UsageError, match="--force"):
        EventsFile(target)
