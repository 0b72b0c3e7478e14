"""Animated WebP and AVIF as videos, through Pillow: FFmpeg reads nothing, or one frame, of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction

from PIL.Image import Image

from visioncli.errors import InputError
from visioncli.media.frame import Frame, Input
from visioncli.media.pictures import opened, upright
from visioncli.media.reader import Reader, VideoInfo
from visioncli.media.video_in import HALF_TICK

TIME_BASE = Fraction(1, 1000)
UNTIMED = 100  # ms a frame that gives no duration


class AnimationReader(Reader):
    """The frames of an animated picture, like `VideoReader`; times add up the frames' durations."""

    def __init__(self, video: Input, *, stride: int, start: float | None, end: float | None) -> None:
        self.name = video.source
        self.frames = 0
        self.skipped_packets = 0
        self._stride = stride
        self._start = Fraction(start or 0) - HALF_TICK
        self._end = None if end is None else Fraction(end) - HALF_TICK
        with ExitStack() as stack:
            image = stack.enter_context(opened(video))
            count = getattr(image, "n_frames", 1)
            # The first frame tells the upright size.
            height, width = upright(image, self.name).shape[:2]
            shown = _duration(image)
            self._stack = stack.pop_all()
        self.info = VideoInfo(
            width=width,
            height=height,
            fps=1000 / shown,
            time_base=TIME_BASE,
            duration=float(count * shown * TIME_BASE),
            frames=count,
            rotation=0,
            codec=(image.format or "").lower(),
            has_audio=False,
            sample_aspect_ratio=Fraction(1),
        )
        self._frames = self._run(image, count)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Give the file back; further frames are not to be had."""
        self._frames = iter(())
        self._stack.close()

    def _run(self, image: Image, count: int) -> Iterator[Frame]:
        time = Fraction(0)
        for number in range(count):
            try:
                image.seek(number)
                image.load()
                if self._end is not None and time >= self._end:
                    return
                if time >= self._start:
                    index = self.frames
                    self.frames += 1
                    if index % self._stride == 0:
                        yield Frame(upright(image, self.name), index=index, time=float(time), pts=time)
                time += _duration(image) * TIME_BASE
            except (OSError, EOFError, ValueError, SyntaxError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"{self.name}: damaged after frame {self.frames - 1} ({error})") from error
        if self.frames == 0:
            raise InputError(f"{self.name}: nothing at {float(self._start):.3g} s or later, it ends before")


def _duration(image: Image) -> Fraction:
    """How long the frame that `image` is at is shown, in ms."""
    return Fraction(image.info.get("duration") or UNTIMED)
