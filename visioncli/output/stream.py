"""Where data goes: a file the user named, or stdout, written in whole lines."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

from visioncli.errors import OutputError, UsageError

STDOUT = "-"


def check_target(path: Path, *, force: bool) -> None:
    """Refuse, before any work, a file that could not be written or that must not be overwritten.

    Devices and pipes (`/dev/null`, `>(jq …)`) are not files to lose, so they need no `force`.

    Raises: UsageError when a file is there and `force` is not given; OutputError when the folder is
    missing, may not be written to, or `path` is itself a folder.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder", hint="name a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}", hint=f"mkdir -p {path.parent}")
    if path.is_file() and not force:
        raise UsageError(f"{path}: exists already", hint="--force overwrites it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OutputError(f"{path}: may not be written")


class LineStream:
    """A file, stdout (`-`) or a binary stream that grows by whole lines: one unbuffered write each.

    The file is checked at once and made with the first line, so that a run that never comes to work neither
    leaves an empty file nor empties an old one. A write that the disk cuts short is taken back where that
    can be done. One thread writes.

    Raises: as `check_target`; OutputError when a write fails; BrokenPipeError when nobody reads any more.
    """

    def __init__(self, target: str | os.PathLike[str] | BinaryIO, *, force: bool = False) -> None:
        self._stream: BinaryIO | None = None
        self._fd: int | None = None
        self._path: Path | None = None
        self._mode = 0
        if not isinstance(target, str | os.PathLike):
            self._stream = target
            self.name = str(getattr(target, "name", "stream"))
        elif os.fspath(target) == STDOUT:
            self.name = "stdout"
            self._fd = _stdout()
        else:
            self._path = Path(target)
            self.name = str(self._path)
            check_target(self._path, force=force)
            # A file that appears from now on is someone else's: O_EXCL keeps it. A device is there already.
            self._mode = os.O_TRUNC if force or self._path.exists() else os.O_EXCL

    def write(self, line: bytes) -> None:
        """Write whole lines (`line` ends with a newline)."""
        try:
            if self._stream is not None:
                self._stream.write(line)
                self._stream.flush()
                return
            if self._fd is None:
                self._fd = self._open()
            _write_all(self._fd, line)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"{self.name}: cannot be written: {_reason(error)}") from error

    def close(self) -> None:
        """Close the file; stdout and streams of others stay open."""
        if self._path is None or self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            os.close(fd)
        except OSError as error:
            raise OutputError(f"{self.name}: cannot be written: {_reason(error)}") from error

    def _open(self) -> int:
        assert self._path is not None
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | self._mode | getattr(os, "O_BINARY", 0), 0o666)


def _write_all(fd: int, line: bytes) -> None:
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError:
        written = len(line) - len(rest)
        if written:
            with contextlib.suppress(OSError):  # what went into a pipe or a device cannot be taken back
                os.ftruncate(fd, os.lseek(fd, -written, os.SEEK_CUR))
        raise


def _stdout() -> int:
    if sys.stdout is None:
        raise OutputError("stdout is closed")
    sys.stdout.flush()
    return sys.stdout.fileno()


def _reason(error: OSError) -> str:
    if error.errno == errno.EEXIST:
        return "it appeared while we were starting"
    return error.strerror or str(error)
