"""VOC's folders of boxes: `Annotations/*.xml`, `JPEGImages/`, and lists in `ImageSets/Main/`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from visioncli.errors import InputError, UsageError
from visioncli.evaluate.data import Annotation, BoxSet, Picture
from visioncli.media.folders import natural

FORMAT = "VOC"


def load(path: Path, split: str | None = None) -> BoxSet | None:
    """The objects below `path`; None where there are no annotations.

    `difficult` objects neither count nor make an answer wrong: COCO's crowds. Corners count from 1 and belong
    to the box, so that the left edge of a box is xmin - 1.
    """
    folder = path / "Annotations"
    if not folder.is_dir():
        return None
    files = sorted(folder.glob("*.xml"), key=lambda p: natural(p.name))
    lists = path / "ImageSets" / "Main"
    if lists.is_dir():
        file = lists / f"{split or 'val'}.txt"
        if not file.is_file():
            raise UsageError(f"{file}: no such file", hint="--split names a list of ImageSets/Main")
        wanted = {line.split()[0] for line in file.read_text("utf-8").splitlines() if line.strip()}
        files = [f for f in files if f.stem in wanted]
    if not files:
        return None
    trees = [(f, _parsed(f)) for f in files]
    labels = sorted({_text(o, "name", f) for f, tree in trees for o in tree.iter("object")})
    numbers = {label: c for c, label in enumerate(labels, 1)}
    pictures: list[Picture] = []
    annotations: list[Annotation] = []
    for file, tree in trees:
        pictures.append(_picture(path, file, tree, len(pictures) + 1))
        for thing in tree.iter("object"):
            left, top, right, bottom = _corners(thing, file)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": pictures[-1].id,
                    "category_id": numbers[_text(thing, "name", file)],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": int((thing.findtext("difficult") or "0").strip() == "1"),
                }
            )
    names = {c: label for label, c in numbers.items()}
    return BoxSet(path.resolve().name, FORMAT, pictures, names, annotations)


def _parsed(file: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{file}: not XML: {error}") from error


def _picture(path: Path, file: Path, tree: ElementTree.Element, number: int) -> Picture:
    name = tree.findtext("filename") or f"{file.stem}.jpg"
    where = path / "JPEGImages" / name
    if not where.is_file():
        where = next((path / "JPEGImages").glob(f"{file.stem}.*"), where)
    size = tree.find("size")
    if size is None:
        raise InputError(f"{file}: has no size")
    try:
        return Picture(number, where, int(_text(size, "width", file)), int(_text(size, "height", file)))
    except ValueError as error:
        raise InputError(f"{file}: its size is no number") from error


def _corners(thing: ElementTree.Element, file: Path) -> tuple[float, float, float, float]:
    box = thing.find("bndbox")
    if box is None:
        raise InputError(f"{file}: an object has no bndbox")
    try:
        xmin, ymin, xmax, ymax = (float(_text(box, k, file)) for k in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError as error:
        raise InputError(f"{file}: a corner is no number") from error
    return xmin - 1, ymin - 1, xmax, ymax


def _text(element: ElementTree.Element, name: str, file: Path) -> str:
    text = element.findtext(name)
    if text is None:
        raise InputError(f"{file}: {element.tag} has no {name}")
    return text.strip()
