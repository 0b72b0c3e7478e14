"""Webcams by number, through OpenCV, as the same kind of reader as a video: frames without end."""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from visioncli.errors import InputError, UsageError
from visioncli.media.frame import Frame, Input
from visioncli.media.reader import Reader, VideoInfo

# OpenCV tells no times of its own for a camera: ours are in microseconds since the first frame.
TIME_BASE = Fraction(1, 1_000_000)


class CameraReader(Reader):
    """The frames of an open capture, without end; `time` is seconds since the first, by the clock.

    Raises InputError when the camera gives no more frames.
    """

    def __init__(self, capture: Any, name: str, *, stride: int = 1) -> None:
        self.name = name
        self.frames = 0
        self.skipped_packets = 0
        self._capture, self._stride = capture, stride
        self._began: float | None = None
        grabbed, first = capture.read()
        if not grabbed:
            capture.release()
            raise InputError(f"{name}: the camera gives no picture", hint="another program may be using it")
        self._first: tuple[Any, Fraction] | None = (first, self._now())
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.info = VideoInfo(
            width=first.shape[1],
            height=first.shape[0],
            fps=Fraction(fps).limit_denominator(1001) if fps > 0 else None,
            time_base=TIME_BASE,
            duration=None,
            frames=None,
            rotation=0,
            codec="rawvideo",
            has_audio=False,
            sample_aspect_ratio=Fraction(1),
        )

    def __next__(self) -> Frame:
        while True:
            if self._first is not None:
                (image, seconds), self._first = self._first, None
            else:
                grabbed, image = self._capture.read()
                if not grabbed:
                    raise InputError(f"{self.name}: the camera gives no more pictures", kind="unreadable")
                seconds = self._now()
            index = self.frames
            self.frames += 1
            if index % self._stride == 0:
                rgb = np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                return Frame(rgb, index=index, time=float(seconds), pts=seconds)

    def close(self) -> None:
        """Give the camera back."""
        self._capture.release()

    def _now(self) -> Fraction:
        now = time.monotonic()
        if self._began is None:
            self._began = now
        return Fraction(round((now - self._began) / TIME_BASE)) * TIME_BASE


def available(number: int) -> bool:
    """Whether there is a camera of that number; on Linux without touching it."""
    if sys.platform == "linux":
        return Path(f"/dev/video{number}").is_char_device()
    capture = _capture(number)
    found: bool = capture.isOpened()
    capture.release()
    return found


def open_camera(camera: Input, *, stride: int = 1) -> CameraReader:
    """Open the webcam whose number is `camera.where`; every `stride`-th frame.

    Raises InputError `not_found` where there is none, `unreadable` where it does not open, and UsageError for
    a stride below 1.
    """
    if stride < 1:
        raise UsageError(f"a stride of {stride}: it must be 1 or more")
    number = camera.where
    if not isinstance(number, int):
        raise TypeError(f"a camera is a number, not {number!r}")
    if not available(number):
        raise InputError(f"no camera {number} on this machine", kind="not_found")
    capture = _capture(number)
    if not capture.isOpened():
        raise InputError(
            f"camera {number} does not open", kind="unreadable", hint="another program may be using it"
        )
    return CameraReader(capture, camera.source, stride=stride)


def _capture(number: int) -> Any:
    """An OpenCV capture, without OpenCV's warnings on stderr."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(number, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    finally:
        cv2.utils.logging.setLogLevel(level)
