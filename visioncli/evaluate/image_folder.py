"""Pictures with one label each: a folder a class (ImageFolder), or a flat folder with a CSV of labels."""

from __future__ import annotations

import csv
from pathlib import Path

from visioncli.errors import UsageError
from visioncli.evaluate.data import LabelSet
from visioncli.media import folders, sniff

_FILE = ("path", "file", "filename", "file_name", "image", "imageid", "image_id", "name")
_LABEL = ("wnid", "synset", "label", "class", "class_name", "category", "name", "index", "class_index")


def load(path: Path, split: str | None = None) -> LabelSet | None:
    """The labels below `path` (a folder, or a CSV); None where there are none."""
    if path.is_file():
        return _csv(path) if path.suffix.lower() in (".csv", ".tsv") else None
    for name in ("labels.csv", "labels.tsv"):
        if (path / name).is_file():
            return _csv(path / name)
    parts = [split] if split else ["val", "valid", "validation", "test"]
    inside = next((path / part for part in parts if (path / part).is_dir()), None)
    if split and inside is None:
        raise UsageError(f"--data {path}: has no folder {split}")
    if inside is not None:
        return load(inside) if split is None else _folders(inside) or load(inside)
    return _folders(path)


def _folders(path: Path) -> LabelSet | None:
    kinds = sorted((p for p in path.iterdir() if p.is_dir()), key=lambda p: p.name)
    names: list[str] = []
    paths: list[Path] = []
    labels: list[int] = []
    for kind in kinds:
        files = [p for p in folders.walk(kind, recursive=True) if isinstance(p, Path) and _picture(p)]
        if files:
            paths += files
            labels += [len(names)] * len(files)
            names.append(kind.name)
    return LabelSet(path.resolve().name, "ImageFolder", paths, labels, names) if names else None


def _picture(path: Path) -> bool:
    return sniff.by_suffix(path) == "picture"


def _csv(file: Path) -> LabelSet:
    """A CSV with a header. A column of paths and one of labels, by their usual names."""
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        dialect: type[csv.Dialect] = csv.excel_tab if file.suffix.lower() == ".tsv" else csv.excel
        reader = csv.DictReader(stream, dialect=dialect)
        columns = {(name or "").strip().casefold(): name for name in reader.fieldnames or ()}
        where = next((columns[name] for name in _FILE if name in columns), None)
        what = next((columns[name] for name in _LABEL if name in columns and columns[name] != where), None)
        if where is None or what is None:
            raise UsageError(
                f"{file}: no column of pictures and of labels",
                hint=f"a header such as path,label is wanted, not {','.join(reader.fieldnames or ())[:80]}",
            )
        names: dict[str, int] = {}
        paths, labels = [], []
        for number, row in enumerate(reader, 2):
            name, label = (row[where] or "").strip(), (row[what] or "").strip()
            if not name or not label:
                raise UsageError(f"{file}:{number}: a picture or its label is missing")
            paths.append(_picture_file(file.parent, name))
            labels.append(names.setdefault(label, len(names)))
    if not paths:
        raise UsageError(f"{file}: names no pictures")
    numbered = all(name.isdecimal() for name in names)
    return LabelSet(file.parent.resolve().name, "CSV", paths, labels, list(names), numbered)


def _picture_file(folder: Path, name: str) -> Path:
    """As written, or with a suffix (ImageNet's own CSV has none)."""
    path = folder / name
    if path.exists():
        return path
    return next((p for p in (folder / f"{name}{s}" for s in (".JPEG", ".jpg", ".png")) if p.exists()), path)
