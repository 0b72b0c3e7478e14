"""A folder of pictures as one video: its frames in natural order of their names."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path, PurePath

from visioncli.errors import InputError
from visioncli.media import folders, pictures, sniff
from visioncli.media.frame import Frame, Input
from visioncli.media.reader import Reader, VideoInfo
from visioncli.media.video_in import HALF_TICK
from visioncli.results import Image

RATE = Fraction(30)  # frames a second where nothing tells
SEQINFO = "seqinfo.ini"  # MOTChallenge's, in the folder or above it


class SequenceReader(Reader):
    """The pictures of a folder, like `VideoReader`; a damaged one is left out and counted as skipped.

    The rate is that of MOTChallenge's `seqinfo.ini`, where there is one, else 30 frames a second.
    """

    def __init__(self, folder: Input, *, stride: int, start: float | None, end: float | None) -> None:
        assert isinstance(folder.where, Path)
        self.name = folder.source
        self.frames = 0
        self.skipped_packets = 0
        self._stride = stride
        self._start = Fraction(start or 0) - HALF_TICK
        self._end = None if end is None else Fraction(end) - HALF_TICK
        self._rate = _rate(folder.where)
        files = [found for found in folders.walk(folder.where, recursive=False) if isinstance(found, Path)]
        read = self._read(files)
        first = next(read, None)
        if first is None:
            raise InputError(f"{self.name}: no picture of it can be read at {float(start or 0):g} s or later")
        self.info = VideoInfo(
            width=first[1].shape[1],
            height=first[1].shape[0],
            fps=self._rate,
            time_base=1 / self._rate,
            duration=float(len(files) / self._rate),
            frames=len(files),
            rotation=0,
            codec="pictures",
            has_audio=False,
            sample_aspect_ratio=Fraction(1),
        )
        self._frames = self._run(chain([first], read))

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Further frames are not to be had."""
        self._frames = iter(())

    def _run(self, read: Iterator[tuple[Fraction, Image]]) -> Iterator[Frame]:
        for time, image in read:
            index = self.frames
            self.frames += 1
            if index % self._stride == 0:
                yield Frame(image, index=index, time=float(time), pts=time)

    def _read(self, files: list[Path]) -> Iterator[tuple[Fraction, Image]]:
        """The pictures in the span with their times; what is no picture does not count."""
        number = -1
        for file in files:
            try:
                with file.open("rb") as stream:
                    media = sniff.sniff(stream.read(sniff.HEAD))
                if (media.what if media is not None else sniff.by_suffix(file)) != "picture":
                    continue
                number += 1
                time = number / self._rate
                if self._end is not None and time >= self._end:
                    return
                if time < self._start:
                    continue
                image = pictures.read(Input(str(file), "picture", file, PurePath(file.name))).image
            except (InputError, OSError):
                self.skipped_packets += 1
                continue
            yield time, image


def _rate(folder: Path) -> Fraction:
    """The frame rate that `seqinfo.ini` gives."""
    for file in (folder / SEQINFO, folder.parent / SEQINFO):
        if not file.is_file():
            continue
        told = configparser.ConfigParser()
        try:
            told.read(file, "utf-8")
            rate = Fraction(told.get("Sequence", "frameRate")).limit_denominator(1001)
        except (configparser.Error, UnicodeDecodeError, ValueError):
            return RATE
        return rate if rate > 0 else RATE
    return RATE
