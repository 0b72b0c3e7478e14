"""Bytes that come in a stream (stdin, a FIFO, a download): into memory, or a temporary file when long."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import IO, Literal

from visioncli.errors import InputError
from visioncli.media import sniff
from visioncli.media.frame import Input

# A video longer than this goes to a temporary file (containers must be seekable); a picture beyond the second
# figure is no picture.
IN_MEMORY = 64 << 20
LARGEST_PICTURE = 512 << 20

CHUNK = 1 << 16
LONGEST_ENTRY = 1 << 20


def spool(
    chunks: Iterable[bytes], source: str, kind: Literal["picture", "video"], relative: PurePath
) -> Input:
    """An Input of all the bytes of `chunks`; its temporary file, if any, is removed when the Input is gone.

    Raises InputError `too_large` for a picture of more than 512 MiB and `unreadable` where the disk is full.
    """
    held = bytearray()
    stream = iter(chunks)
    for chunk in stream:
        held += chunk
        if kind == "video" and len(held) > IN_MEMORY:
            return _to_disk(held, stream, source, relative)
        if len(held) > LARGEST_PICTURE:
            raise InputError(f"{source}: a picture of more than 512 MiB", kind="too_large")
    return Input(source, kind, bytes(held), relative)


def _to_disk(held: bytearray, rest: Iterable[bytes], source: str, relative: PurePath) -> Input:
    file = tempfile.NamedTemporaryFile(prefix="vision-", suffix=relative.suffix, delete=False)  # noqa: SIM115
    path = Path(file.name)
    try:
        with file:
            file.write(held)
            held.clear()
            for chunk in rest:
                file.write(chunk)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f"{source}: cannot be kept in {path.parent} ({error})", kind="unreadable") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    spooled = Input(source, "video", path, relative)
    weakref.finalize(spooled, path.unlink, missing_ok=True)
    return spooled


def _read_some(stream: IO[bytes], size: int = CHUNK) -> bytes:
    """What is there, without waiting for more, where the stream can tell."""
    read = getattr(stream, "read1", stream.read)
    data: bytes = read(size)
    return data


def begin(stream: IO[bytes]) -> tuple[bytes, sniff.Media | None]:
    """The first bytes and what they are, as soon as it is clear: a slowly growing list is not waited for."""
    head = b""
    while len(head) < sniff.HEAD:
        more = _read_some(stream)
        head += more
        media = sniff.sniff(head)
        if not more or (media is not None and (media.what != "text" or b"\n" in head)):
            return head, media
    return head, sniff.sniff(head[: sniff.HEAD])


def chunks(stream: IO[bytes], head: bytes) -> Iterator[bytes]:
    """All bytes of a stream of which `head` has been read."""
    yield head
    while chunk := _read_some(stream):
        yield chunk


def entries(stream: IO[bytes], head: bytes, separator: bytes) -> Iterator[bytes]:
    """The pieces between separators, each as soon as it is whole; InputError for one longer than any name."""
    pending = head
    while True:
        *whole, pending = pending.split(separator)
        yield from whole
        if len(pending) > LONGEST_ENTRY:
            raise InputError("no list: an entry of it is longer than any name", kind="unsupported")
        more = _read_some(stream)
        if not more:
            break
        pending += more
    yield pending
