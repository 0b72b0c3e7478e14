"""What every source of frames keeps: files, animations, cameras."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

from visioncli.media.frame import Frame


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says of itself; containers lie about `duration` and `frames`, so both are estimates.

    `width` and `height` (px) are upright, of the first frame; `rotation` is the quarter turn clockwise
    (degrees) already applied. `fps` is the average, `duration` in seconds; None where nothing tells.
    """

    width: int
    height: int
    fps: Fraction | None
    time_base: Fraction
    duration: float | None
    frames: int | None
    rotation: int
    codec: str
    has_audio: bool
    sample_aspect_ratio: Fraction


class Reader(ABC):
    """An iterator of frames and a context manager.

    `frames` counts what was decoded so far, before the stride; `skipped_packets` what was damaged;
    `dropped_frames` what a live source gave and nobody was ready for. Iterating raises InputError where it
    cannot go on.
    """

    info: VideoInfo
    frames: int
    skipped_packets: int
    dropped_frames: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    @abstractmethod
    def __next__(self) -> Frame: ...

    @abstractmethod
    def close(self) -> None:
        """Give back what is open; further frames are not to be had."""
