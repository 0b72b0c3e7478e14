"""A class for every pixel: a folder of pictures, and one of PNGs whose values are class numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visioncli.errors import InputError, UsageError
from visioncli.evaluate.data import MaskSet
from visioncli.media import folders, sniff
from visioncli.registry import cards

VOID = 255
_LAYOUTS = (
    ("images", "masks"),
    ("images", "annotations"),
    ("images", "labels"),
    ("JPEGImages", "SegmentationClass"),
)


def load(path: Path, split: str | None = None) -> MaskSet | None:
    """The pictures with masks below `path`; None where there are none.

    Classes are named in `classes.txt`, a line each from class 0 on; without it, VOC's layout has VOC's names
    and any other has numbers.
    """
    for pictures, masks in _LAYOUTS:
        if (path / pictures).is_dir() and (path / masks).is_dir():
            pairs = _pairs(path, path / pictures, path / masks, split)
            if pairs:
                voc = masks == "SegmentationClass"
                names = _names(path / "classes.txt", voc, [mask for _, mask in pairs])
                files = [p for p, _ in pairs], [m for _, m in pairs]
                return MaskSet(path.resolve().name, "VOC" if voc else "mask folders", *files, names)
    return None


def _pairs(path: Path, pictures: Path, masks: Path, split: str | None) -> list[tuple[Path, Path]]:
    by_stem = {
        p.stem: p for p in folders.walk(masks, recursive=True) if isinstance(p, Path) and p.suffix == ".png"
    }
    lists = path / "ImageSets" / "Segmentation"
    wanted: set[str] | None = None
    if lists.is_dir():
        file = lists / f"{split or 'val'}.txt"
        if not file.is_file():
            raise UsageError(f"{file}: no such file", hint="--split names a list of ImageSets/Segmentation")
        wanted = set(file.read_text("utf-8").split())
    found = []
    for picture in folders.walk(pictures, recursive=True):
        if not isinstance(picture, Path) or sniff.by_suffix(picture) != "picture":
            continue
        if picture.stem in by_stem and (wanted is None or picture.stem in wanted):
            found.append((picture, by_stem[picture.stem]))
    return found


def _names(file: Path, voc: bool, masks: list[Path]) -> list[str]:
    if file.is_file():
        return [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    if voc:
        return ["background", *list(cards.labels("voc"))[1:]]
    most = max((int(m[m != VOID].max(initial=0)) for m in map(read, masks)), default=0)
    return [str(c) for c in range(most + 1)]


def read(path: Path) -> NDArray[np.uint8]:
    """The class numbers of a mask, (height, width). InputError for a PNG of colours."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "1"):
                raise InputError(
                    f"{path}: no mask of class numbers, but {image.mode}",
                    hint="a palette or grey PNG of class numbers",
                )
            return np.asarray(image.convert("L") if image.mode == "1" else image).astype(np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: no mask that can be read: {error}") from error


def answer_file(folder: Path, picture: Path) -> Path | None:
    """The mask of a picture in a folder of answers: of the same name, as a PNG."""
    for name in (
        f"{picture.stem}.png",
        f"{picture.name}.png",
        f"{picture.stem}_mask.png",
        f"{picture.stem}.mask.png",
    ):
        if (folder / name).is_file():
            return folder / name
    return None
