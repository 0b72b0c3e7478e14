"""The record as an output: `--jsonl [FILE]`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from visioncli import records
from visioncli.output import Sink

if TYPE_CHECKING:
    from visioncli.media.frame import Failure
    from visioncli.results import Result
    from visioncli.track.summary import VideoSummary


class JsonLines(Sink):
    """Writes the record to a file, or to stdout (`-`); with `polygons` also the outlines of masks."""

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO = "-",
        *,
        force: bool = False,
        polygons: bool = False,
    ) -> None:
        self._polygons = polygons
        self._writer = records.RecordWriter(target, force=force)

    def start(self, run: records.Run) -> None:
        """The `run` line."""
        self._writer.write(run.line())

    def result(self, result: Result) -> None:
        """A `result` line."""
        self._writer.write(records.result_line(result, polygons=self._polygons))

    def failure(self, failure: Failure) -> None:
        """An `error` line."""
        self._writer.write(records.error_line(failure))

    def summary(self, source: str, summary: VideoSummary) -> None:
        """A `summary` line."""
        self._writer.write(records.summary_line(source, summary))

    def done(self, source: str, frames: int, skipped_packets: int, dropped_frames: int = 0) -> None:
        """A `done` line."""
        self._writer.write(records.done_line(source, frames, skipped_packets, dropped_frames))

    def end(self, summary: records.Summary) -> None:
        """The `end` line."""
        self._writer.write(summary.line())

    def close(self) -> None:
        """Close the file; the lines in it stay."""
        self._writer.close()
