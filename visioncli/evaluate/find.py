"""Which format a data set is in: by what lies there."""

from __future__ import annotations

from pathlib import Path

from visioncli.errors import UsageError
from visioncli.evaluate import coco_json, image_folder, mask_folder, mot_folder, voc_xml, yolo_yaml
from visioncli.evaluate.data import BoxSet, LabelSet, MaskSet, TrackSet


def boxes(path: Path, split: str | None = None) -> BoxSet:
    """The objects of a data set for `detect` or instances; UsageError where nothing known is there."""
    _existing(path)
    if (file := coco_json.annotation_file(path, split)) is not None:
        return coco_json.load(file)
    if (file := yolo_yaml.yaml_file(path)) is not None:
        return yolo_yaml.load(file, split)
    if (found := voc_xml.load(path, split)) is not None:
        return found
    raise _unknown(path, "COCO JSON, a YOLO data.yaml or a VOC folder")


def labels(path: Path, split: str | None = None) -> LabelSet:
    """The labels of a data set for `classify`; errors as `boxes`."""
    _existing(path)
    found = image_folder.load(path, split)
    if found is None:
        raise _unknown(path, "a folder a class, or a folder with a labels.csv")
    return found


def pixels(path: Path, split: str | None = None) -> MaskSet | BoxSet:
    """What is at hand for `segment`: masks of classes, or objects with masks; errors as `boxes`."""
    _existing(path)
    if path.is_dir() and (found := mask_folder.load(path, split)) is not None:
        return found
    objects = boxes(path, split)
    if not objects.masks:
        raise UsageError(f"--data {path}: its objects have no masks", hint="vision eval detect counts boxes")
    return objects


def tracks(path: Path) -> TrackSet:
    """The sequences of a data set for `track`; errors as `boxes`."""
    _existing(path)
    found = mot_folder.load(path)
    if found is None:
        raise _unknown(path, "MOTChallenge's folders (SEQUENCE/gt/gt.txt)")
    return found


def _existing(path: Path) -> None:
    if not path.exists():
        raise UsageError(f"--data {path}: no such file or folder", kind="not_found")


def _unknown(path: Path, wanted: str) -> UsageError:
    return UsageError(f"--data {path}: no data set that is known here", hint=f"wanted: {wanted}")
