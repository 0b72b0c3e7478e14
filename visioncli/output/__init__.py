"""Where results go: one sink a file, all with the same few methods.

`open_sinks` chooses them from the options of a command. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from visioncli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visioncli.media.frame import Failure
    from visioncli.output.terminal import Terminal
    from visioncli.records import Run, Summary
    from visioncli.results import Result
    from visioncli.track.counting import Event
    from visioncli.track.summary import VideoSummary


class Sink:
    """Takes what a run gives, in order, from one thread; a method that a sink has no use for does nothing.

    `start`, then any number of `result`, `failure` and `done`, then `end`, and `close` in any case: a sink
    that is closed without `end` leaves nothing under a final name (the record, which grows, stays as it
    is).

    Errors: OutputError when the output cannot be written, BrokenPipeError when the reader of stdout has gone.
    """

    pictures_only = False
    shows_summaries = False

    def start(self, run: Run) -> None:
        """The model is loaded, work begins."""

    def result(self, result: Result) -> None:
        """A picture's or a frame's answer."""

    def failure(self, failure: Failure) -> None:
        """An input or a frame without an answer."""

    def happened(self, events: Sequence[Event]) -> None:
        """Tracks crossed lines, came to zones or left them."""

    def summary(self, source: str, summary: VideoSummary) -> None:
        """A tracked video's summary; `done` follows."""

    def done(self, source: str, frames: int, skipped_packets: int, dropped_frames: int = 0) -> None:
        """A video has ended; `dropped_frames` are those of a live source that nobody was ready for."""

    def end(self, summary: Summary) -> None:
        """The run has ended, or was interrupted and drained."""

    def close(self) -> None:
        """Let go of files; may be called twice."""


def open_sinks(
    terminal: Terminal,
    *,
    json: bool = False,
    jsonl: str | None = None,
    csv: str | None = None,
    events: str | None = None,
    force: bool = False,
    polygons: bool = False,
) -> list[Sink]:
    """The sinks for `--json`, `--jsonl [FILE]`, `--csv FILE` and `--events FILE`, where `-` is stdout.

    `polygons` adds the outlines of masks to the first two.

    With stdout left free, a terminal gets a table (not with `--quiet`) and a pipe gets tab-separated lines.

    Raises: UsageError for two outputs on one place or an existing file without `force`; OutputError for a
    file that cannot be written. Nothing is made before the first result.
    """
    places = [name for name in (jsonl, csv, events) if name is not None] + (["-"] if json else [])
    for place in places:
        if places.count(place) > 1:
            where = "stdout" if place == "-" else place
            raise UsageError(f"two outputs cannot share {where}", hint="give one of them a FILE of its own")
    sinks: list[Sink] = []
    if jsonl is not None:
        from visioncli.output.jsonl import JsonLines

        sinks.append(JsonLines(jsonl, force=force, polygons=polygons))
    if csv is not None:
        from visioncli.output.csv_file import CsvFile

        sinks.append(CsvFile(csv, force=force))
    if events is not None:
        from visioncli.output.events import EventsFile

        sinks.append(EventsFile(events, force=force))
    if json:
        from visioncli.output.json_array import JsonArray

        sinks.append(JsonArray(polygons=polygons))
    if "-" in places:
        return sinks
    if not (sys.stdout is not None and sys.stdout.isatty()):
        from visioncli.output.tsv import Lines

        sinks.append(Lines())
    elif not terminal.quiet:
        from visioncli.output.table import Table

        sinks.append(Table(terminal))
    return sinks
