"""What flows through the pipeline: inputs, and the frames that come out of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

import numpy as np

from visioncli.results import Image

if TYPE_CHECKING:
    from visioncli.media.yuv import Yuv

Kind = Literal["picture", "video", "camera"]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Input:
    """One thing to look at, not yet opened.

    `source` is its name in the record, as the user gave it (a file in a folder: the folder as given, `/`, the
    rest; an address: without user and password). `where` is what to open: a path, the bytes themselves
    (stdin, a download), a camera's number or a live stream's address; these two are of the kind `camera`.
    A long video from stdin or a URL lies in a temporary file, which goes when its Input does: keep that.
    `relative` is where its annotated copy goes under `--out` when names collide: path relative to the folder
    or glob it was found through, else the bare name.
    """

    source: str
    kind: Kind
    where: Path | bytes | int | str
    relative: PurePath


@dataclass(frozen=True, slots=True)
class Failure:
    """An input, or a frame of it, that gave no result. `kind` as in `VisionError.kind`."""

    source: str
    kind: str
    message: str
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One upright picture: `image` (H, W, 3) uint8 RGB, C-contiguous.

    `pixels` is that picture, or a video's frame as decoded, of which `image` is made each time anew.
    `index` (from 0, as decoded, before stride) and `time` (seconds) are None for a still picture. `format` is
    Pillow's name of a picture's format and `icc` its colour profile, kept for the annotated copy. `pts` is
    `time` exactly, as the writer of a video wants it. `full` is the (width, height) of a picture of which
    `pixels` are a smaller version.
    """

    pixels: Image | Yuv = field(repr=False)
    index: int | None = None
    time: float | None = None
    format: str | None = None
    icc: bytes | None = field(default=None, repr=False)
    pts: Fraction | None = None
    full: tuple[int, int] | None = None

    @property
    def image(self) -> Image:
        """(H, W, 3) uint8 RGB, C-contiguous."""
        return self.pixels if isinstance(self.pixels, np.ndarray) else self.pixels.rgb()

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.full[0] if self.full is not None else int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.full[1] if self.full is not None else int(self.pixels.shape[0])
