"""What a video contained, counted frame by frame in memory that does not grow with its length."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from visioncli.output.text import by_count
from visioncli.results import Regions

if TYPE_CHECKING:
    from visioncli.results import Result


@dataclass(slots=True)
class ClassTally:
    """One class: `count` boxes (or frames that it was the best label of) in `frames`, `most` in one frame."""

    count: int = 0
    frames: int = 0
    most: int = 0
    first: float = 0.0
    last: float = 0.0
    scores: float = 0.0
    best: float = 0.0

    @property
    def mean(self) -> float:
        """The mean score."""
        return self.scores / self.count if self.count else 0.0


@dataclass(slots=True)
class Tally:
    """One video so far; `seconds` is the time of its latest frame."""

    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    classes: dict[str, ClassTally] = field(default_factory=dict)

    def add(self, result: Result, *, top_only: bool) -> None:
        """Count a frame; `top_only` takes the best label alone (classification).

        Of a semantic map, the share of the picture stands for a class's score.
        """
        self.width, self.height = result.width, result.height
        self.frames += 1
        self.seconds = result.time or 0.0
        labels = result.labels
        if isinstance(result.prediction, Regions):
            scores = (result.prediction.areas / (result.width * result.height)).tolist()
        else:
            scores = result.scores.tolist()
        if top_only:
            labels, scores = labels[:1], scores[:1]
        for label, score in zip(labels, scores, strict=True):
            one = self.classes.setdefault(label, ClassTally(first=self.seconds))
            one.count += 1
            one.scores += score
            one.best = max(one.best, score)
        for label, count in by_count(labels):
            one = self.classes[label]
            one.frames += 1
            one.most = max(one.most, count)
            one.last = self.seconds

    def ranked(self) -> list[tuple[str, ClassTally]]:
        """Classes, the most frequent first."""
        return sorted(self.classes.items(), key=lambda item: -item[1].count)
