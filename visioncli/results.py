"""What a model says about a picture: small frozen dataclasses over numpy arrays.

Boxes are `(x1, y1, x2, y2)` in pixels of the upright picture, x to the right and y down, as floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import supervision

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Classes:
    """The k best classes of a picture, best first: `classes` (k,) int64, `scores` (k,) float32 in 0..1."""

    classes: Ints
    scores: Floats

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True, slots=True)
class Detections:
    """N objects, best score first: `boxes` (N, 4) float32 px, `scores` (N,) float32, `classes` (N,) int64."""

    boxes: Floats
    scores: Floats
    classes: Ints

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """No object at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def __getitem__(self, rows: Ints | NDArray[np.bool_] | slice) -> Detections:
        """The objects at `rows` (indices, a boolean mask or a slice)."""
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows])


Prediction = Classes | Detections


@dataclass(frozen=True, slots=True)
class Result:
    """A model's answer to one picture or one frame of a video.

    `frame` (counted from 0 as decoded) and `time` (seconds, the container's own) are None for a picture.
    `names[c]` is the label of class `c`.
    """

    source: str
    width: int
    height: int
    prediction: Prediction
    names: Sequence[str] = field(repr=False)
    frame: int | None = None
    time: float | None = None

    def __len__(self) -> int:
        return len(self.prediction)

    @property
    def boxes(self) -> Floats:
        """(N, 4) float32 boxes in px; AttributeError for a classification."""
        return self.detections.boxes

    @property
    def scores(self) -> Floats:
        """(N,) float32 scores."""
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
            raise AttributeError("a classification has no boxes: use .classes and .scores")  # noqa: TRY004
        return self.prediction

    def objects(self) -> list[dict[str, Any]]:
        """The results as the record writes them (scores to 1e-4, boxes to 1e-2)."""
        rows: list[dict[str, Any]] = []
        boxes = self.prediction.boxes if isinstance(self.prediction, Detections) else None
        for i, (c, score) in enumerate(
            zip(self.prediction.classes.tolist(), self.prediction.scores.tolist(), strict=True)
        ):
            row: dict[str, Any] = {"label": self.names[c], "class": c, "score": round(score, 4)}
            if boxes is not None:
                row["box"] = [round(v, 2) for v in boxes[i].tolist()]
            rows.append(row)
        return rows

    def to_supervision(self) -> supervision.Detections:
        """As `supervision.Detections` (needs the extra `visioncli[supervision]`)."""
        import supervision

        d = self.detections
        return supervision.Detections(
            xyxy=d.boxes, confidence=d.scores, class_id=d.classes, data={"class_name": np.array(self.labels)}
        )
