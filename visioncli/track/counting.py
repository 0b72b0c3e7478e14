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

import math
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from visioncli.track.shapes import Line, Point, Zone

if TYPE_CHECKING:
    from visioncli.results import Result

What = Literal["in", "out", "enter", "exit", "appear", "vanish"]

BAND = 0.05  # of the box's diagonal
NARROWEST = 2.0  # px: the least width of a band
PATIENCE = 2.0  # s without a sight of a track after which it has ended
LIT = 0.4  # s for which a line or zone is lit after something happened there


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


@dataclass(frozen=True, slots=True)
class Sign:
    """What is drawn at a line or zone: a text of label and counts; `lit` just after something happened."""

    shape: Line | Zone
    text: str
    lit: bool


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

    def sign(self, now: float) -> Sign:
        """As it is drawn at `now` (s)."""
        text = f"{self.line.name}   in {self.into.total():,}   out {self.out.total():,}"
        return Sign(self.line, text, self.latest is not None and now - self.latest < LIT)


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

    def sign(self, now: float) -> Sign:
        """As it is drawn at `now` (s)."""
        text = f"{self.zone.name}   {self.inside:,} inside   {self.visits.total():,} in all"
        return Sign(self.zone, text, self.latest is not None and now - self.latest < LIT)


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

    def signs(self, now: float) -> tuple[Sign, ...]:
        """What is drawn at `now` (s): the zones, then the lines."""
        return (*(zone.sign(now) for zone in self.zones), *(line.sign(now) for line in self.lines))

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
