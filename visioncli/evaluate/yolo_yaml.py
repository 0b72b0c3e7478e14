"""YOLO's data sets: a `data.yaml` that names classes and folders, and a text file of boxes a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from visioncli.errors import InputError, UsageError
from visioncli.evaluate.data import Annotation, BoxSet, Picture
from visioncli.media import folders, sniff

FORMAT = "YOLO"


def yaml_file(path: Path) -> Path | None:
    """The `data.yaml` that `path` is or holds."""
    if path.is_file():
        return path if path.suffix in (".yaml", ".yml") else None
    named = [
        path / "data.yaml",
        path / "data.yml",
        path / f"{path.resolve().name}.yaml",
        *sorted(path.glob("*.yaml")),
    ]
    return next((file for file in named if file.is_file()), None)


def load(file: Path, split: str | None = None) -> BoxSet:
    """The data set's `val` part, or `split`. UsageError for what makes no sense."""
    import yaml

    try:
        tree = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise UsageError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict) or "names" not in tree:
        raise UsageError(f"{file}: no YOLO data set", hint="names and val are wanted")
    names = tree["names"]
    try:
        classes = {
            int(c): str(n) for c, n in (names.items() if isinstance(names, dict) else enumerate(names))
        }
    except (TypeError, ValueError) as error:
        raise UsageError(f"{file}: names must be a list, or a table of numbers and labels") from error
    root = Path(str(tree.get("path") or "."))
    root = root if root.is_absolute() else file.parent / root
    if not root.is_dir():  # Ultralytics reads a relative path from its own folder of data sets
        root = file.parent
    part = split or "val"
    if not tree.get(part):
        raise UsageError(f"{file}: has no {part}", hint="--split names a part, such as test")
    paths = list(_pictures(tree[part], root))
    if not paths:
        raise UsageError(f"{file}: {part} has no pictures")
    pictures = [Picture(i, path, *_size(path)) for i, path in enumerate(paths, 1)]
    annotations: list[Annotation] = []
    masks = True
    for picture in pictures:
        for category, box, polygon in _labels(_label_file(picture.path), picture, len(classes)):
            left, top, width, height = box
            one: Annotation = {
                "id": len(annotations) + 1, "image_id": picture.id, "category_id": category,
                "bbox": [left, top, width, height], "area": width * height, "iscrowd": 0,
            }  # fmt: skip
            if polygon:
                one["segmentation"] = [polygon]
                one["area"] = _area(polygon)
            masks = masks and bool(polygon)
            annotations.append(one)
    return BoxSet(
        file.parent.resolve().name, FORMAT, pictures, classes, annotations, masks and bool(annotations)
    )


def _pictures(part: Any, root: Path) -> Iterator[Path]:
    """A folder, a list in a text file, or a list of either."""
    for one in part if isinstance(part, list) else [part]:
        path = root / str(one)
        if path.is_dir():
            for file in folders.walk(path, recursive=True):
                if isinstance(file, Path) and sniff.by_suffix(file) == "picture":
                    yield file
        elif path.is_file():
            for line in path.read_text("utf-8").splitlines():
                if line.strip():
                    named = Path(line.strip())
                    yield named if named.is_absolute() else path.parent / named
        else:
            raise UsageError(f"{path}: no such folder or list", kind="not_found")


def _label_file(picture: Path) -> Path:
    """`…/images/…/a.jpg` has its boxes in `…/labels/…/a.txt`; without such a folder, beside it."""
    parts = list(picture.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _size(path: Path) -> tuple[int, int]:
    """Width and height of the upright picture, from its header; 1 × 1 of one that cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else (image.width, image.height)
    except OSError:  # the run will say so, as an error of that picture
        return 1, 1


def _labels(file: Path, picture: Picture, classes: int) -> Iterator[tuple[int, list[float], list[float]]]:
    """Class, box (left, top, width, height) and polygon in px of each line; no file: nothing is there."""
    if not file.is_file():
        return
    scale = picture.width, picture.height
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        try:
            category, values = int(float(fields[0])), [float(field) for field in fields[1:]]
        except ValueError as error:
            raise InputError(f"{file}:{number}: not a line of YOLO's") from error
        if not 0 <= category < classes or len(values) < 4 or len(values) == 5 or len(values) % 2:
            raise InputError(f"{file}:{number}: class and four numbers, or a polygon, are wanted")
        if len(values) == 4:
            x, y, w, h = (value * scale[i % 2] for i, value in enumerate(values))
            yield category, [x - w / 2, y - h / 2, w, h], []
            continue
        points = [value * scale[i % 2] for i, value in enumerate(values)]
        xs, ys = points[::2], points[1::2]
        yield category, [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)], points


def _area(polygon: list[float]) -> float:
    """The shoelace formula."""
    xs, ys = polygon[::2], polygon[1::2]
    return abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))) / 2
