"""Lines and zones, on tracks made for it: every crossing once, whatever the trembling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visioncli.results import Detections, Result
from visioncli.track.counting import BAND, Counter, Event
from visioncli.track.shapes import Line, Zone, parse_line

WIDTH, HEIGHT, FPS = 640, 360, 25.0
BOX = (30.0, 40.0)  # px, width and height: a band of 2.5 px
NAMES = ["person", "bicycle", "car"]
ACROSS = Line("gate", (0.0, 200.0), (640.0, 200.0))
DOOR = Zone("door", ((100.0, 100.0), (300.0, 100.0), (300.0, 300.0), (100.0, 300.0)))

Sights = dict[int, tuple[float, float]]  # where each track's anchor is


def frame(number: int, sights: Sights, *, label: int = 2, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Result:
    """A frame in which the tracks' anchors are where `sights` says."""
    boxes = [[x - BOX[0] / 2, y - BOX[1], x + BOX[0] / 2, y] for x, y in sights.values()]
    count = len(boxes)
    found = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 0.9, np.float32),
        np.full(count, label, np.int64),
        ids=np.array(list(sights), np.int64),
    )
    return Result("a.mp4", *size, found, NAMES, number, number / FPS)


def count(
    frames: Iterable[Sights], lines: Sequence[Line] = (ACROSS,), zones: Sequence[Zone] = ()
) -> tuple[list[Event], Counter]:
    """All events of a video, its end included."""
    counter = Counter(lines, zones)
    events = [e for i, sights in enumerate(frames) for e in counter.update(frame(i, sights))]
    return events + counter.end(), counter


def path(*corners: tuple[float, float], step: float = 3.0) -> list[Sights]:
    """One track from corner to corner."""
    points = [corners[0]]
    for a, b in itertools.pairwise(corners):
        n = max(1, math.ceil(math.dist(a, b) / step))
        points += [(a[0] + (b[0] - a[0]) * i / n, a[1] + (b[1] - a[1]) * i / n) for i in range(1, n + 1)]
    return [{1: point} for point in points]


def what(events: Iterable[Event]) -> list[str]:
    return [event.what for event in events]


def test_a_crossing_has_its_moment() -> None:
    events, counter = count(path((300, 150), (300, 250)))
    (event,) = events
    assert (event.what, event.where, event.id, event.label) == ("in", "gate", 1, "car")
    assert event.frame is not None
    assert event.time == event.frame / FPS
    assert 200 < event.at[1] < 203, "the first sight beyond the line, not the one beyond the band"
    assert counter.lines[0].row() == {"line": "gate", "in": {"car": 1}, "out": {}}


@pytest.mark.parametrize(
    ("line", "way", "expected"),
    [
        ((0, 200, 640, 200), ((300, 150), (300, 250)), "in"),  # drawn to the right: in is downwards
        ((0, 200, 640, 200), ((300, 250), (300, 150)), "out"),
        ((640, 200, 0, 200), ((300, 150), (300, 250)), "out"),  # turned round
        ((320, 0, 320, 360), ((250, 200), (400, 200)), "out"),  # drawn downwards: in is to the left
        ((320, 360, 320, 0), ((250, 200), (400, 200)), "in"),
    ],
)
def test_directions(line: Sequence[float], way: Sequence[tuple[float, float]], expected: str) -> None:
    x1, y1, x2, y2 = line
    assert what(count(path(*way), [Line("a", (x1, y1), (x2, y2))])[0]) == [expected]


def test_there_and_back_and_there() -> None:
    events, counter = count(path((300, 150), (300, 250), (300, 150), (300, 250)))
    assert what(events) == ["in", "out", "in"]
    assert (counter.lines[0].into["car"], counter.lines[0].out["car"]) == (2, 1)


def test_past_the_end_of_a_line() -> None:
    short = Line("short", (200, 200), (400, 200))
    assert count(path((100, 150), (100, 250)), [short])[0] == []
    # Round the end and back through it: one crossing.
    events, _ = count(path((300, 150), (500, 150), (500, 250), (300, 250), (300, 150)), [short])
    assert what(events) == ["out"]


def test_trembling_on_the_line_is_no_crossing() -> None:
    y = [200 + 2 * math.sin(i) for i in range(500)]
    assert count([{1: (300.0, v)} for v in (190.0, *y, 190.0)])[0] == []
    # Who comes, stands on it and trembles, and goes on has crossed once.
    come, go = path((300, 150), (300, 200)), path((300, 200), (300, 250))
    events, _ = count([*come, *({1: (300.0, v)} for v in y), *go])
    assert what(events) == ["in"]


def test_gone_just_behind_the_line() -> None:
    events, _ = count([*path((300, 150), (300, 199)), {1: (300, 201)}])
    assert what(events) == ["in"]
    assert what(count([*path((300, 150), (300, 199)), {1: (300, 201)}, {1: (300, 199)}])[0]) == []


def test_unseen_while_it_crosses() -> None:
    hidden: list[Sights] = [{}] * 20
    events, _ = count([*path((300, 100), (300, 180)), *hidden, *path((310, 220), (310, 260))])
    assert what(events) == ["in"]


def test_labels_are_counted_apart() -> None:
    counter = Counter([ACROSS], [])
    for number, y in enumerate(range(150, 250, 4)):
        counter.update(frame(number, {1: (100, y), 2: (300, y)}, label=0))
    for number, y in enumerate(range(150, 250, 4), 100):
        counter.update(frame(number, {3: (100, y)}, label=2))
    assert counter.lines[0].into == {"person": 2, "car": 1}


@given(
    noise=st.lists(st.floats(-1, 1), min_size=1, max_size=30),
    angle=st.floats(0, 2 * math.pi),
    turns=st.lists(st.floats(20, 120), min_size=1, max_size=5),
    step=st.floats(0.7, 40),
)
def test_every_crossing_once(noise: list[float], angle: float, turns: list[float], step: float) -> None:
    """A track goes to and fro over a line at any angle, trembling in the band: each once, in turn."""
    cos, sin = math.cos(angle), math.sin(angle)

    def at(side: float) -> tuple[float, float]:  # px to the right of the line
        return 320 - sin * side, 180 + cos * side

    line = Line("a", (320 - 200 * cos, 180 - 200 * sin), (320 + 200 * cos, 180 + 200 * sin))
    stops = [-40.0] + [turn * (1 if i % 2 == 0 else -1) for i, turn in enumerate(turns)]
    sides = [stops[0]]
    for a, b in itertools.pairwise(stops):
        n = max(1, math.ceil(abs(b - a) / step))
        sides += [a + (b - a) * i / n for i in range(1, n + 1)]
    band = max(BAND * math.hypot(*BOX), 2.0)
    trembling = [side + 0.95 * band * noise[i % len(noise)] / 2 for i, side in enumerate(sides)]
    events, counter = count([{7: at(side)} for side in trembling], [line])
    assert what(events) == ["in" if i % 2 == 0 else "out" for i in range(len(turns))]
    assert counter.lines[0].into.total() - counter.lines[0].out.total() == len(turns) % 2


@given(st.lists(st.tuples(st.floats(-50, 700), st.floats(-50, 400)), min_size=2, max_size=40))
def test_counts_follow_the_side(points: list[tuple[float, float]]) -> None:
    """Wherever a track jumps: directions alternate, and in minus out is the side it ended on."""
    everywhere = Line("a", (-1e6, 200), (1e6, 200))
    events, counter = count([{1: point} for point in points], [everywhere])
    ways = what(events)
    assert all(a != b for a, b in itertools.pairwise(ways))
    rows = [y - 200 for _, y in points if np.float32(y) != 200]
    if rows:
        ended = (rows[-1] > 0) - (rows[0] > 0)
        assert counter.lines[0].into.total() - counter.lines[0].out.total() == ended


@given(st.lists(st.tuples(st.floats(-50, 700), st.floats(-50, 400)), min_size=2, max_size=40))
def test_visits_add_up(points: list[tuple[float, float]]) -> None:
    events, counter = count([{1: point} for point in points], [], [DOOR])
    ways = what(events)
    assert all(w in ("enter", "appear") for w in ways[::2])
    assert all(w in ("exit", "vanish") for w in ways[1::2])
    assert len(ways) % 2 == 0, "every visit has its end"
    zone = counter.zones[0]
    assert zone.inside == 0
    assert zone.visits.total() == zone.ended == len(ways) // 2
    assert zone.entries.total() == ways.count("enter")
    dwells = [event.dwell for event in events if event.dwell is not None]
    assert len(dwells) == zone.ended
    assert all(0 <= dwell <= (len(points) - 1) / FPS for dwell in dwells)
    assert zone.stayed == pytest.approx(sum(dwells))


def test_dwell() -> None:
    events, counter = count(path((50, 200), (350, 200), step=4), [], [DOOR])
    enter, leave = events
    assert (enter.what, leave.what) == ("enter", "exit")
    assert leave.dwell == leave.time - enter.time == pytest.approx(200 / 4 / FPS, abs=2 / FPS)
    assert counter.zones[0].row() == {
        "zone": "door", "entries": {"car": 1}, "exits": {"car": 1}, "visits": {"car": 1},
        "dwell": {"mean": round(leave.dwell, 4), "longest": round(leave.dwell, 4)},
    }  # fmt: skip


def test_trembling_on_the_edge_is_one_visit() -> None:
    trembling = [{1: (300 + 2 * math.sin(i), 200.0)} for i in range(200)]
    events, _ = count([*path((200, 200), (300, 200)), *trembling, *path((300, 200), (350, 200))], [], [DOOR])
    assert what(events) == ["appear", "exit"]


def test_a_track_ends_when_its_time_is_over() -> None:
    counter = Counter([], [DOOR], patience=1.0)
    counter.update(frame(0, {1: (200, 200)}))
    assert counter.zones[0].inside == 1
    assert counter.update(frame(25, {})) == []
    (gone,) = counter.update(frame(26, {}))
    assert (gone.what, gone.frame, gone.dwell) == ("vanish", 0, 0.0)
    assert counter.zones[0].inside == 0
    assert counter.end() == []


def test_memory_follows_the_tracks_at_hand() -> None:
    counter = Counter([ACROSS], [DOOR])
    for number in range(20_000):
        counter.update(frame(number, {number // 10: (200.0, 150.0 + 10 * (number % 10))}))
    assert counter.lines[0].into.total() == 2000
    assert len(counter._tracks) <= 2 * FPS / 10 + 2


def test_another_size_begins_anew() -> None:
    counter = Counter([parse_line("0,0.5,1,0.5")], [])
    counter.update(frame(0, {1: (100, 100)}))
    assert counter.update(frame(1, {1: (100, 150)}, size=(320, 180))) == []
    assert counter.lines[0].line.start == (0, 90)
    assert what([*counter.update(frame(2, {1: (100, 60)}, size=(320, 180))), *counter.end()]) == ["out"]


def test_signs() -> None:
    counter = Counter([ACROSS], [DOOR])
    for number, y in enumerate(range(150, 260, 4)):
        counter.update(frame(number, {1: (200, y)}))
    zone, line = counter.signs(number / FPS)
    assert (line.text, line.lit) == ("gate   in 1   out 0", False)
    assert (zone.text, zone.lit) == ("door   1 inside   1 in all", False)
    assert counter.lines[0].sign(13 / FPS).lit, "just after it was crossed"
    assert line.shape == ACROSS
