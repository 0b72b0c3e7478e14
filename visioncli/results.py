"""What a model says about a picture: small frozen dataclasses over numpy arrays.

Boxes are `(x1, y1, x2, y2)` in pixels of the upright picture, x to the right and y down, as floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import supervision

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def is_background(name: str) -> bool:
    """Whether a class is called background, as torchvision's `__background__`."""
    return name.strip("_").casefold() == "background"


@dataclass(frozen=True, slots=True)
class Classes:
    """The k best classes of a picture, best first: `classes` (k,) int64, `scores` (k,) float32 in 0..1."""

    classes: Ints
    scores: Floats

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True, slots=True)
class Masks:
    """N masks of one picture, each kept as the crop around its object: memory follows the objects' sizes.

    `size` is (height, width) of the picture, `corners` (N, 2) int64 (top, left) px of each crop, `crops` N
    boolean arrays that lie inside the picture. Outside its crop a mask is False.
    """

    size: tuple[int, int]
    corners: Ints
    crops: tuple[Mask, ...]

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, rows: Ints | NDArray[np.bool_] | slice) -> Masks:
        """The masks at `rows` (indices, a boolean mask or a slice)."""
        kept = np.arange(len(self))[rows]
        return Masks(self.size, self.corners[kept], tuple(self.crops[i] for i in kept.tolist()))

    def full(self, i: int) -> Mask:
        """Mask `i` at the picture's size, (height, width) bool."""
        whole = np.zeros(self.size, np.bool_)
        (top, left), crop = self.corners[i].tolist(), self.crops[i]
        whole[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        return whole

    @classmethod
    def of(cls, size: tuple[int, int], placed: Iterable[tuple[int, int, Mask]]) -> Masks:
        """Masks of (top, left, crop), each cut down to its object: no empty row or column at its edges."""
        corners, crops = [], []
        for top, left, crop in placed:
            rows, columns = np.flatnonzero(crop.any(axis=1)), np.flatnonzero(crop.any(axis=0))
            if not len(rows):
                rows = columns = np.array([0, -1])
            corners.append((top + int(rows[0]), left + int(columns[0])))
            crops.append(crop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy())
        return cls(size, np.array(corners, np.int64).reshape(-1, 2), tuple(crops))

    @property
    def areas(self) -> Ints:
        """(N,) int64 px."""
        return np.array([np.count_nonzero(crop) for crop in self.crops], np.int64)


@dataclass(frozen=True, slots=True)
class Regions:
    """A class for every pixel: `map` (height, width) uint8 or uint16, an index into the result's names.

    The largest value of the map's type (255, 65535) is a pixel of no class. `classes` are those that occur,
    largest first, int64; `areas` int64 px of each.
    """

    map: NDArray[np.uint8] | NDArray[np.uint16]
    classes: Ints
    areas: Ints

    def __len__(self) -> int:
        return len(self.classes)

    @classmethod
    def of(cls, map: NDArray[np.uint8] | NDArray[np.uint16]) -> Regions:
        """Count a map's classes."""
        none = np.iinfo(map.dtype).max
        areas = np.zeros(int(none) + 1, np.int64)
        for start in range(0, len(map), 256):  # numpy counts in a copy of eight bytes a pixel
            areas += np.bincount(map[start : start + 256].reshape(-1), minlength=len(areas))
        areas = areas[:none]
        classes = np.flatnonzero(areas)
        classes = classes[np.argsort(-areas[classes], kind="stable")]
        return cls(map, classes, areas[classes])

    def foreground(self, names: Sequence[str]) -> Ints:
        """The classes but for the background, largest first."""
        return self.classes[[not is_background(names[c]) for c in self.classes.tolist()]]


@dataclass(frozen=True, slots=True)
class Detections:
    """N objects, best score first: `boxes` (N, 4) float32 px, `scores` (N,) float32, `classes` (N,) int64.

    `masks` where the model gives them, `ids` (N,) int64 from 1 where objects are tracked, `features` (N, D)
    float32 of how each looks where a tracker wants them.
    """

    boxes: Floats
    scores: Floats
    classes: Ints
    masks: Masks | None = None
    ids: Ints | None = None
    features: Floats | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """No object at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def __getitem__(self, rows: Ints | NDArray[np.bool_] | slice) -> Detections:
        """The objects at `rows` (indices, a boolean mask or a slice)."""
        masks = None if self.masks is None else self.masks[rows]
        ids = None if self.ids is None else self.ids[rows]
        features = None if self.features is None else self.features[rows]
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows], masks, ids, features)


Prediction = Classes | Detections | Regions


@dataclass(frozen=True, slots=True)
class Result:
    """A model's answer to one picture or one frame of a video.

    `frame` (counted from 0 as decoded) and `time` (seconds, the container's own) are None for a picture.
    `names[c]` is the label of class `c`. `mask_file` is where its masks are written, if they are.
    """

    source: str
    width: int
    height: int
    prediction: Prediction
    names: Sequence[str] = field(repr=False)
    frame: int | None = None
    time: float | None = None
    mask_file: str | None = None

    def __len__(self) -> int:
        return len(self.prediction)

    @property
    def boxes(self) -> Floats:
        """(N, 4) float32 boxes in px; AttributeError for a classification."""
        return self.detections.boxes

    @property
    def scores(self) -> Floats:
        """(N,) float32 scores; AttributeError for a semantic map."""
        if isinstance(self.prediction, Regions):
            raise AttributeError("a semantic map has no scores: use .classes and .regions.areas")  # noqa: TRY004
        return self.prediction.scores

    @property
    def classes(self) -> Ints:
        """(N,) int64 class indices into `names`."""
        return self.prediction.classes

    @property
    def labels(self) -> list[str]:
        """The N labels."""
        return [self.names[int(c)] for c in self.prediction.classes]

    @property
    def detections(self) -> Detections:
        """The objects; AttributeError for a classification."""
        if not isinstance(self.prediction, Detections):
            raise AttributeError("only detections have boxes, not classes or regions")  # noqa: TRY004
        return self.prediction

    @property
    def masks(self) -> Masks:
        """The objects' masks; AttributeError where the model gives none."""
        masks = self.detections.masks
        if masks is None:
            raise AttributeError("no masks: the model is a detector, not an instance segmenter")
        return masks

    @property
    def ids(self) -> Ints | None:
        """(N,) int64 ids of the tracks, from 1; None where nothing was tracked."""
        return self.detections.ids

    @property
    def regions(self) -> Regions:
        """The semantic map; AttributeError for anything else."""
        if not isinstance(self.prediction, Regions):
            raise AttributeError("no semantic map: the model is not a semantic segmenter")  # noqa: TRY004
        return self.prediction

    def objects(self, *, masks: bool = False, polygons: bool = False) -> list[dict[str, Any]]:
        """The results as the record writes them (scores and fractions to 1e-4, boxes to 1e-2).

        Masks, as COCO's run lengths and as polygons, only where they are asked for: they are long.
        """
        pixels = self.width * self.height
        if isinstance(self.prediction, Regions):
            return [
                {"label": self.names[c], "class": c, "area": area, "fraction": round(area / pixels, 4)}
                for c, area in zip(self.classes.tolist(), self.prediction.areas.tolist(), strict=True)
            ]
        rows: list[dict[str, Any]] = []
        found = self.prediction if isinstance(self.prediction, Detections) else None
        shapes = [] if found is None or found.masks is None else _shapes(found.masks, masks, polygons)
        for i, (c, score) in enumerate(zip(self.classes.tolist(), self.scores.tolist(), strict=True)):
            row: dict[str, Any] = {"label": self.names[c], "class": c, "score": round(score, 4)}
            if found is not None:
                row["box"] = [round(v, 2) for v in found.boxes[i].tolist()]
                if found.ids is not None:
                    row["id"] = int(found.ids[i])
                if shapes:
                    row |= shapes[i]
            rows.append(row)
        return rows

    def to_supervision(self) -> supervision.Detections:
        """As `supervision.Detections` (needs the extra `visioncli[supervision]`)."""
        import supervision

        d = self.detections
        masks = None
        if d.masks is not None and len(d):
            masks = np.stack([d.masks.full(i) for i in range(len(d))])
        return supervision.Detections(
            xyxy=d.boxes,
            mask=masks,
            confidence=d.scores,
            class_id=d.classes,
            tracker_id=d.ids,
            data={"class_name": np.array(self.labels)},
        )


def _shapes(masks: Masks, runs: bool, polygons: bool) -> list[dict[str, Any]]:
    """What the record says of each mask; the encoders are imported only where they are needed."""
    pixels = masks.size[0] * masks.size[1]
    shapes: list[dict[str, Any]] = [{} for _ in range(len(masks))]
    if runs:
        from visioncli import rle

        for shape, run in zip(shapes, rle.encode(masks), strict=True):
            shape["mask"] = run
    if polygons:
        from visioncli.polygons import multipolygon

        for shape, crop, (top, left) in zip(shapes, masks.crops, masks.corners.tolist(), strict=True):
            shape["polygons"] = multipolygon(crop, (top, left))
    for shape, area in zip(shapes, masks.areas.tolist(), strict=True):
        shape |= {"area": area, "fraction": round(area / pixels, 4)}
    return shapes
