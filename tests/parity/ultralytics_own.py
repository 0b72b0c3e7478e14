"""Ultralytics' own predictor, asked as its documentation says; checkpoints with seeded weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity.answering import Difference, Stage, compare, make_answer
from visioncli import load
from visioncli.api import Model
from visioncli.results import Classes, Detections

# Two heads of YOLOv10: predict runs the one-to-many one by default, so that is the one to wake.
STAGES: dict[str, list[Stage]] = {
    "yolov10n": [
        {f"model.23.cv2.{level}": (0.0, 1.0) for level in range(3)}
        | {f"model.23.cv3.{level}": (-4.0, 2.0) for level in range(3)}
    ],
    "rtdetr-l": [{"model.28.enc_score_head": (0.0, 1.0)}, {"model.28.dec_score_head.5": (-4.0, 2.0)}],
}


def predictor(weights: Path) -> Any:
    """The library's own model object."""
    from ultralytics import RTDETR, YOLO

    return (RTDETR if "rtdetr" in weights.name else YOLO)(str(weights))


def detect(model: Any, picture: Path | np.ndarray, **options: Any) -> Detections:
    """`model.predict` on one picture (a path, or RGB) at fp32 on the CPU."""
    boxes = _predict(model, picture, **options).boxes
    return Detections(
        boxes.xyxy.numpy().astype(np.float32), boxes.conf.numpy(), boxes.cls.numpy().astype(np.int64)
    )


def classify(model: Any, picture: Path | np.ndarray, k: int) -> Classes:
    """The k best of `model.predict` on one picture."""
    scores = _predict(model, picture).probs.data.numpy()
    best = np.argsort(-scores, kind="stable")[:k]
    return Classes(best, scores[best])


def _predict(model: Any, picture: Path | np.ndarray, **options: Any) -> Any:
    source = str(picture) if isinstance(picture, Path) else np.ascontiguousarray(picture[..., ::-1])
    return model.predict(source, verbose=False, device="cpu", **options)[0]


def largest(differences: Iterable[Difference]) -> Difference:
    """The largest difference in boxes and in scores over many pictures."""
    boxes, scores = zip(*((d.boxes, d.scores) for d in differences), strict=True)
    return Difference(max(boxes), max(scores))


def exact(weights: Path, runtime: str = "torch", **options: Any) -> Model:
    """Our model at fp32, as promise 1 has it, in one of the runtimes."""
    return load(str(weights), runtime=runtime, precision="fp32", **options)


def parity(
    name: str, weights: Path, pictures: Sequence[Path], runtime: str = "torch", **options: Any
) -> tuple[int, Difference]:
    """Our API beside the library's predict, picture by picture: how many boxes, and how far apart.

    AssertionError where a count or a label differs.
    """
    ours, theirs = exact(weights, runtime), predictor(weights)
    answers = [(ours(p, **options).detections, detect(theirs, p, **options)) for p in pictures]
    assert ours.name == name
    return sum(len(a) for a, _ in answers), largest(compare(a, b) for a, b in answers)


def seeded(name: str, folder: Path, pictures: Sequence[np.ndarray], size: int, seed: int = 0) -> Path:
    """A checkpoint of `name`'s YAML with seeded weights that answer on (H, W, 3) uint8 `pictures`."""
    import cv2
    import torch
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

    torch.manual_seed(seed)
    model = (RTDETRDetectionModel if "rtdetr" in name else DetectionModel)(f"{name}.yaml", verbose=False)
    inputs = [
        torch.from_numpy(cv2.resize(p, (size, size))).permute(2, 0, 1)[None].float() / 255 for p in pictures
    ]
    make_answer(model, lambda: [model(i) for i in inputs], STAGES[name])
    model.names = {i: f"thing {i}" for i in range(80)}
    path = folder / f"{name}.pt"
    torch.save({"model": model, "train_args": {"imgsz": size, "task": "detect"}}, path)
    return path
