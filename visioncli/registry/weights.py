"""Where trained weights lie: the folders, what a file's hash says, and fetching what is missing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from visioncli.errors import ModelError
from visioncli.registry.cards import Card, Weights

CHUNK = 1 << 20
PACKAGED = Path(__file__).parent.parent / "models" / "data"
"""The weights that come with the package."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A place to look. `yours`: the user chose what lies there, so a file with another hash is used, with a
    note.

    In a cache such a file is damaged or somebody else's: it is passed over.
    """

    path: Path
    yours: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A weights file on this machine; `note` is one line for the user, or None."""

    path: Path
    sha256: str
    note: str | None = None


def expanded(name: str | Path) -> Path:
    """`~` as the shell expands it; a user who does not exist stays as typed."""
    return Path(os.path.expanduser(name))  # noqa: PTH111  (Path.expanduser raises for ~nobody)


def cache_folder() -> Path:
    """Where downloads go unless the user names a folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("vision", appauthor=False)) / "weights"


def folders(weights_dir: Path | None = None) -> list[Folder]:
    """The folders in the order of the search; they need not exist."""
    mine = [weights_dir, os.environ.get("VISION_WEIGHTS"), "weights"]
    listed = [Folder(expanded(p), True) for p in mine if p]
    return [*listed, *(Folder(p, False) for p in (cache_folder(), _torch_hub(), _ultralytics()) if p)]


def _torch_hub() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(os.environ.get("TORCH_HOME") or f"{cache}/torch") / "hub" / "checkpoints"


def _ultralytics() -> Path | None:
    """The `weights_dir` of Ultralytics' settings file, if there is one; it is read and never written."""
    import platformdirs

    home = os.environ.get("YOLO_CONFIG_DIR") or platformdirs.user_config_dir("Ultralytics", appauthor=False)
    try:
        found = json.loads((Path(home) / "settings.json").read_text(encoding="utf-8")).get("weights_dir")
    except (OSError, ValueError, AttributeError):  # no settings, or not ours to mend
        return None
    return Path(found) if isinstance(found, str) and found else None


def destination(weights_dir: Path | None = None) -> Path:
    """Where a download goes: the folder that the user named if it can be written to, else the cache."""
    named = weights_dir or os.environ.get("VISION_WEIGHTS")
    if not named:
        return cache_folder()
    folder = expanded(named)
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return folder if weights_dir or os.access(nearest, os.W_OK) else cache_folder()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, read in pieces; computed once a process for an unchanged file."""
    try:
        stat = path.stat()
        return _sha256(path.absolute(), stat.st_size, stat.st_mtime_ns)
    except OSError as e:
        raise ModelError(f"{path}: cannot be read: {e.strerror}") from e


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def expected(path: Path, weights: Weights) -> str | None:
    """The hash, or its beginning, that a file ought to have: as published, else as recorded at download."""
    if weights.sha256:
        return weights.sha256
    try:
        return path.with_name(path.name + ".sha256").read_text(encoding="ascii").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return None


def candidates(card: Card, weights: Weights, yours: bool) -> list[str]:
    """File names to look for: the published one; in the user's folders also the plain name of the default."""
    names = [weights.filename]
    if yours and weights == card.default_weights and not weights.packaged:
        suffixes = (".pt",) if card.library == "ultralytics" else (".pth", ".safetensors")
        names += [card.name + s for s in suffixes if card.name + s not in names]
    return names


def locate(card: Card, weights: Weights, weights_dir: Path | None = None) -> Found | None:
    """The first file that will do, in the order of `folders`; None where there is none."""
    return _search(card, weights, weights_dir)[0]


def shelves(weights_dir: Path | None = None) -> list[tuple[Folder, frozenset[str]]]:
    """The folders with the names in them, each read once: for going through many models."""
    found = []
    for folder in [*folders(weights_dir), Folder(PACKAGED, False)]:
        try:
            names = frozenset(os.listdir(folder.path))  # noqa: PTH208  (a Path a file would be slow)
        except OSError:  # not there, or not ours to read
            names = frozenset()
        found.append((folder, names))
    return found


def present(card: Card, weights: Weights, places: Sequence[tuple[Folder, frozenset[str]]]) -> Iterator[Path]:
    """Every file in `places` that has one of the weights' names, in the order of the search; none is read."""
    for folder, there in places:
        for name in candidates(card, weights, folder.yours):
            if name in there and (folder.path / name).is_file():
                yield folder.path / name


def verdict(path: Path, weights: Weights) -> tuple[str, str]:
    """What a file's hash says, and the hash.

    `ok` or `wrong`; `unknown` where none is published or recorded; `other` for a file of the user's own under
    the model's plain name.
    """
    digest, wanted = sha256(path), expected(path, weights)
    if wanted is None:
        return "unknown", digest
    if digest.startswith(wanted):
        return "ok", digest
    return ("wrong" if path.name == weights.filename else "other"), digest


def _search(card: Card, weights: Weights, weights_dir: Path | None) -> tuple[Found | None, list[Path]]:
    refused: list[Path] = []
    for folder in [*folders(weights_dir), *([Folder(PACKAGED, False)] if weights.packaged else [])]:
        for name in candidates(card, weights, folder.yours):
            path = folder.path / name
            if not path.is_file():
                continue
            digest, wanted = sha256(path), expected(path, weights)
            if wanted is None or digest.startswith(wanted):
                return Found(path, digest), refused
            if folder.yours:
                return Found(path, digest, note=foreign(path, card, weights)), refused
            refused.append(path)
    return None, refused


def foreign(path: Path, card: Card, weights: Weights) -> str:
    """The line that says that a file is used although its hash is another."""
    if weights.sha256:
        return f"{path}: its hash is not the published one of {card.name}:{weights.name}"
    return f"{path}: its hash is not the one recorded when it was downloaded"


def fetch(
    card: Card,
    weights: Weights,
    *,
    weights_dir: Path | None = None,
    offline: bool = False,
    progress: bool = True,
    patience: float | None = None,
    spec: str | None = None,
) -> Found:
    """The weights, downloaded where they are not on this machine.

    `offline`: no connection is made. `patience`: seconds within which the server must begin to answer. Raises
    ModelError with where it was looked for and how to go without.
    """
    found, refused = _search(card, weights, weights_dir)
    if found:
        return found
    spec = spec or card.name
    url = download_url(weights)
    if offline or url is None:
        why = "--offline forbids the download" if offline else "nobody publishes them for download"
        raise ModelError(
            f"{spec}: {weights.filename} is not on this machine, and {why}",
            hint=_ways(card, weights, spec, url, weights_dir, refused),
        )
    from visioncli.registry.download import DownloadError, download, reach

    target = destination(weights_dir) / weights.filename
    try:
        if patience is not None:
            reach(url, patience)
        digest = download(url, target, sha256=weights.sha256, licence=weights.licence, progress=progress)
    except DownloadError as e:
        raise ModelError(
            f"{spec}: {weights.filename} is not on this machine and could not be downloaded: {e}",
            hint=_ways(card, weights, spec, url, weights_dir, refused),
        ) from e
    return Found(target, digest)


def download_url(weights: Weights) -> str | None:
    """Where the file comes from: `$VISION_WEIGHTS_URL` names a mirror that holds the files by name."""
    mirror = os.environ.get("VISION_WEIGHTS_URL")
    return f"{mirror.rstrip('/')}/{weights.filename}" if mirror else weights.url


def _ways(
    card: Card, weights: Weights, spec: str, url: str | None, weights_dir: Path | None, refused: list[Path]
) -> str:
    """What to do: where it was looked for, the URL, `pull`, and how to go without a network."""
    lines = [f"looked for in: {', '.join(str(f.path) for f in folders(weights_dir))}"]
    lines += [f"passed over, for its hash is not the right one: {path}" for path in refused]
    if url:
        lines += [f"published at: {url}", f"with a network: vision models pull {spec}"]
    lines.append(
        f"without: copy {weights.filename} into ./weights or $VISION_WEIGHTS, or name a file: --model PATH"
    )
    return "; ".join(lines)
