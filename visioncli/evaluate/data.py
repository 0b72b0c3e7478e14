"""What a data set is, whatever format it came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Annotation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its number in the data set, its file, and its size in px as the truth has it."""

    id: int
    path: Path
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class BoxSet:
    """Objects in pictures, as COCO has them, for `detect` and instances of `segment`.

    `names` maps category numbers to labels. An annotation has `id` (from 1), `image_id`, `category_id`,
    `bbox` (left, top, width, height in px), `area` (px), `iscrowd`, and `segmentation` where `masks`.
    """

    name: str
    format: str
    pictures: Sequence[Picture]
    names: Mapping[int, str]
    annotations: Sequence[Annotation] = field(repr=False)
    masks: bool = False

    def coco(self) -> dict[str, Any]:
        """A fresh COCO dictionary: evaluators write into theirs."""
        return {
            "images": [{"id": p.id, "width": p.width, "height": p.height} for p in self.pictures],
            "categories": [{"id": c, "name": name} for c, name in self.names.items()],
            "annotations": [dict(a) for a in self.annotations],
        }


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Pictures with one label each, for `classify`: `labels[i]` is an index into `names`.

    A name is a label, a WordNet id (`n01440764`) or, where `numbered`, a class number of the model.
    """

    name: str
    format: str
    paths: Sequence[Path]
    labels: Sequence[int]
    names: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class MaskSet:
    """Pictures with a class for every pixel: `masks[i]` is a PNG of class numbers; 255 does not count."""

    name: str
    format: str
    paths: Sequence[Path]
    masks: Sequence[Path]
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Clip:
    """One sequence of a tracking data set: its name, its truth, its video or folder of frames, if any."""

    name: str
    truth: Path
    media: Path | None


@dataclass(frozen=True, slots=True)
class TrackSet:
    """Sequences with tracks, as MOTChallenge has them."""

    name: str
    format: str
    sequences: Sequence[Clip]
