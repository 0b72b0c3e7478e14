"""Cameras: webcams by number through OpenCV, and the way in for everything live."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from visioncli.errors import InputError, UsageError
from visioncli.media.frame import Input
from visioncli.media.live import Feed, LiveReader
from visioncli.results import Image


class CameraFeed(Feed):
    """The frames of an open capture. OpenCV tells no times of its own for a camera: the clock does."""

    codec = "rawvideo"

    def __init__(self, capture: Any) -> None:
        self._capture = capture
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = Fraction(fps).limit_denominator(1001) if fps > 0 else None

    def frames(self) -> Iterator[tuple[Any, float | None]]:
        """All frames; raises InputError when the camera gives no more."""
        while True:
            grabbed, image = self._capture.read()
            if not grabbed:
                raise InputError("the camera gives no picture", hint="another program may be using it")
            yield image, None

    def picture(self, frame: Any) -> Image:
        """From OpenCV's BGR."""
        return np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Give the camera back."""
        self._capture.release()


def available(number: int) -> bool:
    """Whether there is a camera of that number; on Linux without touching it."""
    if sys.platform == "linux":
        return Path(f"/dev/video{number}").is_char_device()
    capture = _capture(number)
    found: bool = capture.isOpened()
    capture.release()
    return found


def open_live(
    source: Input,
    *,
    stride: int = 1,
    end: float | None = None,
    stop: threading.Event | None = None,
    tell: Callable[[str], None] | None = None,
) -> LiveReader:
    """Open the webcam whose number, or the stream whose address, is `source.where`.

    Every `stride`-th frame until `end` (s); `stop` and `tell` as `LiveReader` has them. Raises InputError
    (`not_found`, `unreadable`, `network`) where there is none, and UsageError for a stride below 1.
    """
    if stride < 1:
        raise UsageError(f"a stride of {stride}: it must be 1 or more")
    where = source.where
    if not isinstance(where, int | str):
        raise TypeError(f"a live source is a number or an address, not {where!r}")

    def connect() -> Feed:
        if isinstance(where, int):
            return _camera(where)
        from visioncli.media.stream import StreamFeed

        return StreamFeed(where, source.source)

    return LiveReader(source.source, connect, stride=stride, end=end, stop=stop, tell=tell)


def _camera(number: int) -> CameraFeed:
    if not available(number):
        raise InputError(f"no camera {number} on this machine", kind="not_found")
    capture = _capture(number)
    if not capture.isOpened():
        raise InputError(
            f"camera {number} does not open", kind="unreadable", hint="another program may be using it"
        )
    return CameraFeed(capture)


def _capture(number: int) -> Any:
    """An OpenCV capture, without OpenCV's warnings on stderr."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(number, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    finally:
        cv2.utils.logging.setLogLevel(level)
