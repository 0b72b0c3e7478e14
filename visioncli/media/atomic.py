"""Whole files or none: write under a hidden name in the same folder, then rename."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from visioncli.errors import OutputError, VisionError

_NAME_MAX = 255  # bytes of one path component on every usual file system
_serial = itertools.count()

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another folder"),
    errno.EFBIG: ("the file would be larger than is allowed here", "see `ulimit -f`"),
    errno.EACCES: ("permission denied", "choose a folder that you may write to"),
    errno.EPERM: ("not permitted", "choose a folder that you may write to"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another folder"),
    errno.EISDIR: ("it is a folder", "name a file"),
    errno.EEXIST: ("a file is where a folder should be", "choose another folder"),
    errno.ENOENT: ("no such folder", "make the folder first"),
}


def output_error(path: Path, error: OSError) -> OutputError:
    """The `OutputError` that names `path` and says in plain words why it could not be written."""
    reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), None))
    return OutputError(f"cannot write {path}: {reason}", hint=hint)


def temporary_name(final: Path) -> Path:
    """A hidden name beside `final` that no other process or thread uses; it fits where `final` fits.

    It is valid UTF-8 even where the name of `final` is not.
    """
    tail = f".{os.getpid()}-{next(_serial)}.part"
    name = f".{final.name}"
    if len(os.fsencode(name + tail)) > _NAME_MAX or any("\ud800" <= c <= "\udfff" for c in name):
        name = "." + hashlib.sha256(os.fsencode(final.name)).hexdigest()[:16]
    return final.with_name(name + tail)


def make_folder(folder: Path) -> None:
    """Make `folder` and what is above it; OutputError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def commit(temporary: Path, final: Path) -> None:
    """Give the finished `temporary` its name, in place of what was there; it is removed where that fails."""
    try:
        temporary.replace(final)
    except OSError as error:
        discard(temporary)
        raise output_error(final, error) from error


def discard(temporary: Path) -> None:
    """Remove `temporary` if it exists. What cannot be removed stays, under its hidden name."""
    with suppress(OSError):
        temporary.unlink()


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """A temporary path beside `final`: renamed to it when the block ends, removed when the block raises.

    The folder of `final` must exist. An OSError in the block or the rename becomes an OutputError that names
    `final`; everything else, KeyboardInterrupt too, passes through unchanged.
    """
    temporary = temporary_name(final)
    try:
        yield temporary
        commit(temporary, final)
    except VisionError:  # has its message already, and some of them are OSErrors too
        raise
    except OSError as error:
        raise output_error(final, error) from error
    finally:
        discard(temporary)
