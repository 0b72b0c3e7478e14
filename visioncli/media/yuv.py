"""A video frame as its decoder gave it: 8-bit YUV 4:2:0, turned into RGB where somebody asks for it."""

from __future__ import annotations

import threading

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from visioncli.results import Image

# AVColorSpace values that drawing knows: BT.709, untagged (read as BT.601), BT.470BG and SMPTE 170M.
_BT709, _MATRICES = 1, (1, 2, 5, 6)
_RANGES = (0, 1)  # untagged and limited

_kept = threading.local()


class Yuv:
    """One upright frame in three planes: brightness (H, W) and, at half the size, two of colour.

    Most of a frame that is annotated stays as it is: drawn on its planes, it needs no way to RGB and back
    (6 ms of CPU time a frame of 720p). `shape` is that of the RGB picture.
    """

    __slots__ = ("frame",)

    def __init__(self, frame: VideoFrame) -> None:
        self.frame = frame

    @staticmethod
    def fits(frame: VideoFrame) -> bool:
        """Whether a frame is of this kind, with even sides and colours that are drawn without conversion."""
        return (
            frame.format.name == "yuv420p"
            and frame.width % 2 == frame.height % 2 == 0
            and frame.colorspace in _MATRICES
            and frame.color_range in _RANGES
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3)."""
        return self.frame.height, self.frame.width, 3

    @property
    def nbytes(self) -> int:
        """What the planes hold."""
        return self.frame.height * self.frame.width * 3 // 2

    @property
    def bt709(self) -> bool:
        """Whether its colours are BT.709's; else BT.601's."""
        return self.frame.colorspace == _BT709

    @property
    def colours(self) -> tuple[int, int, int, int]:
        """How its colours are tagged: matrix, range, primaries and transfer, as FFmpeg numbers them."""
        f = self.frame
        return f.colorspace, f.color_range, f.color_primaries, f.color_trc

    @property
    def planes(self) -> tuple[Image, Image, Image]:
        """The pixels, not a copy."""
        y, u, v = (
            np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
            for plane in self.frame.planes
        )
        return y, u, v

    def rgb(self) -> Image:
        """(H, W, 3) uint8, full range, made anew each time. From any thread."""
        reformatter = _kept.__dict__.setdefault("reformatter", VideoReformatter())
        rgb: Image = reformatter.reformat(self.frame, format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(rgb)

    def copy(self) -> Yuv:
        """One of its own, to be drawn on."""
        made = VideoFrame(self.frame.width, self.frame.height, "yuv420p")
        made.colorspace, made.color_range, made.color_primaries, made.color_trc = self.colours
        copied = Yuv(made)
        for plane, own in zip(self.planes, copied.planes, strict=True):
            np.copyto(own, plane)
        return copied
