"""One JSON array of the result and error objects on stdout: `--json`, for pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from visioncli import records
from visioncli.errors import UsageError
from visioncli.output import Sink
from visioncli.output.stream import LineStream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from visioncli.media.frame import Failure
    from visioncli.results import Result


class JsonArray(Sink):
    """Writes `[`, one object a line, `]`: an array of any length in flat memory.

    A run that is interrupted and drained still closes the array. Nothing is written before the first
    object, so that a run which fails to start leaves stdout empty.
    """

    pictures_only = True

    def __init__(self, target: str | os.PathLike[str] | BinaryIO = "-", *, polygons: bool = False) -> None:
        self._polygons = polygons
        self._stream = LineStream(target)
        self._begun = False

    def result(self, result: Result) -> None:
        """An object; UsageError for a frame of a video."""
        if result.frame is not None:
            raise streams_refused(result.source)
        self._write(records.result_line(result, polygons=self._polygons))

    def failure(self, failure: Failure) -> None:
        """An error object."""
        self._write(records.error_line(failure))

    def end(self, summary: records.Summary) -> None:
        """The closing bracket."""
        self._stream.write(b"\n]\n" if self._begun else b"[]\n")

    def _write(self, line: Mapping[str, Any]) -> None:
        self._stream.write((b",\n  " if self._begun else b"[\n  ") + records.dumps(line).rstrip(b"\n"))
        self._begun = True

    def close(self) -> None:
        """Close the file, if it is one."""
        self._stream.close()


def streams_refused(source: str) -> UsageError:
    """The error for a video or stream with `--json`."""
    return UsageError(f"{source}: --json takes pictures only", hint="--jsonl writes video and streams")
