"""Video in, through PyAV: upright RGB frames with the container's own times, in constant memory."""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, dropwhile
from pathlib import Path
from typing import IO, cast

import av
import av.error
import cv2
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from visioncli.errors import InputError, UsageError
from visioncli.media.frame import Frame, Input
from visioncli.media.reader import Reader, VideoInfo
from visioncli.media.sniff import HEAD, Media, sniff
from visioncli.media.yuv import Yuv
from visioncli.results import Image

# A playlist that calls itself a video must not make FFmpeg open a connection.
LOCAL_ONLY = {"protocol_whitelist": "file"}

# So that a time taken from a record, which is rounded, names its frame when given as `start`.
HALF_TICK = Fraction(1, 2000)

_Timed = tuple[VideoFrame, Fraction]

# AVColorSpace values that swscale refuses: "reserved" means untagged; constant luminance is near BT.2020.
_NEAREST_MATRIX = {3: 2, 10: 9}


@dataclass(frozen=True, slots=True)
class _Turn:
    """How a stored frame is made upright: transposed, then mirrored."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @staticmethod
    def of(frame: VideoFrame) -> _Turn:
        """From the display matrix: stored (x, y) is shown at (a x + c y, b x + d y); nearest quarter turn."""
        found = cast("Mapping[str, Buffer]", frame.side_data)  # its stub knows one key only
        if (matrix := found.get("DISPLAYMATRIX")) is None:
            return _Turn()
        a, b, _, c, d = np.frombuffer(memoryview(matrix), np.int32)[:5].tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return _Turn(False, a < 0, d < 0)
        return _Turn(True, c < 0, b < 0)

    @property
    def degrees(self) -> int:
        """The clockwise rotation in it (a mirrored picture: before mirroring left to right)."""
        if self.transpose:
            return 270 if self.mirror_y else 90
        return 180 if self.mirror_y else 0

    def __call__(self, image: Image) -> Image:
        if self.transpose:
            image = cv2.transpose(image)
        if self.mirror_x or self.mirror_y:
            image = cv2.flip(image, -1 if self.mirror_x and self.mirror_y else int(self.mirror_x))
        return image


class VideoReader(Reader):
    """The frames of one video, in order of time.

    `frames` counts what was decoded so far (with `start`: from there), before the stride; `skipped_packets`
    what was damaged. Iterating raises InputError where decoding cannot go on.
    """

    def __init__(self, video: Input, *, stride: int, start: float | None, end: float | None) -> None:
        self.name = video.source
        self.frames = 0
        self.skipped_packets = 0
        self._stride, self._start, self._end = stride, start or None, end
        self._where = video.where
        self._reformatter = VideoReformatter()
        self._frames: Iterator[Frame] = iter(())
        self._decoded: Iterator[_Timed] = iter(())
        self._previous: Fraction | None = None
        self._turn: _Turn | None = None
        self._rotation = 0
        self._file: IO[bytes] | None = None
        self._container, self._stream = self._open()
        try:
            self._origin = self._first_time()
            self._decoded = self._from_start() if self._start else self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise self._nothing()
            self.info = self._describe(first[0])
            self._frames = self._run(chain([first], self._decoded))
        except BaseException:
            self.close()
            raise

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Give the file and the decoder back; further frames are not to be had."""
        self._frames, self._decoded = iter(()), iter(())
        self._container.close()
        if self._file is not None:
            self._file.close()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        try:
            container = av.open(self._name(), "r", options=LOCAL_ONLY, metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            raise self._reason(error) from error
        # The first one; a cover picture is not a video.
        moving = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        stream = next(moving, None)
        if stream is None:
            container.close()
            raise InputError(f"{self.name}: there is no video in it", kind="unsupported")
        # Threads by slice and by frame, as the codec can, on half of the cores: the other half computes. A
        # second thread on two cores cost memory and gave no time.
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = max((os.cpu_count() or 2) // 2, 1)
        return container, stream

    def _name(self) -> str | IO[bytes]:
        """What PyAV is to open."""
        if isinstance(self._where, bytes):
            return io.BytesIO(self._where)
        if not isinstance(self._where, Path):
            raise TypeError(f"a video is a file or bytes, not {self._where!r}")
        if self._where.is_dir():
            raise InputError(f"{self.name}: a folder, not a video")
        name = os.fspath(self._where)
        try:
            # "file:" keeps FFmpeg from taking a colon in the name for a protocol.
            return f"file:{name.encode().decode()}"
        except UnicodeEncodeError:
            self._file = self._where.open("rb")  # a name that is not UTF-8, which PyAV cannot pass on
            return self._file

    def _decode(self) -> Iterator[_Timed]:
        """All frames with their times, by packet: a plain decode loop would end at the first damaged one."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, IndexError) as error:
                # IndexError: PyAV's, where damage makes a new stream appear in the middle of a file.
                raise self._reason(error) from error
            if packet is None:
                return
            try:
                decoded = packet.decode()
            except av.error.FFmpegError as error:
                if isinstance(error, (av.error.MemoryError, av.error.DecoderNotFoundError)):
                    raise self._reason(error) from error
                self.skipped_packets += 1
                continue
            for frame in decoded:
                yield frame, self._time(frame)

    def _from_start(self) -> Iterator[_Timed]:
        """The frames from `start` on: from the key frame before it, or from the very beginning.

        Containers without a good index may land behind `start`; then all is decoded from the beginning.
        """
        assert self._start is not None
        target = self._origin + Fraction(self._start) - HALF_TICK
        base = self._stream.time_base or Fraction(1, 1000)
        try:
            self._container.seek(math.floor(target / base), stream=self._stream)
            frames = self._decode()
            first = next(frames, None)
        except (av.error.FFmpegError, InputError):
            first = None
        if first is None or first[1] > target:
            self._reopen()
            frames = self._decode()
            first = next(frames, None)
        if first is not None:
            yield from dropwhile(lambda timed: timed[1] < target, chain([first], frames))

    def _reopen(self) -> None:
        self._container.close()
        if self._file is not None:
            self._file.close()
        self._previous, self.skipped_packets = None, 0
        self._container, self._stream = self._open()

    def _first_time(self) -> Fraction:
        base = self._stream.time_base
        return (self._stream.start_time or 0) * base if base else Fraction(0)

    def _time(self, frame: VideoFrame) -> Fraction:
        """Seconds, exactly: the frame's own, or one frame after the one before it."""
        pts = frame.pts if frame.pts is not None else frame.dts
        base = frame.time_base or self._stream.time_base
        if pts is not None and base:
            self._previous = pts * base
        elif self._previous is None:
            self._previous = self._origin
        else:
            self._previous += 1 / (self._stream.average_rate or Fraction(25))
        return self._previous

    def _run(self, decoded: Iterator[_Timed]) -> Iterator[Frame]:
        end = None if self._end is None else self._origin + Fraction(self._end) - HALF_TICK
        for frame, time in decoded:
            if end is not None and time >= end:
                return
            index = self.frames
            self.frames += 1
            if index % self._stride == 0:
                yield Frame(self._pixels(frame), index=index, time=float(time), pts=time)

    def _pixels(self, frame: VideoFrame) -> Image | Yuv:
        """Upright: as decoded where it is nothing unusual, else RGB."""
        if self._turn_of(frame) == _Turn() and Yuv.fits(frame):
            return Yuv(frame)
        return np.ascontiguousarray(self._turn_of(frame)(to_rgb(frame, self._reformatter, self.name)))

    def _turn_of(self, frame: VideoFrame) -> _Turn:
        # Reading a frame's side data ties it into a reference cycle, which keeps its pixels until the garbage
        # collector comes round: only where the rotation, which is free to read, is not the last frame's.
        if self._turn is None or frame.rotation != self._rotation:
            self._turn, self._rotation = _Turn.of(frame), frame.rotation
        return self._turn

    def _describe(self, first: VideoFrame) -> VideoInfo:
        stream, turn = self._stream, self._turn_of(first)
        fps = stream.average_rate or stream.guessed_rate
        seconds = None
        if stream.duration is not None and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        elif self._container.duration is not None:
            seconds = self._container.duration / av.time_base
        frames = stream.frames or (round(seconds * fps) if seconds and fps else None)
        width, height = (first.height, first.width) if turn.transpose else (first.width, first.height)
        return VideoInfo(
            width=width,
            height=height,
            fps=fps,
            time_base=stream.time_base or Fraction(1, 90000),
            duration=seconds,
            frames=frames,
            rotation=turn.degrees,
            codec=stream.codec_context.name,
            has_audio=bool(self._container.streams.audio),
            sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        )

    def _nothing(self) -> InputError:
        if self._start and self.skipped_packets == 0:
            return InputError(f"{self.name}: nothing at {self._start:g} s or later, the video ends before")
        return InputError(f"{self.name}: no frame of it can be decoded")

    def _reason(self, error: Exception) -> InputError:
        """A PyAV or system exception as one line for the user."""
        after = f" after frame {self.frames - 1}" if self.frames else ""
        if isinstance(error, FileNotFoundError):
            return InputError(f"{self.name}: no such file", kind="not_found")
        if isinstance(error, PermissionError):
            return InputError(f"{self.name}: permission denied", kind="unreadable")
        if isinstance(error, av.error.DecoderNotFoundError):
            return InputError(f"{self.name}: no decoder for its codec", kind="unsupported")
        if isinstance(error, (av.error.InvalidDataError, av.error.EOFError)):
            what = f"the video is damaged{after}" if self.frames else "damaged, or not a video"
            return InputError(f"{self.name}: {what}")
        text = getattr(error, "strerror", None) or str(error)
        return InputError(f"{self.name}: cannot be read{after} ({text})")


def to_rgb(frame: VideoFrame, reformatter: VideoReformatter, name: str) -> Image:
    """8-bit full-range RGB by the frame's own matrix and range; untagged means BT.601, limited.

    InputError, with the video's `name`, for colours that cannot be converted.
    """
    if (nearest := _NEAREST_MATRIX.get(frame.colorspace)) is not None:
        frame.colorspace = nearest
    try:
        # One thread: the decoder's own and the network use the others.
        rgb = reformatter.reformat(frame, format="rgb24", threads=1)
    except (av.error.FFmpegError, OSError) as error:
        message = f"{name}: its colours cannot be converted (matrix {frame.colorspace})"
        raise InputError(message, kind="unsupported") from error
    return np.ascontiguousarray(rgb.to_ndarray().astype(np.uint8, copy=False))


def open_video(
    video: Input, *, stride: int = 1, start: float | None = None, end: float | None = None
) -> Reader:
    """Open a video: every `stride`-th frame from `start` (s after the video's beginning) to before `end`.

    Raises InputError (`not_found`, `unsupported`, `decode`, …), also when no frame at all can be decoded, and
    UsageError for a stride or range that makes no sense.
    """
    if stride < 1:
        raise UsageError(f"a stride of {stride}: it must be 1 or more")
    if start is not None and end is not None and end <= start:
        raise UsageError(f"the range ends at {end:g} s, before it starts at {start:g} s")
    if isinstance(video.where, Path) and video.where.is_dir():
        from visioncli.media.sequence import SequenceReader

        return SequenceReader(video, stride=stride, start=start, end=end)
    media = _sniff(video)
    if media is not None and media.what == "text":
        # A playlist would make FFmpeg go and look for what it lists.
        raise InputError(f"{video.source}: text, not a video")
    if media is not None and media.suffix in (".webp", ".avif"):
        from visioncli.media.animation import AnimationReader

        return AnimationReader(video, stride=stride, start=start, end=end)
    return VideoReader(video, stride=stride, start=start, end=end)


def parse_time(text: str) -> float:
    """Seconds from `90`, `1.5`, `1:30` or `1:02:03.5`; raises UsageError."""
    if not re.fullmatch(r"([0-9]+:){0,2}([0-9]+\.?[0-9]*|\.[0-9]+)", text.strip()):
        raise UsageError(f"not a time: {text}", hint="seconds, mm:ss or hh:mm:ss")
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _sniff(video: Input) -> Media | None:
    if isinstance(video.where, bytes):
        return sniff(video.where[:HEAD])
    if not isinstance(video.where, Path) or not video.where.is_file():
        return None  # opening it says what is wrong
    with video.where.open("rb") as file:
        return sniff(file.read(HEAD))
