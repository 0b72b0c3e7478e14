"""Video out: H.264 in MP4 with the input's timestamps and sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from visioncli.errors import OutputError
from visioncli.media.atomic import commit, discard, output_error, temporary_name
from visioncli.media.audio_copy import AudioTrack, plain
from visioncli.media.yuv import Yuv
from visioncli.results import Image

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

    from visioncli.media.reader import VideoInfo

Warn = Callable[[str], None]

_CRF = 24
_PRESET = "superfast"
# Labels and boxes that move cost more than the picture beneath. Frames of 720p with eleven boxes that move
# took 18 ms of CPU time with this, 26 with `veryfast` and the same rate control at crf 23; the file is 5 %
# smaller, its PSNR 0.6 dB lower.
# - aq-mode, qcomp: spend less on what flickers (a clip of many people: 1.95 instead of 2.21 times its input).
# - mbtree over a short lookahead: a fifth smaller than `superfast` alone, for 1 ms and 0.8 dB.
# - me, b-adapt: look less closely for motion.
_X264 = "aq-mode=3:qcomp=0.42:mbtree=1:rc-lookahead=10:bframes=3:b-adapt=0:subme=1:me=dia"
_CLOCK = 90_000  # ticks a second where the input's own time base does not suit MP4
_HD = 720  # from this height on players expect BT.709, below it BT.601
_BT709, _SMPTE170M = 1, 6  # as FFmpeg numbers matrices


class VideoWriter:
    """Writes one annotated video: H.264 (crf 24), yuv420p, MP4 with its index in front.

    `path` gets its name when `close()` has finished the file; until then it is a hidden file beside it, which
    `abort()` removes. As a context manager: `close()` at the end, `abort()` on an exception.

    `info` is the input's: its time base, rate and pixel shape are kept. `audio_from` is the input itself, a
    path or its bytes: its best audio stream is copied packet by packet, or re-encoded to AAC where MP4 cannot
    hold it. `start` and `end` are the part of the input that the pictures are of, as given to `open_video`:
    with a start the output begins at zero with the first picture, and sound outside the part is left out.
    Sound that breaks off does not end the video: `warn` is told once.

    The first picture sets the size. An odd width or height gets one more column or row, a copy of the last
    (yuv420p has only even sizes); a later picture of another size is scaled into the first's on black.
    Planes (`Yuv`) are encoded as they are, and the video's colours are tagged as the first picture's.
    Timestamps are those given, to within half a tick of the time base. The first may be above zero (a player
    waits); where it is below, all times are moved so that it is zero.

    Raises OutputError when the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        *,
        audio_from: Path | bytes | None = None,
        start: float | None = None,
        end: float | None = None,
        threads: int = 2,
        warn: Warn | None = None,
    ) -> None:
        self.path = path
        self._info = info
        self._audio_from = audio_from
        self._cut = (bool(start), end is not None)
        self._threads = threads
        self._warn = warn or (lambda message: None)
        self._temporary = temporary_name(path)
        if not _is_utf8(self._temporary):
            raise OutputError(f"cannot write {path}: video needs a folder whose name is UTF-8")
        self._clock = _ticks(info.time_base)
        self._container: OutputContainer | None = None
        self._stream: VideoStream
        self._audio: AudioTrack | None = None
        self._reformatter = VideoReformatter()
        self._size = (0, 0)  # width, height of the first picture
        self._colours = _rgb_colours(0)  # of the first picture, see `Yuv.colours`
        self._shift = Fraction(0)
        self._last_tick: int | None = None
        self._ended = False

    def write(self, image: Image | Yuv, time: float | Fraction) -> None:
        """Append a picture to be shown at `time` (s), which is later than the one's before.

        (H, W, 3) uint8 RGB, or planes, which are given away: they are encoded as they are.
        """
        if self._ended:
            raise ValueError(f"{self.path} is closed")
        moment = Fraction(time)
        try:
            if self._container is None:
                self._open(image, moment)
            assert self._container is not None
            moment -= self._shift
            tick = round(moment * self._clock)
            if self._last_tick is not None:
                tick = max(tick, self._last_tick + 1)
            self._last_tick = tick
            self._container.mux(self._stream.encode(self._frame(image, tick)))
            if self._audio is not None:
                self._audio.copy_until(moment)
        except (av.error.FFmpegError, OSError) as error:
            self.abort()
            raise _reason(self.path, error) from error

    def close(self) -> Path | None:
        """Finish the file and give it its name; None, and no file, where nothing was written."""
        self._ended = True
        if self._container is None:
            return None
        try:
            self._container.mux(self._stream.encode(None))
            if self._audio is not None:
                self._audio.finish(self._end() if self._cut[1] else None)
            container, self._container = self._container, None
            container.close()
        except (av.error.FFmpegError, OSError) as error:
            self.abort()
            raise _reason(self.path, error) from error
        except BaseException:
            self.abort()
            raise
        self._close_audio()
        commit(self._temporary, self.path)
        return self.path

    def abort(self) -> None:
        """Remove what was written so far. Does nothing after `close()`."""
        self._ended = True
        self._close_audio()
        container, self._container = self._container, None
        if container is not None:
            with suppress(av.error.FFmpegError, OSError):  # the file goes anyway
                container.close()
        discard(self._temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _open(self, image: Image | Yuv, first: Fraction) -> None:
        """Start the file: with sound if there is any that MP4's header takes, else without."""
        if self._cut[0] or first < 0:
            self._shift = first
        height, width = image.shape[:2]
        self._size = (width, height)
        self._colours = image.colours if isinstance(image, Yuv) else _rgb_colours(min(width, height))
        if self._audio_from is not None and self._info.has_audio:
            try:
                self._start(sound=True)
            except (av.error.FFmpegError, LookupError, ValueError) as error:
                self._close_audio()
                if self._container is not None:
                    self._container.close()
                self._warn(f"{self.path.name}: written without sound ({plain(error)})")
            else:
                return
        self._start(sound=False)

    def _start(self, *, sound: bool) -> None:
        width, height = self._size
        self._container = av.open(
            f"file:{self._temporary}",  # or a colon in the name would end a protocol's
            "w",
            format="mp4",
            container_options={"movflags": "+faststart", "movie_timescale": str(self._clock)},
        )
        self._stream = self._container.add_stream("libx264", rate=self._rate())
        context = self._stream.codec_context
        context.width, context.height = width + width % 2, height + height % 2
        context.pix_fmt = "yuv420p"
        context.time_base = self._stream.time_base = Fraction(1, self._clock)
        context.thread_count = self._threads
        context.options = {"crf": str(_CRF), "preset": _PRESET, "x264-params": _X264}
        context.sample_aspect_ratio = _upright(self._info.sample_aspect_ratio, self._info.rotation)
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = self._colours
        if sound:
            assert self._audio_from is not None
            self._audio = AudioTrack(
                self._audio_from,
                self._container,
                self.path.name,
                self._shift,
                self._warn,
                start=self._shift if self._cut[0] else None,
            )
        self._container.start_encoding()

    def _frame(self, image: Image | Yuv, tick: int) -> av.VideoFrame:
        """The picture as a yuv420p frame of the video's (even) size, at `tick`."""
        if isinstance(image, Yuv) and image.colours == self._colours and image.shape[1::-1] == self._size:
            frame = image.frame
        else:
            frame = self._converted(image.rgb() if isinstance(image, Yuv) else image)
        frame.pts = tick
        frame.time_base = Fraction(1, self._clock)
        return frame

    def _converted(self, image: Image) -> av.VideoFrame:
        """RGB as the video has its colours."""
        width, height = self._size
        if image.shape[:2] != (height, width):
            image = _letterbox(image, width, height)
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return self._reformatter.reformat(
            # Not from_ndarray, whose copy costs more than the conversion.
            av.VideoFrame.from_numpy_buffer(np.require(image, np.uint8, ["C", "W"]), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709 if self._colours[0] == _BT709 else Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )

    def _end(self) -> Fraction:
        """When the last picture's time is over (s, of the output)."""
        return Fraction(self._last_tick or 0, self._clock) + 1 / self._rate()

    def _rate(self) -> Fraction:
        """Pictures a second, about: for the encoder's planning and the last picture's length."""
        fps = self._info.fps
        return Fraction(fps).limit_denominator(1001 * 60) if fps and fps > 0 else Fraction(25)

    def _close_audio(self) -> None:
        if self._audio is not None:
            self._audio.close()
            self._audio = None


def _rgb_colours(height: int) -> tuple[int, int, int, int]:
    """How a video of RGB pictures is tagged: they are shown as sRGB, whose primaries BT.709 shares."""
    matrix = _BT709 if height >= _HD else _SMPTE170M
    return matrix, ColorRange.MPEG, ColorPrimaries.BT709, ColorTrc.BT709


def _is_utf8(path: Path) -> bool:
    """Whether FFmpeg, through PyAV, can be told the path."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _ticks(time_base: Fraction | None) -> int:
    """Ticks a second: the input's where they are of a kind that MP4 tracks take, else 90,000."""
    if time_base is None or not 1000 <= time_base.denominator <= 1_000_000:
        return _CLOCK
    return time_base.denominator


def _upright(ratio: Fraction | None, rotation: int) -> Fraction:
    """The shape of a pixel (width to height) after the picture was turned."""
    if not ratio or ratio < 0:
        return Fraction(1)
    return 1 / ratio if rotation % 180 else ratio


def _letterbox(image: Image, width: int, height: int) -> Image:
    """The picture scaled into `width` × `height`, centred on black."""
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    scaled = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    out = np.zeros((height, width, 3), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    out[y : y + inner[1], x : x + inner[0]] = scaled
    return out


def _reason(path: Path, error: Exception) -> OutputError:
    """The OutputError for what FFmpeg or the system said."""
    if isinstance(error, OutputError):
        return error
    if isinstance(error, OSError):
        return output_error(path, error)
    return OutputError(f"cannot write {path}: {plain(error)}")
