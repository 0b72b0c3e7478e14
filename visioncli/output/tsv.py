r"""Tab-separated lines, what a pipe gets: source, frame, time, label, score, box x1 y1 x2 y2, id.

Where there are masks, area and fraction of the picture follow. Fields that a result has no use for are empty.
A tab, newline, carriage return or backslash inside a field is written `\t`, `\n`, `\r`, `\\`, so that a line
is always one result and a tab always a field's end.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from visioncli.output import Sink
from visioncli.output.stream import LineStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visioncli.results import Result

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Lines(Sink):
    """One line a result; a picture in which nothing was found has none. Failures are on stderr only."""

    def __init__(self, target: str | os.PathLike[str] | BinaryIO = "-") -> None:
        self._stream = LineStream(target)

    def result(self, result: Result) -> None:
        """The lines of a picture or frame, in one write."""
        frame = "" if result.frame is None else str(result.frame)
        time = "" if result.time is None else f"{result.time:.4f}"
        lines = []
        for row in result.objects():
            box = [f"{v:.2f}" for v in row["box"]] if "box" in row else [""] * 4
            score = f"{row['score']:.4f}" if "score" in row else ""
            track = str(row.get("id", ""))
            shape = [str(row["area"]), f"{row['fraction']:.4f}"] if "area" in row else []
            lines.append(line([result.source, frame, time, row["label"], score, *box, track, *shape]))
        if lines:
            self._stream.write(b"".join(lines))

    def close(self) -> None:
        """Close the file, if it is one."""
        self._stream.close()


def line(fields: Sequence[str]) -> bytes:
    """Fields as one line; the undecodable bytes of a file name come out as they were."""
    text = "\t".join(field.translate(_ESCAPES) for field in fields) + "\n"
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode("utf-8", "replace")
