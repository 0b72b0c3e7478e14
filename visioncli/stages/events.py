"""What goes into the pipeline, comes out of it, and passes between its stages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from visioncli.errors import InputError
from visioncli.media.frame import Failure, Frame, Input
from visioncli.models import Array, Batch, Options
from visioncli.results import Image, Result

if TYPE_CHECKING:
    from visioncli.media.reader import VideoInfo

NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run: pictures a batch, what to read of videos, and whether results need their pixels.

    `workers` threads decode and prepare. Without `keep_images` a frame's pixels are dropped once prepared.
    `observe()` is called for each video and gives what its frames are shown to, in order, in the thread that
    decodes (None: nothing); what that returns comes out as the answer's `seen`. `tell` hears of live sources
    that are lost and found again. `least`: pictures may be decoded smaller, to that shorter side (px).
    """

    batch: int = 1
    options: Options = field(default_factory=Options)
    stride: int = 1
    start: float | None = None
    end: float | None = None
    keep_images: bool = True
    workers: int = 2
    observe: Callable[[], Callable[[Image], Any] | None] | None = None
    tell: Callable[[str], None] | None = None
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A video begins."""

    input: Input
    info: VideoInfo


@dataclass(frozen=True, slots=True)
class Answer:
    """One picture or frame has its result. `frame.image` is empty where `keep_images` is off.

    `seen` is what the video's observer returned for the frame (see `Settings.observe`), `signs` the counts to
    draw (see `track.counting.Sign`).
    """

    input: Input
    frame: Frame
    result: Result
    seen: Any = None
    signs: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """A video is through: frames decoded, packets skipped. `cut`: stopped before its end.

    `dropped_frames`: those of a live source that came faster than they could be looked at.
    """

    input: Input
    frames: int
    skipped_packets: int
    cut: bool = False
    dropped_frames: int = 0


Event = Opened | Answer | Closed | Failure


class Idle:
    """Nothing came for a moment."""


IDLE = Idle()


@dataclass(slots=True)
class Job:
    """A frame on its way. `size` survives when the pixels are dropped; `gate` lets a live one's next in."""

    input: Input
    frame: Frame
    size: tuple[int, int]
    batch: Batch
    seen: Any = None
    gate: threading.Semaphore | None = None

    @property
    def live(self) -> bool:
        """Whether it comes from a live source."""
        return self.gate is not None

    @property
    def bytes(self) -> int:
        """What it holds in memory."""
        return self.frame.pixels.nbytes + sum(a.nbytes for a in self.batch.inputs)


@dataclass(slots=True)
class Ran:
    """A batch that went through the network, with each picture's place in line."""

    group: list[tuple[int, Job]]
    batch: Batch
    outputs: tuple[Array, ...]


@dataclass(slots=True)
class Place:
    """An event that has nothing to do with the network, or the lack of one, with its place in line."""

    place: int
    event: Event | Dropped | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A frame that `stop` left without an answer: its video is not whole."""

    input: Input


class named:  # noqa: N801 - used like a function
    """Tell an exception which input it happened at: as its source if it is ours, else as a note."""

    def __init__(self, input: Input, frame: Frame | None = None) -> None:
        self._input, self._frame = input, frame

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            error.source = error.source or self._input.source
        elif error is not None:
            at = "" if self._frame is None or self._frame.index is None else f", frame {self._frame.index}"
            error.add_note(f"while working on {self._input.source}{at}")


def failure(error: InputError) -> Failure:
    return Failure(error.source or "?", error.kind, str(error))
