"""Annotated media, and the files beside them: whole files, each under a name of its own."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visioncli.errors import OutputError, UsageError
from visioncli.media.atomic import make_folder
from visioncli.media.frame import Frame, Input
from visioncli.output.images import save_image
from visioncli.output.names import Names
from visioncli.output.objects import Crops, Cutouts, MaskFiles, mask_path
from visioncli.render import Style, draw, draw_frame
from visioncli.render.counts import draw_counts, draw_shapes
from visioncli.render.trails import Trails
from visioncli.results import Detections, Image, Result

if TYPE_CHECKING:
    from visioncli.media.reader import VideoInfo
    from visioncli.media.video_out import VideoWriter
    from visioncli.media.yuv import Yuv
    from visioncli.render.background import Background, MovingBackground
    from visioncli.track.counting import Sign

Warn = Callable[[str], None]

_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp"}
_LONGEST_SIDE = {".jpg": 65_535, ".webp": 16_383}  # what the formats can hold; PNG takes the rest


def check_new_file(path: Path, *, force: bool) -> None:
    """UsageError if `path`, a file that the user named for output, exists already or cannot be one.

    For `--jsonl`, `--csv` and their like, to be called before any work. What is no regular file (a pipe,
    /dev/stdout, /dev/null) is written to as it is.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file")
    if path.is_file() and not force:
        raise UsageError(f"{path} exists already", hint="--force overwrites it, or choose another name")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: no such folder", hint=f"mkdir -p {path.parent}")


@dataclass(frozen=True, slots=True)
class Target:
    """Where one input's files go: `media`, the annotated copy, its masks, and `beside`, one for each kind."""

    media: Path | None
    masks: Path | None
    beside: tuple[Path, ...]

    def mask_file(self, frame: Frame) -> str | None:
        """The name of a picture's or a frame's file of masks, if it has one."""
        return None if self.masks is None else str(mask_path(self.masks, frame))


class MediaSink:
    """Writes annotated pictures and videos under `out`, crops, cut-outs and masks (None: none of that kind).

    With a `background`, the copies are not annotated: what is behind the objects is changed.

    Names. The first input that would be called `a.jpg` is `out/a.jpg`. A later one of that name goes to its
    path relative to the folder or glob it was found through, then under the name of the folder it lies in,
    then to `a-2.jpg`, `a-3.jpg`, … So names depend on the order of the inputs alone, as long as `reserve` is
    called in that order. JPEG, PNG and WebP stay what they are, every other picture becomes PNG and every
    video MP4, and the suffix says so. Nothing is written outside the folders, or onto the input itself.

    Existing files. In the default folder they are overwritten. If `named` (the user named the folder) and not
    `force`, a file that was there before this run is a UsageError, raised for the first name that clashes;
    other files in the folder do not matter.
    So are masks refused; crops and cut-outs are overwritten: their names are not known before the work.

    Thread-safe: pictures may be saved from several threads.
    """

    def __init__(
        self,
        out: Path | None,
        *,
        crops: Path | None = None,
        cutouts: Path | None = None,
        masks: Path | None = None,
        background: Background | None = None,
        named: bool = False,
        force: bool = False,
        style: Style | None = None,
        threads: int | None = None,
        trail: float = 0.0,
        warn: Warn | None = None,
    ) -> None:
        self._style = style or Style()
        self._trail = trail
        # Half of the cores: the other half computes. A second thread on two cores cost memory, gave no time.
        self._threads = threads or max((os.cpu_count() or 2) // 2, 1)
        self._warn = warn or (lambda message: None)
        self._background = background
        self._media = Names(out, "--out", must_be_new=named and not force) if out is not None else None
        self._masks = MaskFiles(masks, force=force) if masks is not None else None
        self._beside: list[Crops] = []
        if crops is not None:
            self._beside.append(Crops(crops))
        if cutouts is not None:
            self._beside.append(Cutouts(cutouts))

    def reserve(self, input: Input, frame: Frame | None = None) -> Target:
        """The names for `input`'s files (a picture's with its `frame`, a video's without), in input order."""
        suffix = ".mp4" if frame is None else self._picture_suffix(frame)
        media = self._media.claim(input, suffix) if self._media is not None else None
        masks = self._masks.reserve(input, frame) if self._masks is not None else None
        return Target(media, masks, tuple(kind.reserve(input, frame) for kind in self._beside))

    def save_picture(
        self, input: Input, frame: Frame, result: Result, target: Target | None = None
    ) -> Path | None:
        """Write the files of one picture; its copy's path, or None without `out`.

        `target` is what `reserve` gave; without it the names are reserved now, in the order of the calls.
        """
        target = target or self.reserve(input, frame)
        self._save_beside(target, frame, result)
        if target.media is None:
            return None
        save_image(target.media, self._drawn(frame.image, result), icc=frame.icc)
        return target.media

    def _save_beside(self, target: Target, frame: Frame, result: Result) -> None:
        """Write all but the copy."""
        if self._masks is not None and target.masks is not None:
            self._masks.save(target.masks, frame, result)
        for kind, where in zip(self._beside, target.beside, strict=True):
            kind.save(where, frame, result)

    def _drawn(self, image: Image, result: Result) -> Image:
        """The copy's pixels."""
        if self._background is not None:
            return self._background.behind(image, result)
        return draw(image, result, self._style)

    def _picture_suffix(self, frame: Frame) -> str:
        """The suffix, and so the format, for a picture: its own where we write it and it can hold it."""
        if self._background is not None and self._background.transparent:
            return ".png"
        suffix = _SUFFIXES.get(frame.format or "", ".png")
        return ".png" if max(frame.width, frame.height) > _LONGEST_SIDE.get(suffix, 1 << 30) else suffix

    def video(
        self, input: Input, info: VideoInfo, *, start: float | None = None, end: float | None = None
    ) -> VideoSink:
        """Start the annotated copy of a video; `start` and `end` as given to `open_video`."""
        from visioncli.media.video_out import VideoWriter

        target = self.reserve(input)
        writer: VideoWriter | None = None
        if target.media is not None:
            make_folder(target.media.parent)
            sound = input.where if isinstance(input.where, Path | bytes) and info.has_audio else None
            writer = VideoWriter(
                target.media,
                info,
                audio_from=sound,
                start=start,
                end=end,
                threads=self._threads,
                warn=self._warn,
            )
        return VideoSink(self, input, target, writer)


class VideoSink:
    """The files of one video while it is being worked on."""

    def __init__(self, sink: MediaSink, input: Input, target: Target, writer: VideoWriter | None) -> None:
        self._sink = sink
        self._input = input  # the sound may come from a temporary file that goes when the Input does
        self.target = target
        self._writer = writer
        self._trails = Trails(sink._trail) if sink._trail else None
        self._behind: MovingBackground | None = None
        if sink._background is not None:
            from visioncli.render.background import MovingBackground

            self._behind = MovingBackground(sink._background)

    def write(self, frame: Frame, result: Result, signs: Sequence[Sign] = ()) -> None:
        """Draw and append the next frame, with the counts of lines and zones, and save what goes beside."""
        self._sink._save_beside(self.target, frame, result)
        if self._writer is not None:
            time = frame.pts if frame.pts is not None else frame.time
            assert time is not None
            self._writer.write(self._drawn(frame, result, signs), time)

    def _drawn(self, frame: Frame, result: Result, signs: Sequence[Sign]) -> Image | Yuv:
        """The frame with its background changed, or lines, zones, trails below its objects, counts above."""
        style = self._sink._style
        if self._behind is not None:
            return self._behind.behind(frame.image, result)
        under = None
        if self._trails is not None and isinstance(result.prediction, Detections):
            under = functools.partial(self._trails.draw, result=result, style=style)
        if not signs:
            return draw_frame(frame.pixels, result, style, under)
        image = frame.image.copy(order="C")
        draw_shapes(image, signs, style)
        annotated = draw_frame(image, result, style, under)
        assert isinstance(annotated, np.ndarray)
        draw_counts(annotated, signs, style)
        return annotated

    def close(self) -> Path | None:
        """Finish the file; its path, or None where no frame came or none is wanted."""
        return self._writer.close() if self._writer is not None else None

    def abort(self) -> None:
        """Remove what is not finished (crops, cut-outs and masks that were saved stay)."""
        if self._writer is not None:
            self._writer.abort()
