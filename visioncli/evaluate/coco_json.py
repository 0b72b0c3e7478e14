"""COCO's annotation files: `instances*.json`, and where their pictures are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from visioncli.errors import UsageError
from visioncli.evaluate.data import Annotation, BoxSet, Picture

FORMAT = "COCO"


def annotation_file(path: Path, split: str | None = None) -> Path | None:
    """The annotations that `path` means: itself, one inside it, or COCO's own beside its picture folder."""
    if path.is_file():
        return path if path.suffix == ".json" else None
    inside = sorted(path.glob("*.json")) + sorted((path / "annotations").glob("*.json"))
    for wanted in (f"instances_{split}",) if split else ("instances_val", "instances", ""):
        for file in inside:
            if file.name.startswith(wanted) and (wanted or _looks_like_coco(file)):
                return file
    # coco/val2017 is a folder of pictures: coco/annotations/instances_val2017.json is what it shows.
    beside = path.parent / "annotations" / f"instances_{path.name}.json"
    return beside if beside.is_file() else None


def _looks_like_coco(file: Path) -> bool:
    with file.open("rb") as stream:
        head = stream.read(1 << 16)
    return head.lstrip().startswith(b"{") and any(
        k in head for k in (b'"images"', b'"categories"', b'"info"')
    )


def load(path: Path) -> BoxSet:
    """The data set of an annotation file. UsageError for what is none, or has no pictures here."""
    try:
        tree = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path}: not JSON: {error.msg}") from error
    if not isinstance(tree, dict) or not all(k in tree for k in ("images", "annotations", "categories")):
        raise UsageError(
            f"{path}: no COCO annotations", hint="an object with images, annotations and categories is wanted"
        )
    try:
        names = {int(c["id"]): str(c["name"]) for c in tree["categories"]}
        pictures = _pictures(path, tree["images"])
        annotations = list(_annotations(tree["annotations"], {p.id for p in pictures}, names))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: an entry lacks or misspells {error}") from error
    masks = bool(annotations) and all("segmentation" in a for a in annotations)
    return BoxSet(_name(path), FORMAT, pictures, names, annotations, masks)


def _name(path: Path) -> str:
    """`coco val2017` for coco/annotations/instances_val2017.json, `coco` for coco/instances.json."""
    folder = path.resolve().parent
    folder = folder.parent if folder.name == "annotations" else folder
    part = path.stem.removeprefix("instances").strip("_")
    return f"{folder.name} {part}".strip()


def _pictures(path: Path, images: list[dict[str, Any]]) -> list[Picture]:
    if not images:
        raise UsageError(f"{path}: names no pictures")
    folder = _folder(path, images[0]["file_name"])
    return [Picture(int(i["id"]), folder / i["file_name"], int(i["width"]), int(i["height"])) for i in images]


def _folder(path: Path, first: str) -> Path:
    """Where the pictures are; beside the file where they are nowhere: each will be reported as missing."""
    here, up = path.parent, path.parent.parent
    split = path.stem.removeprefix("instances_")
    places = [here, here / "images", here / split, here / "images" / split, up / split, up / "images" / split,
              up, up / "images"]  # fmt: skip
    return next((place for place in places if (place / first).is_file()), here)


def _annotations(rows: list[dict[str, Any]], known: set[int], names: dict[int, str]) -> Iterator[Annotation]:
    """Rows with what evaluators rely on: numbers from 1, an area, `iscrowd`.

    Boxes of no picture are left out.
    """
    number = 0
    for row in rows:
        if int(row["image_id"]) not in known or int(row["category_id"]) not in names:
            continue
        number += 1
        left, top, width, height = (float(v) for v in row["bbox"])
        kept = {
            "id": number,
            "image_id": int(row["image_id"]),
            "category_id": int(row["category_id"]),
            "bbox": [left, top, width, height],
            "area": float(row.get("area", width * height)),
            "iscrowd": int(row.get("iscrowd", 0)),
        }
        if row.get("segmentation"):
            kept["segmentation"] = row["segmentation"]
        yield kept
