"""Crossings, entries and exits as a table: `--events FILE.csv`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from visioncli.output.csv_file import Rows
from visioncli.records import valid

if TYPE_CHECKING:
    from visioncli.track.counting import Event


class EventsFile(Rows):
    """One row an event, in the order in which they become certain; `x` and `y` are the anchor's, in px."""

    columns = ("source", "time", "frame", "where", "event", "id", "label", "x", "y", "dwell")

    def happened(self, events: Iterable[Event]) -> None:
        """The events' rows."""
        self.write(
            [valid(e.source), round(e.time, 4), e.frame, e.where, e.what, e.id, e.label,
             round(e.at[0], 2), round(e.at[1], 2), None if e.dwell is None else round(e.dwell, 4)]
            for e in events
        )  # fmt: skip
