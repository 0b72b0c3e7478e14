"""What a model says about a data set, picture by picture, through the usual pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from visioncli import rle
from visioncli.evaluate.boxes import Row
from visioncli.evaluate.names import Matching
from visioncli.media.frame import Failure, Input
from visioncli.pipeline import Answer, Settings, run

if TYPE_CHECKING:
    from visioncli.api import Model
    from visioncli.output import Sink
    from visioncli.results import Result


def ask(
    model: Model,
    paths: Sequence[Path],
    batch: int,
    stop: threading.Event,
    progress: Sink,
    failed: Callable[[Failure], None],
    **options: Any,
) -> Iterator[tuple[int, Result]]:
    """The answer to each picture with its place in `paths`. A picture that cannot be read goes to `failed`.

    `options` are those of `Model.options`.
    """
    places = {str(path): i for i, path in enumerate(paths)}
    inputs = (Input(str(path), "picture", path, PurePath(path.name)) for path in paths)
    settings = Settings(batch, model.options(**options), keep_images=False)
    with closing(run(inputs, model.adapter, model.runtime, settings, stop=stop)) as events:
        for event in events:
            if isinstance(event, Failure):
                progress.failure(event)
                failed(event)
            elif isinstance(event, Answer):
                progress.result(event.result)
                yield places[event.result.source], event.result


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
