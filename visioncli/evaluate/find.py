"""Which format a data set is in: by what lies there."""

from __future__ import annotations

from pathlib import Path

from visioncli.errors import UsageError
from visioncli.evaluate import coco_json
from visioncli.evaluate.data import BoxSet

_BOXES = "COCO JSON, a YOLO data.yaml or a VOC folder"


def existing(path: Path) -> Path:
    """`path`; UsageError where nothing is there."""
    if not path.exists():
        raise UsageError(f"--data {path}: no such file or folder", kind="not_found")
    return path


def boxes(path: Path, split: str | None = None) -> BoxSet:
    """The objects of a data set for `detect` or instances; UsageError where nothing known is there."""
    existing(path)
    file = coco_json.annotation_file(path)
    if file is not None:
        return coco_json.load(file)
    raise UsageError(f"--data {path}: no data set that is known", hint=f"{_BOXES} is wanted")
