"""Results, made by hand and by hypothesis, for the tests of outputs and records."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from visioncli.media.frame import Failure
from visioncli.records import Run, Summary
from visioncli.results import Classes, Detections, Result

NAMES = ("person", "bus", "traffic light", 'a "quoted", label', "Straße\t1", "ラベル")
RUN = Run("detect", "yolo26n", "coco", "0" * 64, NAMES, {"conf": 0.25, "classes": None})
SUMMARY = Summary(inputs=3, errors=1, seconds=1.23456)
FAILURE = Failure("broken.jpg", "decode", "broken.jpg: cannot be decoded: truncated")


def detection(source: str = "bus.jpg", frame: int | None = None, time: float | None = None) -> Result:
    """Two people and a bus."""
    boxes = np.array([[1.23456, 2, 30.5, 40], [5, 6, 7, 8], [0, 0, 99.999, 50]], np.float32)
    found = Detections(boxes, np.array([0.98766, 0.5, 0.25], np.float32), np.array([0, 1, 0]))
    return Result(source, 640, 480, found, NAMES, frame, time)


def empty(source: str = "empty.jpg", frame: int | None = None, time: float | None = None) -> Result:
    """Nothing found."""
    return Result(source, 640, 480, Detections.empty(), NAMES, frame, time)


def classification(source: str = "cat.jpg", frame: int | None = None, time: float | None = None) -> Result:
    """Three labels, best first."""
    best = Classes(np.array([2, 0, 5]), np.array([0.7, 0.2, 0.05], np.float32))
    return Result(source, 640, 480, best, NAMES, frame, time)


# Every name that a file can have: any character but NUL, undecodable bytes as surrogate escapes.
sources = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=40),
    st.binary(min_size=1, max_size=20)
    .filter(lambda b: b"\0" not in b)
    .map(lambda b: b.decode("utf-8", "surrogateescape")),
)


@st.composite
def results(draw: st.DrawFn, *, frames: bool = True) -> Result:
    """Detections and classifications of pictures and frames."""
    count = draw(st.integers(0, 5))
    unit = st.floats(0, 1, width=32)
    scores = np.array(sorted((draw(unit) for _ in range(count)), reverse=True), np.float32)
    classes = np.array([draw(st.integers(0, len(NAMES) - 1)) for _ in range(count)], np.int64)
    pixel = st.floats(-10, 9000, width=32)
    if draw(st.booleans()):
        boxes = np.array([[draw(pixel) for _ in range(4)] for _ in range(count)], np.float32).reshape(-1, 4)
        prediction: Classes | Detections = Detections(boxes, scores, classes)
    else:
        prediction = Classes(classes, scores)
    size = st.integers(1, 20_000)
    frame = draw(st.none() | st.integers(0, 10**9)) if frames else None
    time = None if frame is None else draw(st.floats(-10, 1e6))
    return Result(draw(sources), draw(size), draw(size), prediction, NAMES, frame, time)
