"""What a model says about a data set, picture by picture, through the usual pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from visioncli import rle
from visioncli.errors import InputError
from visioncli.evaluate.boxes import Row
from visioncli.evaluate.data import Clip
from visioncli.evaluate.labels import Guess
from visioncli.evaluate.mot_folder import PEDESTRIAN, Line
from visioncli.evaluate.names import Matching, folded
from visioncli.media.frame import Failure, Input
from visioncli.pipeline import Answer, Settings, run

if TYPE_CHECKING:
    from visioncli.api import Model
    from visioncli.output import Sink
    from visioncli.results import Result
    from visioncli.track.follow import Tracking


@dataclass(frozen=True, slots=True)
class Asking:
    """A model with how to run it. A picture that cannot be read goes to `failed`.

    `options` are those of `Model.options`.
    """

    model: Model
    batch: int
    options: Mapping[str, Any]
    progress: Sink
    failed: Callable[[Failure], None]

    def pictures(self, paths: Sequence[Path]) -> Iterator[tuple[int, Result]]:
        """The answer to each picture with its place in `paths`."""
        places = {str(path): i for i, path in enumerate(paths)}
        for event in self._run([_input(path, "picture") for path in paths]):
            if isinstance(event, Answer):
                self.progress.result(event.result)
                yield places[event.result.source], event.result

    def tracks(self, clip: Clip, tracking: Tracking) -> list[Line]:
        """The people in a sequence; everything, for a model that has no people among its classes."""
        person = [c for c, name in enumerate(self.model.names) if folded(name) == "person"]
        lines: list[Line] = []
        for number, result in self._tracked(clip, tracking, person):
            found = result.detections
            if found.ids is None:
                continue
            for track, box, score in zip(
                found.ids.tolist(), found.boxes.tolist(), found.scores.tolist(), strict=True
            ):
                x1, y1, x2, y2 = (round(v, 2) for v in box)
                lines.append((number, track, x1, y1, x2 - x1, y2 - y1, round(score, 4), PEDESTRIAN))
        return lines

    def _tracked(self, clip: Clip, tracking: Tracking, classes: list[int]) -> Iterator[tuple[int, Result]]:
        """Frame by frame, counted from 1."""
        if clip.media is None:
            raise InputError(f"{clip.truth.parent}: no img1 and no video to track in", kind="not_found")
        only: dict[str, Any] = {"classes": classes} if classes else {}
        settings = self._settings(observe=tracking.observer, **only)
        with closing(tracking.follow(self._run([_input(clip.media, "video")], settings), settings)) as events:
            for event in events:
                if isinstance(event, Answer):
                    self.progress.result(event.result)
                    yield (event.frame.index or 0) + 1, event.result

    def _settings(self, *, observe: Any = None, **more: Any) -> Settings:
        options = self.model.options(**{**self.options, **more})
        return Settings(self.batch, options, keep_images=False, observe=observe)

    def _run(self, inputs: Sequence[Input], settings: Settings | None = None) -> Any:
        settings = settings or self._settings()
        stop = threading.Event()
        with closing(run(inputs, self.model.adapter, self.model.runtime, settings, stop=stop)) as events:
            for event in events:
                if isinstance(event, Failure):
                    self.progress.failure(event)
                    self.failed(event)
                yield event


def _input(path: Path, kind: Any) -> Input:
    return Input(str(path), kind, path, PurePath(path.name))


def box_rows(result: Result, image: int, matching: Matching) -> Iterator[Row]:
    """A picture's objects as COCO has them; classes that the data set does not have are left out."""
    found = result.detections
    runs = None if found.masks is None else rle.encode(found.masks)
    for i, c in enumerate(found.classes.tolist()):
        category = matching.to_data[c]
        if category is None:
            continue
        x1, y1, x2, y2 = found.boxes[i].tolist()
        row: Row = {
            "image_id": image,
            "category_id": category,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": float(found.scores[i]),
        }
        if runs is not None:
            row["segmentation"] = runs[i]
        yield row


def guess(result: Result, picture: int, matching: Matching) -> Guess:
    """A picture's best labels as the data set numbers them."""
    classes = [-1 if (c := matching.to_data[k]) is None else c for k in result.classes.tolist()]
    return Guess(picture, classes, [float(s) for s in result.scores.tolist()], result.labels)
