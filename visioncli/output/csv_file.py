"""A table for spreadsheets and data frames: `--csv FILE`, RFC 4180 with a header."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from visioncli.media.atomic import commit, discard, temporary_name
from visioncli.output import Sink
from visioncli.output.stream import STDOUT, LineStream, check_target
from visioncli.records import valid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from visioncli.media.frame import Failure
    from visioncli.records import Run, Summary
    from visioncli.results import Result

COLUMNS = (
    "source", "frame", "time", "width", "height", "label", "class", "score",
    "x1", "y1", "x2", "y2", "id", "error",
)  # fmt: skip
SHAPES = ("area", "fraction")  # before the error, where there are masks


class Rows(Sink):
    """A CSV file, written beside its final name, which it takes at the end; stdout (`-`) grows by rows."""

    columns: Sequence[str]

    def __init__(self, target: str | os.PathLike[str] | BinaryIO, *, force: bool = False) -> None:
        self._names: tuple[Path, Path] | None = None  # the temporary and the final one
        if isinstance(target, str | os.PathLike) and os.fspath(target) != STDOUT:
            path = Path(target)
            check_target(path, force=force)
            if path.is_file() or not path.exists():
                target = temporary_name(path)
                self._names = target, path
        self._stream = LineStream(target, force=True)

    def start(self, run: Run) -> None:
        """The header."""
        self.write([self.columns])

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        """Append rows, in one write; None is an empty field."""
        written = b"".join(map(row, rows))
        if written:
            self._stream.write(written)

    def end(self, summary: Summary) -> None:
        """The file takes its name."""
        self._stream.close()
        if self._names is not None:
            commit(*self._names)

    def close(self) -> None:
        """Remove what has not come to its end."""
        self._stream.close()
        if self._names is not None:
            discard(self._names[0])


class CsvFile(Rows):
    """One row a result, one a failure (`error`: `kind: message`); a picture with nothing found has none."""

    columns: Sequence[str] = COLUMNS

    def start(self, run: Run) -> None:
        """The header; `segment` has columns of its own."""
        if run.task == "segment":
            self.columns = (*COLUMNS[:-1], *SHAPES, COLUMNS[-1])
        super().start(run)

    def result(self, result: Result) -> None:
        """The rows of a picture or frame."""
        where = (valid(result.source), result.frame, None if result.time is None else round(result.time, 4))
        self.write(
            [*where, result.width, result.height, r["label"], r["class"], r.get("score"),
             *r.get("box", (None,) * 4), r.get("id"), *(r[c] for c in SHAPES if c in self.columns), None]
            for r in result.objects()
        )  # fmt: skip

    def failure(self, failure: Failure) -> None:
        """A row with the reason."""
        reason = valid(f"{failure.kind}: {failure.message}")
        empty = (None,) * (len(self.columns) - 3)
        self.write([[valid(failure.source), failure.frame, *empty, reason]])


def row(fields: Sequence[object]) -> bytes:
    """Fields as one row in UTF-8; None is an empty field."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(fields)
    return text.getvalue().encode("utf-8")
