"""What lies in folders and behind globs, in natural order, one folder in memory at a time."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path

_WILD = re.compile(r"[*?[]")


def natural(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """A key that sorts `a2` before `a10`, numbers before letters, cases alike; equal only for equal names."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    return [(not digits, int(digits or 0), text.casefold()) for digits, text in parts], name


def walk(folder: Path, *, recursive: bool) -> Iterator[Path | OSError]:
    """The files in a folder, then with `recursive` those of its sub-folders; an OSError where refused.

    Hidden files and folders are left out; links to folders are not followed below `folder`.
    """
    try:
        entries = _entries(folder)
    except OSError as error:
        yield error
        return
    subfolders = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            subfolders.append(entry.name)
        else:
            yield folder / entry.name
    if recursive:
        for name in subfolders:
            if not (folder / name).is_symlink():
                yield from walk(folder / name, recursive=True)


def is_glob(text: str) -> bool:
    """Whether `text` has a wildcard (`*`, `?`, `[`) in it."""
    return _WILD.search(text) is not None


def fixed_part(pattern: str) -> Path:
    """The folder before the first wildcard."""
    return Path(*_split(pattern)[0])


def expand(pattern: str) -> Iterator[Path]:
    """The files that a glob names (`**` for any folders, none included); folders are left out.

    As in a shell a wildcard does not match a leading dot. What cannot be listed matches nothing.
    """
    fixed, wild = _split(pattern)
    yield from _matches(Path(*fixed), wild)


def _split(pattern: str) -> tuple[list[str], list[str]]:
    parts = list(Path(pattern).parts)
    first = next(i for i, part in enumerate(parts) if is_glob(part))
    return parts[:first], parts[first:]


def _matches(folder: Path, parts: list[str]) -> Iterator[Path]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _matches(folder, rest or ["*"])
    elif not is_glob(part):
        if rest and (folder / part).is_dir():
            yield from _matches(folder / part, rest)
        elif not rest and (folder / part).is_file():
            yield folder / part
        return
    try:
        entries = _entries(folder)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") and not part.startswith("."):
            continue
        if part == "**":
            if _is_folder(entry) and not entry.is_symlink():
                yield from _matches(folder / entry.name, parts)
        elif fnmatch.fnmatchcase(entry.name, part):
            if rest and _is_folder(entry):
                yield from _matches(folder / entry.name, rest)
            elif not rest and not _is_folder(entry):
                yield folder / entry.name


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: natural(entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads nowhere; reading it says so
