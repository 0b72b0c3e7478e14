"""What a video's tracks come to: how many of what, how long they are, and what was counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from visioncli.track.counting import PATIENCE, Counter, Event, LineCount, Sign, ZoneCount
from visioncli.track.shapes import Line, Zone

if TYPE_CHECKING:
    from visioncli.results import Result


@dataclass(slots=True)
class LabelTracks:
    """The tracks of one label: how many, from their first sight to their last in s, the longest of them."""

    count: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    @property
    def mean(self) -> float:
        """The mean length in s."""
        return self.seconds / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class VideoSummary:
    """One video: its tracks by label, the most frequent first, and the counts of its lines and zones."""

    labels: dict[str, LabelTracks]
    lines: Sequence[LineCount] = ()
    zones: Sequence[ZoneCount] = ()

    @property
    def tracks(self) -> LabelTracks:
        """All labels together."""
        every = self.labels.values()
        return LabelTracks(
            sum(one.count for one in every),
            sum(one.seconds for one in every),
            max((one.longest for one in every), default=0.0),
        )

    def fields(self) -> dict[str, Any]:
        """As the record has it."""
        tracks = self.tracks
        return {
            "tracks": {
                "count": tracks.count,
                "mean": round(tracks.mean, 4),
                "longest": round(tracks.longest, 4),
                "labels": {label: one.count for label, one in self.labels.items()},
            },
            "counts": [*(one.row() for one in self.lines), *(one.row() for one in self.zones)],
        }

    def sentences(self) -> list[str]:
        """The counts in words, one line or zone each."""
        return [*map(_line, self.lines), *map(_zone, self.zones)]


@dataclass(slots=True)
class _Open:
    """A track that may go on: when it was seen first and last (s), and its label now."""

    first: float
    last: float
    label: str


@dataclass(slots=True)
class Ledger:
    """Keeps the books of one video, in memory that follows the tracks at hand.

    `patience` (s): as `Counter` has it.
    """

    lines: Sequence[Line] = ()
    zones: Sequence[Zone] = ()
    patience: float = PATIENCE
    _counter: Counter = field(init=False)
    _open: dict[int, _Open] = field(default_factory=dict)  # the one that was not seen for longest comes first
    _labels: dict[str, LabelTracks] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._counter = Counter(self.lines, self.zones, patience=self.patience)

    def take(self, result: Result) -> list[Event]:
        """The next frame; what happened at lines and zones."""
        now = result.time or 0.0
        found = result.detections
        for track, label in zip([] if found.ids is None else found.ids.tolist(), result.labels, strict=False):
            first = self._open.pop(track).first if track in self._open else now
            self._open[track] = _Open(first, now, label)
        while self._open:
            track, one = next(iter(self._open.items()))
            if now - one.last <= self.patience:
                break
            self._close(track)
        return self._counter.update(result)

    def signs(self, now: float) -> tuple[Sign, ...]:
        """What is drawn at lines and zones at `now` (s)."""
        return self._counter.signs(now)

    def end(self) -> tuple[VideoSummary, list[Event]]:
        """The video has ended: all of it, and what was still to happen."""
        events = self._counter.end()
        for track in list(self._open):
            self._close(track)
        labels = dict(sorted(self._labels.items(), key=lambda item: -item[1].count))
        return VideoSummary(labels, self._counter.lines, self._counter.zones), events

    def _close(self, track: int) -> None:
        one = self._open.pop(track)
        label = self._labels.setdefault(one.label, LabelTracks())
        label.count += 1
        label.seconds += one.last - one.first
        label.longest = max(label.longest, one.last - one.first)


def _line(count: LineCount) -> str:
    return f"{count.line.name}: {_of('in', count.into)}, {_of('out', count.out)}"


def _zone(count: ZoneCount) -> str:
    parts = [_of("visits", count.visits), _of("entries", count.entries), _of("exits", count.exits)]
    if count.ended:
        mean = count.stayed / count.ended
        parts.append(f"mean stay {mean:.1f} s, longest {count.longest:.1f} s")
    return f"{count.zone.name}: {', '.join(parts)}"


def _of(what: str, tally: dict[str, int]) -> str:
    """`in 3 (2 car, 1 truck)`, `in 3 car`, `in 0`."""
    total = sum(tally.values())
    if len(tally) == 1:
        return f"{what} {total:,} {next(iter(tally))}"
    each = ", ".join(f"{n:,} {label}" for label, n in sorted(tally.items(), key=lambda item: -item[1]))
    return f"{what} {total:,} ({each})" if each else f"{what} 0"
