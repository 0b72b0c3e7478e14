"""Names of files for inputs: flat while they are distinct, else their tree, never twice, never outside."""

from __future__ import annotations

import itertools
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path, PurePath

from visioncli.errors import OutputError, UsageError
from visioncli.media.frame import Input

_SAME_FORMAT = {".jpg": {".jpg", ".jpeg", ".jpe", ".jfif"}}
_MEDIA_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|png|apng|webp|gif|bmp|dib|tiff?|tga|ppm|pgm|pbm|pnm|pcx|heic|heif|avif|jp2|j2k|jpx|mpo|ico"
    r"|icns|psd|sgi|qoi|dds|exr|hdr|mp4|m4v|mov|mkv|webm|avi|mpe?g|m2v|m2ts|mts|ts|wmv|flv|ogv|3gp|mxf|y4m)",
    re.IGNORECASE,
)
_NAME_MAX = 240  # bytes; leaves room for a number and a suffix


class Names:
    """Which names under one folder are taken, and by which source. `option` is what named the folder."""

    def __init__(self, root: Path, option: str, *, must_be_new: bool) -> None:
        if root.exists() and not root.is_dir():
            raise UsageError(f"{root} is a file, not a folder", hint="name a folder")
        _check_writable(root)
        self._root = root
        self._option = option
        self._must_be_new = must_be_new
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def claim(self, input: Input, suffix: str, *, many: bool = False) -> Path:
        """A path for `input` that no other has, with `suffix` in place of its own.

        Without a suffix it is a folder for its files or, with `many`, what their names begin with: these are
        not known yet, and may exist.
        """
        parts = _inside(input.relative)
        with self._lock:
            relative = next(
                r for r in _candidates(parts, input, suffix) if os.path.normcase(r) not in self._taken
            )
            self._taken.add(os.path.normcase(relative))
        path = self._root / relative
        if not many:
            self._check(path, input)
        return path

    def _check(self, path: Path, input: Input) -> None:
        if not path.exists():
            return
        if isinstance(input.where, Path) and path.samefile(input.where):
            raise UsageError(
                f"{path} is an input, and would be overwritten", hint=f"choose another {self._option}"
            )
        if self._must_be_new:
            raise UsageError(
                f"{path} exists already", hint=f"--force overwrites it, or choose another {self._option}"
            )


def _candidates(parts: tuple[str, ...], input: Input, suffix: str) -> Iterator[Path]:
    """Relative paths for `input` by preference: its name, its tree, its parent folder's name, numbers."""
    folders, name = parts[:-1], _renamed(parts[-1], suffix)
    yield Path(name)
    yield Path(*folders, name)
    if isinstance(input.where, Path):
        parent = input.where.absolute().parent.name
        if parent not in ("", ".."):
            yield Path(_short(parent), name)
    stem = name.removesuffix(suffix) if suffix else name
    for number in itertools.count(2):
        yield Path(*folders, f"{stem}-{number}{suffix}")


def _inside(relative: PurePath) -> tuple[str, ...]:
    """The parts of a relative path that stay in the folder: no root, no drive, no `..`; at least a name."""
    parts = [part for part in relative.parts if part not in ("..", ".", relative.anchor)]
    cleaned = [_short(part.replace("\0", "_").replace("/", "_").replace("\\", "_")) for part in parts]
    if not cleaned or cleaned[-1] == "-":
        cleaned[-1:] = ["stdin"]
    return tuple(cleaned)


def _short(name: str) -> str:
    """The name cut to what a file system takes, with room for a number and a suffix."""
    if len(os.fsencode(name)) <= _NAME_MAX:
        return name
    while len(os.fsencode(name)) > _NAME_MAX:
        name = name[:-1]
    return name


def _renamed(name: str, suffix: str) -> str:
    """`name` with `suffix`, in place of its own where that is a picture's or a video's (`""`: taken off)."""
    stem, own = PurePath(name).stem, PurePath(name).suffix
    if own.lower() == suffix or own.lower() in _SAME_FORMAT.get(suffix, ()):
        return name
    return (stem if _MEDIA_SUFFIX.fullmatch(own) and stem else name) + suffix


def _check_writable(folder: Path) -> None:
    """OutputError now, not after an hour's work, if `folder` cannot be made or written to."""
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise OutputError(f"cannot write into {folder}: {existing} is a file", hint="choose another folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write into {folder}: permission denied", hint="choose a folder that you may write to"
        )
