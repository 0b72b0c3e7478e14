"""Still pictures in: whatever Pillow reads, as one upright RGB frame."""

from __future__ import annotations

import importlib
import importlib.util
import io
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from visioncli.errors import InputError
from visioncli.media import sniff
from visioncli.media.frame import Frame, Input
from visioncli.results import Image as Pixels

# What may be opened, the common ones first: Pillow loads all its plugins for the rest. Not EPS, PDF and WMF:
# Pillow hands those to other programs.
COMMON = ("JPEG", "PNG", "GIF", "BMP", "PPM")
RARE = (
    *(
        "WEBP",
        "TIFF",
        "AVIF",
        "JPEG2000",
        "ICO",
        "TGA",
        "PSD",
        "SGI",
        "QOI",
        "DDS",
        "ICNS",
        "CUR",
        "PCX",
        "DIB",
    ),
    *("IM", "XBM", "XPM", "SPIDER", "FITS", "MSP", "PIXAR", "SUN"),
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED = (5, 6, 7, 8)


def read(picture: Input, *, least: int | None = None) -> Frame:
    """One upright picture: EXIF orientation applied, any mode to 8-bit RGB (alpha dropped), the first frame.

    With `least` (px) a JPEG may come smaller, its shorter side at least that: less to decode. The frame still
    has the size of the file's.
    Safe to call from several threads. Raises InputError: `not_found`, `unreadable` (the system refuses),
    `too_large` (more pixels than `PIL.Image.MAX_IMAGE_PIXELS`, refused before decoding), `unsupported`,
    `decode` (damaged, cut off, or no picture at all).
    """
    full = None
    with opened(picture) as image:
        kind, icc = image.format, image.info.get("icc_profile")
        if least is not None and kind in ("JPEG", "MPO"):
            width, height = image.size
            scale = min(width, height) / least
            image.draft(
                None, (math.ceil(width / scale), math.ceil(height / scale)) if scale > 1 else image.size
            )
            full = (height, width) if _orientation(image) in _TURNED else (width, height)
        pixels = upright(image, picture.source)
    return Frame(pixels, format=kind, icc=icc if isinstance(icc, bytes) else None, full=full)


@contextmanager
def opened(picture: Input) -> Iterator[Image.Image]:
    """The picture as Pillow has it, size checked, nothing decoded yet; errors inside become InputError."""
    name = picture.source
    try:
        with _quiet(), _file(picture) as file, _image(file, name) as image:
            _check_size(image.size, name)
            yield image
    except InputError:
        raise
    except Exception as error:
        # Pillow's readers raise whatever a damaged file makes them stumble over.
        raise _reason(error, name) from error


def upright(image: Image.Image, name: str) -> Pixels:
    """(H, W, 3) uint8 RGB of the frame that `image` is at, turned as its metadata say."""
    image.load()
    pixels = _rgb(image, name)
    if (turn := _UPRIGHT.get(_orientation(image))) is not None:
        pixels = pixels.transpose(turn)
    return np.array(pixels, dtype=np.uint8)


def _file(picture: Input) -> IO[bytes]:
    if isinstance(picture.where, bytes):
        return io.BytesIO(picture.where)
    if not isinstance(picture.where, Path):
        raise TypeError(f"a picture is a file or bytes, not {picture.where!r}")
    return picture.where.open("rb")


def _image(file: IO[bytes], name: str) -> Image.Image:
    head = file.read(sniff.HEAD)
    if not head:
        raise InputError(f"{name}: the file is empty")
    media = sniff.sniff(head)
    if media is not None and media.suffix == ".heic":
        return _open_heif(file, name)
    return _open(file, name, media)


def _open(file: IO[bytes], name: str, media: sniff.Media | None) -> Image.Image:
    for formats in (COMMON, RARE):
        file.seek(0)
        try:
            return Image.open(file, formats=formats)
        except UnidentifiedImageError:
            continue
    if media is None:
        raise InputError(f"{name}: not a picture of any kind known here")
    if media.suffix == ".jxl":
        raise InputError(
            f"{name}: JPEG XL is not read here", kind="unsupported", hint="convert it to PNG or JPEG"
        )
    if media.what == "text":
        raise InputError(f"{name}: text, not a picture")
    if media.what == "video":
        raise InputError(f"{name}: a video, not a picture")
    raise InputError(f"{name}: damaged, its header makes no sense")


def _open_heif(file: IO[bytes], name: str) -> Image.Image:
    """HEIC through pillow-heif, called directly: registering it with Pillow would change a global."""
    if importlib.util.find_spec("pillow_heif") is None:
        raise InputError(
            f"{name}: HEIC needs pillow-heif", kind="unsupported", hint="pip install 'visioncli[heic]'"
        )
    heif: Any = importlib.import_module("pillow_heif")
    file.seek(0)
    container = heif.open_heif(file)
    _check_size(container.size, name)
    image: Image.Image = container.to_pillow()  # turned upright by libheif already
    image.format = "HEIF"
    return image


def _check_size(size: tuple[int, int], name: str) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and size[0] * size[1] > limit:
        raise InputError(
            f"{name}: {size[0]}x{size[1]} pixels: the limit is {_mega(limit)}",
            kind="too_large",
        )


def _mega(pixels: int) -> str:
    return f"{pixels / 1e6:.0f} megapixels"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8 (from EXIF, an ImageMagick profile or XMP); 1 where it cannot be made out."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:
        # Broken metadata beside sound pixels: the picture counts, as it is stored.
        return 1
    return value if isinstance(value, int) else 1


def _rgb(image: Image.Image, name: str) -> Image.Image:
    """Any mode as 8-bit RGB: deeper samples lose their low bits, alpha is dropped as the libraries do."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        return _grey(np.asarray(image).astype(np.int64), _bits(image), name)
    if image.mode == "F":
        return _float(np.asarray(image), name)
    if image.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        turned = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert turned is not None  # None only for in-place conversion
        return turned
    return image.convert("RGB")


def _bits(image: Image.Image) -> int:
    """Bits that a sample of a deep grey picture uses."""
    tags = getattr(image, "tag_v2", None)
    declared = tags.get(258) if tags is not None else None
    bits = declared[0] if isinstance(declared, tuple) and declared else declared
    return bits if isinstance(bits, int) and 8 < bits <= 16 else 16


def _grey(values: np.ndarray[Any, np.dtype[np.int64]], bits: int, name: str) -> Image.Image:
    if values.size and (values.min() < 0 or values.max() >= 1 << 16):
        raise InputError(f"{name}: 32-bit samples without a known range", kind="unsupported")
    return Image.fromarray((values >> (bits - 8)).clip(0, 255).astype(np.uint8)).convert("RGB")


def _float(values: np.ndarray[Any, Any], name: str) -> Image.Image:
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise InputError(f"{name}: floating-point samples outside 0 to 1", kind="unsupported")
    return Image.fromarray((values * 255 + 0.5).astype(np.uint8)).convert("RGB")


def _reason(error: Exception, name: str) -> InputError:
    """A Pillow or system exception as one line for the user."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: no such file", kind="not_found")
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(f"{name}: {os.strerror(error.errno)}", kind="unreadable")
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        size = _mega(int(pixels[1])) if pixels else "too many pixels"
        limit = _mega(Image.MAX_IMAGE_PIXELS or 0)
        return InputError(f"{name}: {size}: the limit is {limit}", kind="too_large")
    if isinstance(error, MemoryError) or "too large" in str(error):
        return InputError(f"{name}: too large to decode ({error})", kind="too_large")
    if "truncated" in str(error).lower():
        return InputError(f"{name}: the picture is cut off")
    said = str(error).strip().partition("\n")[0]
    return InputError(f"{name}: damaged ({said or type(error).__name__})")


class _Quiet:
    """Pillow's warnings about odd metadata, kept off the terminal while any picture is being read.

    The filter names Pillow's modules only. It is counted, so that threads may overlap, and gone afterwards:
    `warnings.catch_warnings` alone would restore one thread's filters in the middle of another's work.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.filter: Any = None

    def enter(self) -> None:
        with self.lock:
            self.readers += 1
            if self.readers == 1:
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
                self.filter = warnings.filters[0]

    def leave(self) -> None:
        with self.lock:
            self.readers -= 1
            if self.readers == 0 and self.filter in warnings.filters:
                warnings.filters.remove(self.filter)  # type: ignore[attr-defined]


_QUIET = _Quiet()


@contextmanager
def _quiet() -> Iterator[None]:
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()
