"""The record of a run (`--jsonl`): one JSON object a line, written whole, readable at any moment.

`docs/record.schema.json` is its JSON Schema and `docs/outputs.md` its description. A record starts with a
`run` line, has a `result` or an `error` line for every picture and frame, a `done` line after each video,
and ends with an `end` line unless the process was killed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from visioncli import __version__
from visioncli.errors import InputError
from visioncli.output.stream import LineStream

if TYPE_CHECKING:
    from visioncli.media.frame import Failure
    from visioncli.results import Result
    from visioncli.track.summary import VideoSummary

SCHEMA = 1

Line = dict[str, Any]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is about: its first line.

    `weights` is the variant's or the file's name, `sha256` of the weights file, `names` the labels in the
    order of the classes, `options` what the user could have set (JSON values, paths, sets), `started` in
    UTC, ISO 8601.
    """

    task: str
    model: str
    weights: str | None
    sha256: str | None
    names: Sequence[str] = field(repr=False)
    options: Mapping[str, Any]
    started: str = field(default_factory=_now)

    def line(self) -> Line:
        """The `run` line."""
        return {
            "type": "run",
            "schema": SCHEMA,
            "tool": "vision",
            "version": __version__,
            "task": self.task,
            "model": {
                "name": self.model,
                "weights": self.weights,
                "sha256": self.sha256,
                "names": list(self.names),
            },
            "options": dict(self.options),
            "started": self.started,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended: its last line. `inputs` were opened or refused, `errors` counts the `error` lines."""

    inputs: int
    errors: int
    seconds: float
    interrupted: bool = False

    def line(self) -> Line:
        """The `end` line."""
        line: Line = {
            "type": "end",
            "inputs": self.inputs,
            "errors": self.errors,
            "seconds": round(self.seconds, 4),
        }
        if self.interrupted:
            line["interrupted"] = True
        return line


def result_line(result: Result, *, polygons: bool = False) -> Line:
    """The `result` line of a picture, or of a frame (then with `frame` and `time`).

    `polygons` adds each mask's outline to its run lengths.
    """
    line: Line = {"type": "result", "source": result.source}
    if result.frame is not None:
        line["frame"] = result.frame
        line["time"] = None if result.time is None else round(result.time, 4)
    line["width"] = result.width
    line["height"] = result.height
    if result.mask_file is not None:
        line["mask_file"] = result.mask_file
    line["results"] = result.objects(masks=True, polygons=polygons)
    return line


def error_line(failure: Failure) -> Line:
    """The `error` line of an input, or of a frame, that gave no result."""
    return {
        "type": "error",
        "source": failure.source,
        "frame": failure.frame,
        "kind": failure.kind,
        "message": failure.message,
    }


def summary_line(source: str, summary: VideoSummary) -> Line:
    """The `summary` line of a tracked video, before its `done`: its tracks, and what was counted."""
    return {"type": "summary", "source": source, **summary.fields()}


def done_line(source: str, frames: int, skipped_packets: int, dropped_frames: int = 0) -> Line:
    """The `done` line that closes a video; of a live source with the frames that were dropped, if any."""
    line: Line = {"type": "done", "source": source, "frames": frames, "skipped_packets": skipped_packets}
    if dropped_frames:
        line["dropped_frames"] = dropped_frames
    return line


def dumps(line: Mapping[str, Any]) -> bytes:
    """One line as UTF-8 JSON, newline included.

    File names may hold bytes that are no UTF-8; each such byte is written as U+FFFD, since JSON is UTF-8.
    """
    try:
        return orjson.dumps(line, default=_plain, option=_OPTIONS)
    except TypeError:
        return orjson.dumps(_clean(line), default=_plain, option=_OPTIONS)


_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
_SURROGATE = re.compile("[\ud800-\udfff]")


def valid(text: str) -> str:
    """`text` as valid Unicode: surrogates (undecodable bytes of file names) become U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def _plain(value: object) -> object:
    if isinstance(value, os.PathLike):
        return valid(os.fspath(value))
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no place in a record")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return valid(value)
    if isinstance(value, Mapping):
        return {_clean(k): _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value


class RecordWriter:
    """Writes a record to a file, to stdout (`-`) or to a binary stream, each line with one unbuffered write.

    Errors: as `visioncli.output.stream.LineStream`: an existing file wants `force`, a full disk is an
    OutputError, a closed pipe is a BrokenPipeError. One thread writes.
    """

    def __init__(self, target: str | os.PathLike[str] | BinaryIO, *, force: bool = False) -> None:
        self._stream = LineStream(target, force=force)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        self._stream.write(dumps(line))

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def read(source: str | os.PathLike[str] | BinaryIO) -> Iterator[Line]:
    """The lines of a record, one after the other, in flat memory.

    A last line without its newline that is no JSON was cut by a kill: it is left out. Any other damage is
    refused.

    Raises: InputError, with the line's number, for what is no record, and for a schema newer than ours.
    """
    if not isinstance(source, str | os.PathLike):
        yield from _lines(source, str(getattr(source, "name", "stream")))
        return
    try:
        with Path(source).open("rb") as stream:
            yield from _lines(stream, str(source))
    except FileNotFoundError as error:
        raise InputError(f"{source}: no such file", kind="not_found") from error
    except IsADirectoryError as error:
        raise InputError(f"{source}: is a folder, not a record", kind="unsupported") from error


def _lines(stream: BinaryIO, name: str) -> Iterator[Line]:
    for number, raw in enumerate(stream, 1):
        try:
            line = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            if not raw.endswith(b"\n"):
                return
            raise InputError(f"{name}:{number}: not a line of a record: {error.msg}") from error
        if not isinstance(line, dict) or not isinstance(line.get("type"), str):
            raise InputError(f"{name}:{number}: not a line of a record: an object with a type is wanted")
        if line["type"] == "run" and line.get("schema") != SCHEMA:
            raise InputError(
                f"{name}:{number}: a record of schema {line.get('schema')}, this vision reads {SCHEMA}",
                hint="use the version of vision that wrote it",
                kind="unsupported",
            )
        yield line
