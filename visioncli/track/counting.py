"""Counting without code: lines that tracked objects cross, and zones that they stay in.

An object is where its anchor is: the middle of its box's lower edge, where what stands on the ground stands.
A line has been crossed when the anchor has passed it, between its ends, and come further away than a band
beside it (`BAND` of the box's diagonal): trembling on the line counts nothing, and nothing counts twice. What
passes and is never seen again counts when its track ends. In a zone is whose anchor is inside; out again is
only what is further outside than the band.

A line looks from its first point to its second: what crosses from its left to its right is `in`, the other
way `out`. (A line drawn from left to right: `in` is downwards.)
"""

from __future__ import annotations

import json
import math
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from visioncli.errors import UsageError

if TYPE_CHECKING:
    from visioncli.results import Result

Point = tuple[float, float]
What = Literal["in", "out", "enter", "exit", "appear", "vanish"]

BAND = 0.05  # of the box's diagonal
NARROWEST = 2.0  # px: the least width of a band
PATIENCE = 2.0  # s without a sight of a track after which it has ended


@dataclass(frozen=True, slots=True)
class Line:
    """From `start` to `end`, in px or, where no coordinate is above 1, in shares of width and height."""

    name: str
    start: Point
    end: Point

    def on(self, width: int, height: int) -> Line:
        """The line in px of a picture."""
        start, end = _in_pixels((self.start, self.end), width, height)
        return Line(self.name, start, end)

    def side(self, point: Point) -> float:
        """How far (px) a point lies to the right of the line, which goes on beyond its ends."""
        (x1, y1), (x2, y2) = self.start, self.end
        return ((x2 - x1) * (point[1] - y1) - (y2 - y1) * (point[0] - x1)) / math.dist(self.start, self.end)

    def passed_between(self, before: Point, after: Point) -> bool:
        """Whether a step from one side of it to the other goes through it rather than round an end."""
        a, b = self.side(before), self.side(after)
        share = a / (a - b)
        x, y = (p + share * (q - p) for p, q in zip(before, after, strict=True))
        (x1, y1), (x2, y2) = self.start, self.end
        along = (x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)
        return 0 <= along <= (x2 - x1) ** 2 + (y2 - y1) ** 2


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon, its corners in px or, where no coordinate is above 1, in shares of width and height."""

    name: str
    points: tuple[Point, ...]

    def on(self, width: int, height: int) -> Zone:
        """The zone in px of a picture."""
        return Zone(self.name, _in_pixels(self.points, width, height))

    def depth(self, point: Point) -> float:
        """How far (px) a point is inside, negative outside. What lies twice inside is outside (even-odd)."""
        inside, nearest = False, math.inf
        x, y = point
        for (x1, y1), (x2, y2) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                inside = not inside
            dx, dy = x2 - x1, y2 - y1
            share = min(max(((x - x1) * dx + (y - y1) * dy) / ((dx * dx + dy * dy) or 1), 0), 1)
            nearest = min(nearest, math.hypot(x - x1 - share * dx, y - y1 - share * dy))
        return nearest if inside else -nearest


@dataclass(frozen=True, slots=True)
class Event:
    """One track at one line (`in`, `out`) or zone.

    `enter`, `exit`: it came over the edge; `appear`, `vanish`: its track began or ended inside. `frame` and
    `time` (s) are those of the passing, `at` the anchor then (px); `dwell` (s) is how long the visit was.
    """

    source: str
    where: str
    what: What
    frame: int | None
    time: float
    id: int
    label: str
    at: Point
    dwell: float | None = None


@dataclass(slots=True)
class LineCount:
    """How many went over a line, by label. `latest` (s): when the last one did."""

    line: Line
    into: Tally[str] = field(default_factory=Tally)
    out: Tally[str] = field(default_factory=Tally)
    latest: float | None = None

    def row(self) -> dict[str, Any]:
        """As the record has it."""
        return {"line": self.line.name, "in": dict(self.into), "out": dict(self.out)}


@dataclass(slots=True)
class ZoneCount:
    """What came to a zone, by label: over its edge (`entries`, `exits`), and `visits`, which began anyhow.

    `inside`: how many are there now. `stayed` (s) adds up the visits that are over, `ended` counts them and
    `longest` (s) is the longest of them.
    """

    zone: Zone
    entries: Tally[str] = field(default_factory=Tally)
    exits: Tally[str] = field(default_factory=Tally)
    visits: Tally[str] = field(default_factory=Tally)
    inside: int = 0
    ended: int = 0
    stayed: float = 0.0
    longest: float = 0.0
    latest: float | None = None

    def row(self) -> dict[str, Any]:
        """As the record has it."""
        dwell = {
            "mean": round(self.stayed / self.ended, 4) if self.ended else None,
            "longest": round(self.longest, 4) if self.ended else None,
        }
        return {
            "zone": self.zone.name, "entries": dict(self.entries), "exits": dict(self.exits),
            "visits": dict(self.visits), "dwell": dwell,
        }  # fmt: skip


Count = LineCount | ZoneCount


@dataclass(slots=True)
class _Moment:
    """A sight of a track."""

    frame: int | None
    time: float
    at: Point
    label: str


@dataclass(slots=True)
class _Crossing:
    """A track beside a line: the side (-1 left, 1 right) it is on for certain, and what came since.

    `net` adds up its passages of the line, `passed` is the latest.
    """

    side: int
    on: int  # the side of the latest sight
    net: int = 0
    passed: _Moment | None = None


@dataclass(slots=True)
class _Visit:
    """A track in a zone since `entered`; `left` is its first sight outside, where it is not yet out."""

    entered: _Moment
    left: _Moment | None = None


@dataclass(slots=True)
class _Track:
    latest: _Moment
    crossings: dict[int, _Crossing] = field(default_factory=dict)
    visits: dict[int, _Visit] = field(default_factory=dict)


class Counter:
    """Counts one video's tracks at lines and zones, in memory that follows the tracks at hand.

    `patience` (s): a track that was not seen for so long has ended; at least as long as the tracker waits.
    """

    def __init__(self, lines: Sequence[Line], zones: Sequence[Zone], *, patience: float = PATIENCE) -> None:
        self._given = (tuple(lines), tuple(zones))
        self.lines = [LineCount(line) for line in lines]
        self.zones = [ZoneCount(zone) for zone in zones]
        self._patience = patience
        self._size = (0, 0)
        self._source = ""
        self._tracks: dict[int, _Track] = {}  # the one that was not seen for longest comes first

    def update(self, result: Result) -> list[Event]:
        """What happens with the next frame's result; objects without an id are passed over."""
        if (result.width, result.height) != self._size:
            self._fit(result.width, result.height)
        self._source = result.source
        now = result.time or 0.0
        events: list[Event] = []
        found = result.detections
        ids = [] if found.ids is None else found.ids.tolist()
        for track, label, (x1, y1, x2, y2) in zip(ids, result.labels, found.boxes.tolist(), strict=False):
            moment = _Moment(result.frame, now, ((x1 + x2) / 2, y2), label)
            band = max(BAND * math.hypot(x2 - x1, y2 - y1), NARROWEST)
            events += self._move(track, moment, band)
        while self._tracks:
            track, state = next(iter(self._tracks.items()))
            if now - state.latest.time <= self._patience:
                break
            events += self._forget(track)
        return events

    def end(self) -> list[Event]:
        """What is left to say when the video has ended."""
        return [event for track in list(self._tracks) for event in self._forget(track)]

    def counts(self) -> list[Count]:
        """The lines, then the zones, with what they have so far."""
        return [*self.lines, *self.zones]

    def _fit(self, width: int, height: int) -> None:
        """Lay lines and zones over pictures of another size; where tracks are, begins anew."""
        self._size = (width, height)
        for line, given in zip(self.lines, self._given[0], strict=True):
            line.line = given.on(width, height)
        for zone, given_zone in zip(self.zones, self._given[1], strict=True):
            zone.zone = given_zone.on(width, height)
        for state in self._tracks.values():
            state.crossings.clear()

    def _move(self, track: int, now: _Moment, band: float) -> Iterable[Event]:
        state = self._tracks.pop(track, None)
        before = None if state is None else state.latest
        state = state or _Track(now)
        self._tracks[track] = state
        for i, line in enumerate(self.lines):
            yield from self._at_line(track, state.crossings, i, line, before, now, band)
        for i, zone in enumerate(self.zones):
            yield from self._at_zone(track, state.visits, i, zone, now, band, new=before is None)
        state.latest = now

    def _at_line(
        self, track: int, crossings: dict[int, _Crossing], i: int, count: LineCount,
        before: _Moment | None, now: _Moment, band: float,
    ) -> Iterable[Event]:  # fmt: skip
        distance = count.line.side(now.at)
        on = 0 if distance == 0 else int(math.copysign(1, distance))
        if i not in crossings or before is None:
            if on:
                crossings[i] = _Crossing(on, on)
            return
        crossing = crossings[i]
        if on and on != crossing.on:
            if count.line.passed_between(before.at, now.at):
                crossing.net += on
                crossing.passed = now
            crossing.on = on
        if abs(distance) > band and on != crossing.side:
            yield from self._cross(track, crossing, count)
        elif abs(distance) > band:
            crossing.net = 0

    def _cross(self, track: int, crossing: _Crossing, count: LineCount) -> Iterable[Event]:
        """The track is on the other side for certain."""
        through = crossing.net * crossing.on > 0
        crossing.side, crossing.net = crossing.on, 0
        if through and crossing.passed is not None:
            passed = crossing.passed
            what: What = "in" if crossing.side > 0 else "out"
            (count.into if what == "in" else count.out)[passed.label] += 1
            count.latest = passed.time
            yield self._event(count.line.name, what, track, passed)

    def _at_zone(
        self, track: int, visits: dict[int, _Visit], i: int, count: ZoneCount,
        now: _Moment, band: float, *, new: bool,
    ) -> Iterable[Event]:  # fmt: skip
        depth = count.zone.depth(now.at)
        visit = visits.get(i)
        if visit is None:
            if depth > 0:
                visits[i] = _Visit(now)
                yield self._enter(track, now, count, new=new)
        elif depth > 0:
            visit.left = None
        else:
            visit.left = visit.left or now
            if depth < -band:
                del visits[i]
                yield self._leave(track, visit, visit.left, count, "exit")

    def _enter(self, track: int, now: _Moment, count: ZoneCount, *, new: bool) -> Event:
        count.visits[now.label] += 1
        if not new:
            count.entries[now.label] += 1
        count.inside += 1
        count.latest = now.time
        return self._event(count.zone.name, "appear" if new else "enter", track, now)

    def _leave(self, track: int, visit: _Visit, now: _Moment, count: ZoneCount, what: What) -> Event:
        dwell = now.time - visit.entered.time
        if what == "exit":
            count.exits[now.label] += 1
            count.latest = now.time
        count.inside -= 1
        count.ended += 1
        count.stayed += dwell
        count.longest = max(count.longest, dwell)
        return self._event(count.zone.name, what, track, now, dwell)

    def _forget(self, track: int) -> Iterable[Event]:
        """The track has ended: what it passed without going on counts now, and its visits are over."""
        state = self._tracks.pop(track)
        for i, crossing in state.crossings.items():
            if crossing.on != crossing.side:
                yield from self._cross(track, crossing, self.lines[i])
        for i, visit in state.visits.items():
            what: What = "vanish" if visit.left is None else "exit"
            yield self._leave(track, visit, visit.left or state.latest, self.zones[i], what)

    def _event(self, where: str, what: What, track: int, at: _Moment, dwell: float | None = None) -> Event:
        return Event(self._source, where, what, at.frame, at.time, track, at.label, at.at, dwell)


def parse_line(text: str, number: int = 1) -> Line:
    """`x1,y1,x2,y2` or `x1,y1,x2,y2,name` as a line; without a name it is `line NUMBER`.

    Raises: UsageError.
    """
    *head, name = [*text.split(",", 4), ""][:5] if text.count(",") >= 4 else [*text.split(","), ""]
    numbers = [_number(part) for part in head]
    wanted = "x1,y1,x2,y2 or x1,y1,x2,y2,name: pixels, or shares of width and height (0 to 1)"
    if len(numbers) != 4 or None in numbers:
        raise UsageError(f"--line {text}: not a line", hint=wanted)
    x1, y1, x2, y2 = (n for n in numbers if n is not None)
    if (x1, y1) == (x2, y2):
        raise UsageError(f"--line {text}: both ends are the same point", hint=wanted)
    return Line(name.strip() or f"line {number}", (x1, y1), (x2, y2))


def read_zones(path: Path) -> list[Zone]:
    """The zones of a JSON file: `{"door": [[x, y], …], …}`, or a list of polygons without names.

    Raises: UsageError for what is no such file.
    """
    wanted = '{"name": [[x, y], [x, y], [x, y], …], …}'
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"--zone {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"--zone {path}: not JSON: {error}", hint=wanted) from error
    if isinstance(content, list):
        content = {f"zone {i}": points for i, points in enumerate(content, 1)}
    if not isinstance(content, dict) or not content:
        raise UsageError(f"--zone {path}: no zones in it", hint=wanted)
    return [
        Zone(name, _polygon(points, f"--zone {path}: {name}", wanted)) for name, points in content.items()
    ]


def check_names(lines: Sequence[Line], zones: Sequence[Zone]) -> None:
    """UsageError where two lines or zones have one name: nobody could tell their counts apart."""
    names = Tally([*(line.name for line in lines), *(zone.name for zone in zones)])
    twice = next((name for name, times in names.items() if times > 1), None)
    if twice is not None:
        raise UsageError(f"two lines or zones are called {twice!r}", hint="give each a name of its own")


def outside(shape: Line | Zone, width: int, height: int) -> bool:
    """Whether none of it lies in a picture of that size: pixels of another video, perhaps."""
    placed = shape.on(width, height)
    points = (placed.start, placed.end) if isinstance(placed, Line) else placed.points
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return max(xs) < 0 or max(ys) < 0 or min(xs) > width or min(ys) > height


def _polygon(points: object, where: str, wanted: str) -> tuple[Point, ...]:
    if not isinstance(points, list) or not all(isinstance(p, list) and len(p) == 2 for p in points):
        raise UsageError(f"{where}: not a list of points", hint=wanted)
    corners = tuple((x, y) for x, y in points)
    if not all(_is_number(v) for corner in corners for v in corner):
        raise UsageError(f"{where}: a point is two numbers", hint=wanted)
    if len(set(corners)) < 3:
        raise UsageError(f"{where}: a polygon has three corners or more", hint=wanted)
    return tuple((float(x), float(y)) for x, y in corners)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _in_pixels(points: Sequence[Point], width: int, height: int) -> tuple[Point, ...]:
    if all(0 <= v <= 1 for point in points for v in point):
        return tuple((x * width, y * height) for x, y in points)
    return tuple(points)
