"""Annotated media and crops under the output folder: whole files, each under a name of its own."""

from __future__ import annotations

import itertools
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from PIL import Image as PillowImage

from visioncli.errors import OutputError, UsageError
from visioncli.media.atomic import atomic_path, make_folder
from visioncli.media.frame import Frame, Input
from visioncli.render import Style, draw
from visioncli.results import Detections, Image, Result

if TYPE_CHECKING:
    from visioncli.media.reader import VideoInfo
    from visioncli.media.video_out import VideoWriter

Warn = Callable[[str], None]

_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp"}
_LONGEST_SIDE = {".jpg": 65_535, ".webp": 16_383}  # what the formats can hold; PNG takes the rest
_SAME_FORMAT = {".jpg": {".jpg", ".jpeg", ".jpe", ".jfif"}}
_MEDIA_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|png|apng|webp|gif|bmp|dib|tiff?|tga|ppm|pgm|pbm|pnm|pcx|heic|heif|avif|jp2|j2k|jpx|mpo|ico"
    r"|icns|psd|sgi|qoi|dds|exr|hdr|mp4|m4v|mov|mkv|webm|avi|mpe?g|m2v|m2ts|mts|ts|wmv|flv|ogv|3gp|mxf|y4m)",
    re.IGNORECASE,
)
_NAME_MAX = 240  # bytes; leaves room for a number and a suffix
_JPEG: tuple[str, dict[str, Any]] = ("JPEG", {"quality": 92, "subsampling": 0})
_ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 3}),
    ".webp": ("WEBP", {"quality": 92, "method": 3}),
}


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
    """Where one input's files go: `media`, the annotated copy, and `crops`, what crops' names begin with."""

    media: Path | None
    crops: Path | None


class MediaSink:
    """Writes annotated pictures and videos under `out` and crops under `crops` (None: none of that kind).

    Names. The first input that would be called `a.jpg` is `out/a.jpg`. A later one of that name goes to its
    path relative to the folder or glob it was found through, then under the name of the folder it lies in,
    then to `a-2.jpg`, `a-3.jpg`, … So names depend on the order of the inputs alone, as long as `reserve` is
    called in that order. JPEG, PNG and WebP stay what they are, every other picture becomes PNG and every
    video MP4, and the suffix says so. Nothing is written outside the folders, or onto the input itself.

    Existing files. In the default folder they are overwritten. If `named` (the user named the folder) and not
    `force`, a file that was there before this run is a UsageError, raised for the first name that clashes;
    other files in the folder do not matter.
    Crops are always overwritten: their names are not known before the work.

    Thread-safe: pictures may be saved from several threads.
    """

    def __init__(
        self,
        out: Path | None,
        *,
        crops: Path | None = None,
        named: bool = False,
        force: bool = False,
        style: Style | None = None,
        threads: int | None = None,
        warn: Warn | None = None,
    ) -> None:
        self._style = style or Style()
        # Half of the cores: the other half computes. A second thread on two cores cost memory, gave no time.
        self._threads = threads or max((os.cpu_count() or 2) // 2, 1)
        self._warn = warn or (lambda message: None)
        self._media = _Names(out, must_be_new=named and not force) if out is not None else None
        self._crops = _Names(crops, must_be_new=False) if crops is not None else None

    def reserve(self, input: Input, frame: Frame | None = None) -> Target:
        """The names for `input`'s files (a picture's with its `frame`, a video's without), in input order."""
        suffix = ".mp4" if frame is None else _picture_suffix(frame)
        media = self._media.claim(input, suffix) if self._media is not None else None
        stem = self._crops.claim(input, "") if self._crops is not None else None
        return Target(media, stem)

    def save_picture(
        self, input: Input, frame: Frame, result: Result, target: Target | None = None
    ) -> Path | None:
        """Write the annotated copy and the crops of one picture; the copy's path, or None without `out`.

        `target` is what `reserve` gave; without it the names are reserved now, in the order of the calls.
        """
        target = target or self.reserve(input, frame)
        if target.crops is not None:
            self._save_crops(target.crops, frame, result)
        if target.media is None:
            return None
        save_image(target.media, draw(frame.image, result, self._style), icc=frame.icc)
        return target.media

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

    def _save_crops(self, stem: Path, frame: Frame, result: Result) -> None:
        """`STEM-N-LABEL.jpg` for the Nth object from 1, in a video `STEM-FRAME-N-LABEL.jpg`."""
        if not isinstance(result.prediction, Detections):
            return
        middle = "" if frame.index is None else f"-{frame.index:06d}"
        for number, (box, label) in enumerate(
            zip(result.boxes.tolist(), result.labels, strict=True), start=1
        ):
            path = stem.with_name(f"{stem.name}{middle}-{number}-{safe_label(label)}.jpg")
            save_image(path, crop(frame.image, box), icc=frame.icc)


class VideoSink:
    """The files of one video while it is being worked on."""

    def __init__(self, sink: MediaSink, input: Input, target: Target, writer: VideoWriter | None) -> None:
        self._sink = sink
        self._input = input  # the sound may come from a temporary file that goes when the Input does
        self._target = target
        self._writer = writer

    def write(self, frame: Frame, result: Result) -> None:
        """Draw and append the next frame, and save its crops."""
        if self._target.crops is not None:
            self._sink._save_crops(self._target.crops, frame, result)
        if self._writer is not None:
            time = frame.pts if frame.pts is not None else frame.time
            assert time is not None
            self._writer.write(draw(frame.image, result, self._sink._style), time)

    def close(self) -> Path | None:
        """Finish the file; its path, or None where no frame came or none is wanted."""
        return self._writer.close() if self._writer is not None else None

    def abort(self) -> None:
        """Remove what is not finished (crops that were saved stay)."""
        if self._writer is not None:
            self._writer.abort()


class _Names:
    """Which names under one folder are taken, and by which source."""

    def __init__(self, root: Path, *, must_be_new: bool) -> None:
        if root.exists() and not root.is_dir():
            raise UsageError(f"{root} is a file, not a folder", hint="name a folder")
        _check_writable(root)
        self._root = root
        self._must_be_new = must_be_new
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def claim(self, input: Input, suffix: str) -> Path:
        """A path for `input` that no other has, with `suffix` in place of its own."""
        parts = _inside(input.relative)
        with self._lock:
            relative = next(
                r for r in _candidates(parts, input, suffix) if os.path.normcase(r) not in self._taken
            )
            self._taken.add(os.path.normcase(relative))
        path = self._root / relative
        if suffix:
            self._check(path, input)
        return path

    def _check(self, path: Path, input: Input) -> None:
        if not path.exists():
            return
        if isinstance(input.where, Path) and path.samefile(input.where):
            raise UsageError(
                f"{path} is an input: its annotated copy would overwrite it", hint="choose another --out"
            )
        if self._must_be_new:
            raise UsageError(f"{path} exists already", hint="--force overwrites it, or choose another --out")


def _candidates(parts: tuple[str, ...], input: Input, suffix: str) -> Iterator[Path]:
    """Relative paths for `input` by preference: its name, its tree, its parent folder's name, numbers."""
    folders, name = parts[:-1], _renamed(parts[-1], suffix)
    yield Path(name)
    yield Path(*folders, name)
    if isinstance(input.where, Path):
        parent = input.where.absolute().parent.name
        if parent not in ("", ".."):
            yield Path(_short(parent), name)
    stem = name.removesuffix(suffix) if suffix else name
    for number in itertools.count(2):
        yield Path(*folders, f"{stem}-{number}{suffix}")


def _inside(relative: PurePath) -> tuple[str, ...]:
    """The parts of a relative path that stay in the folder: no root, no drive, no `..`; at least a name."""
    parts = [part for part in relative.parts if part not in ("..", ".", relative.anchor)]
    cleaned = [_short(part.replace("\0", "_").replace("/", "_").replace("\\", "_")) for part in parts]
    if not cleaned or cleaned[-1] == "-":
        cleaned[-1:] = ["stdin"]
    return tuple(cleaned)


def _short(name: str) -> str:
    """The name cut to what a file system takes, with room for a number and a suffix."""
    if len(os.fsencode(name)) <= _NAME_MAX:
        return name
    while len(os.fsencode(name)) > _NAME_MAX:
        name = name[:-1]
    return name


def _renamed(name: str, suffix: str) -> str:
    """`name` with `suffix`, in place of its own where that is a picture's or a video's (`""`: taken off)."""
    stem, own = PurePath(name).stem, PurePath(name).suffix
    if own.lower() == suffix or own.lower() in _SAME_FORMAT.get(suffix, ()):
        return name
    return (stem if _MEDIA_SUFFIX.fullmatch(own) and stem else name) + suffix


def _picture_suffix(frame: Frame) -> str:
    """The suffix, and so the format, for a picture: its own where we write it and it can hold the size."""
    suffix = _SUFFIXES.get(frame.format or "", ".png")
    if max(frame.width, frame.height) > _LONGEST_SIDE.get(suffix, 1 << 30):
        return ".png"
    return suffix


def _check_writable(folder: Path) -> None:
    """OutputError now, not after an hour's work, if `folder` cannot be made or written to."""
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise OutputError(f"cannot write into {folder}: {existing} is a file", hint="choose another folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write into {folder}: permission denied", hint="choose a folder that you may write to"
        )


def save_image(path: Path, image: Image, *, icc: bytes | None = None) -> None:
    """Write (H, W, 3) uint8 RGB as a whole file in the format of `path`'s suffix; makes its folder.

    JPEG in quality 92 with full colour resolution (half of it would smear thin coloured lines), WebP in
    quality 92, PNG quickly compressed. `icc` is kept if it describes RGB. No other metadata is written.
    """
    make_folder(path.parent)
    kind, settings = _ENCODERS.get(path.suffix.lower(), _JPEG)
    options = dict(settings)
    if icc is not None and icc[16:20] == b"RGB ":
        options["icc_profile"] = icc
    with atomic_path(path) as temporary:
        PillowImage.fromarray(image).save(temporary, kind, **options)


def crop(image: Image, box: Sequence[float]) -> Image:
    """The part of `image` that a box (x1, y1, x2, y2 in px) touches, at least one pixel, as a view."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    left = min(max(math.floor(x1), 0), width - 1)
    top = min(max(math.floor(y1), 0), height - 1)
    right = min(max(math.ceil(x2), left + 1), width)
    bottom = min(max(math.ceil(y2), top + 1), height)
    return image[top:bottom, left:right]


def safe_label(label: str) -> str:
    """A label as a part of a file name: letters, digits, `-` and `.` kept, the rest `_`; at most 60 bytes."""
    name = re.sub(r"[^\w.-]+", "_", label).strip("._-")
    while len(name.encode()) > 60:
        name = name[:-1]
    return name or "object"
