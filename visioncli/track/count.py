"""The pipeline's events with counts in them: what happened at lines and zones, and a summary a video."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from visioncli import pipeline
from visioncli.media.frame import Input
from visioncli.pipeline import Answer, Closed, Opened
from visioncli.track.counting import PATIENCE, Event
from visioncli.track.shapes import Line, Zone, outside
from visioncli.track.summary import Ledger, VideoSummary


@dataclass(frozen=True, slots=True)
class Happened:
    """Tracks crossed lines, came to zones or left them; comes before the answer that shows it."""

    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Summed:
    """A video's summary; comes before the video is closed, and not where it was cut."""

    input: Input
    summary: VideoSummary


@dataclass(frozen=True, slots=True)
class Counting:
    """What to count at. `patience` (s): a track that was not seen for so long has ended.

    `warn` is told of lines and zones that lie outside a video's picture.
    """

    lines: Sequence[Line] = ()
    zones: Sequence[Zone] = ()
    patience: float = PATIENCE
    warn: Callable[[str], None] = lambda text: None

    def options(self) -> dict[str, Any]:
        """For the record's first line."""
        lines = {line.name: [*line.start, *line.end] for line in self.lines}
        return {"lines": lines, "zones": {zone.name: list(zone.points) for zone in self.zones}}

    def count(
        self, events: Generator[pipeline.Event, None, None]
    ) -> Generator[pipeline.Event | Happened | Summed, None, None]:
        """The events of a run of tracked videos, with what was counted between them."""
        ledger: Ledger | None = None
        with closing(events):
            for event in events:
                if isinstance(event, Opened):
                    ledger = Ledger(self.lines, self.zones, self.patience)
                    self._check(event)
                elif isinstance(event, Answer) and ledger is not None:
                    happened = ledger.take(event.result)
                    if happened:
                        yield Happened(happened)
                    event = replace(event, signs=ledger.signs(event.result.time or 0.0))
                elif isinstance(event, Closed) and ledger is not None and not event.cut:
                    summary, happened = ledger.end()
                    if happened:
                        yield Happened(happened)
                    yield Summed(event.input, summary)
                yield event

    def _check(self, opened: Opened) -> None:
        width, height = opened.info.width, opened.info.height
        shapes: list[Line | Zone] = [*self.lines, *self.zones]
        for shape in shapes:
            if outside(shape, width, height):
                self.warn(f"{opened.input.source}: {shape.name} lies outside its {width}×{height} px")
