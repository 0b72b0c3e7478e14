"""What is kept between runs and may be deleted at any time: facts of checkpoints, compiled networks.

One file a thing: a line of JSON that says which, with a checksum of the bytes that follow (CRC-32: 5 ms for a
network where SHA-256 took 40, and a forger could write either). A file that is not whole, not for the key it
is asked for by, or another user's is never used; whoever asked makes it anew.
Files appear whole (`atomic_path`), so two processes that make the same thing at once only work twice.
Imports nothing heavy: `vision models list` reads it too.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from visioncli.errors import OutputError, UsageError

VARIABLE = "VISION_CACHE"
FORMAT = 2
SUFFIX = ".kept"
_MAX_HEAD = 1 << 16

Key = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the cache: what it is (`facts`, `network`, `compiled`), for which key, and for people."""

    path: Path
    kind: str
    key: Key
    about: Mapping[str, Any]
    bytes: int


def folder() -> Path:
    """`$VISION_CACHE`, else `kept` in the user's cache folder. It need not exist."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("vision", appauthor=False) / "kept"


def read(kind: str, key: Key) -> bytes | None:
    """The bytes kept under a key; None where there are none that can be trusted."""
    path = _path(kind, key)
    try:
        with path.open("rb") as file:
            if not _ours(file.fileno()):
                return None
            head = json.loads(file.readline(_MAX_HEAD))
            content = file.read()
    except (OSError, ValueError):
        return None
    wanted = {"format": FORMAT, "kind": kind, "key": dict(key), "crc32": zlib.crc32(content)}
    if not isinstance(head, dict) or any(head.get(k) != v for k, v in wanted.items()):
        return None
    return content


def write(kind: str, key: Key, content: bytes, about: Mapping[str, Any] | None = None) -> None:
    """Keep `content` under a key; `about` is for people. OutputError where it cannot be written."""
    from visioncli.media.atomic import atomic_path, make_folder

    checksum = zlib.crc32(content)
    head = {"format": FORMAT, "kind": kind, "key": dict(key), "crc32": checksum, "about": dict(about or {})}
    path = _path(kind, key)
    make_folder(path.parent)
    with atomic_path(path) as part:
        part.write_bytes(json.dumps(head).encode() + b"\n" + content)


def exists(kind: str, key: Key) -> bool:
    """Whether something is kept under a key; `read` may refuse it still."""
    return _path(kind, key).is_file()


def facts(of: str, version: str, find: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What `find()` says about the file whose SHA-256 is `of`: as JSON it is kept, and found only once.

    `version` changes when `find` means something else. Finding takes torch; looking it up does not.
    """
    key = {"weights": of, "facts": version}
    kept = read("facts", key)
    if kept is not None:
        found: Mapping[str, Any] = json.loads(kept)
        return found
    found = find()
    with suppress(OutputError):  # found again next time; a run does not fail for want of a cache
        write("facts", key, json.dumps(found).encode())
    return found


def entries() -> Iterator[Entry]:
    """All that is kept, as its own first lines say; what has none that can be read is left out."""
    try:
        paths = sorted(folder().glob(f"*{SUFFIX}"))
    except OSError:
        return
    for path in paths:
        try:
            with path.open("rb") as file:
                head = json.loads(file.readline(_MAX_HEAD))
                size = os.fstat(file.fileno()).st_size
            yield Entry(path, head["kind"], head["key"], head["about"], size)
        except (OSError, ValueError, KeyError, TypeError):
            continue


def forget(key: Key, kinds: Collection[str]) -> None:
    """Delete what other versions of the libraries, or of the code here, left for the weights of `key`."""
    for entry in entries():
        same = entry.key.get("weights") == key["weights"] and entry.key.get("card") == key.get("card")
        if entry.kind in kinds and same and not key.items() <= entry.key.items():
            with suppress(OSError):  # an older file that stays is never used
                entry.path.unlink()


def clear() -> tuple[int, int]:
    """Delete all that is kept, broken files and those left by killed processes too: how many files and bytes.

    UsageError where something is in the way.
    """
    files = size = 0
    for path in [*folder().glob(f"*{SUFFIX}"), *folder().glob(f".*{SUFFIX}.*.part")]:
        try:
            length = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"{path}: cannot be deleted: {error.strerror}") from error
        files, size = files + 1, size + length
    return files, size


@cache
def library_versions(*names: str) -> dict[str, str]:
    """The installed versions of distributions, without importing them; `none` for what is not there."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _path(kind: str, key: Key) -> Path:
    digest = hashlib.sha256(json.dumps([kind, dict(key)], sort_keys=True).encode()).hexdigest()
    return folder() / f"{kind}-{digest[:24]}{SUFFIX}"


def _ours(descriptor: int) -> bool:
    """Whether a file belongs to this user or to the administrator: compiled code of others is not run."""
    return not hasattr(os, "getuid") or os.fstat(descriptor).st_uid in (0, os.getuid())
