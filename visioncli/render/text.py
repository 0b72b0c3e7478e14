"""Text as alpha bitmaps: the bundled font, a system font for scripts it lacks, and a cache."""

from __future__ import annotations

import os
import sys
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

Alpha = NDArray[np.uint8]

_BUNDLED = Path(__file__).parent / "fonts" / "DejaVuSansCondensed-Bold.ttf"
_ELLIPSIS = "…"
# FreeType faces must not be used by two threads at once.
_lock = threading.RLock()

# Fonts for what the bundled one lacks (CJK, Indic, Thai, …), by the beginnings of their file names.
_WIDE_FONTS = (
    "notosanscjk", "notosansjp", "notosanssc", "sourcehansans", "wqy-", "droidsansfallback", "ipag",
    "unifont", "notosansdevanagari", "notosansthai", "notosansbengali", "notosanstamil", "lohit",
    "freesans", "pingfang", "hiragino", "arialunicode", "arial unicode", "applesdgothic", "msyh",
    "yugoth", "meiryo", "malgun", "nirmala", "leelawui",
)  # fmt: skip


def text_bitmap(text: str, size: int) -> Alpha:
    """`text` on one line as an (h, w) uint8 alpha bitmap: h is the line's height, w the text's own width.

    The height depends on `size` (px) alone, so that lines of text align.
    """
    return _bitmap(text, size)


def text_width(text: str, size: int) -> int:
    """The width of `text` in px."""
    return int(_bitmap(text, size).shape[1])


def fit(text: str, size: int, width: int) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` px; empty if not even that fits."""
    if text_width(text, size) <= width:
        return text
    if width < text_width(_ELLIPSIS, size):
        return ""
    low, high = 0, len(text)
    while low < high:  # the most characters that fit
        middle = (low + high + 1) // 2
        if text_width(text[:middle].rstrip() + _ELLIPSIS, size) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + _ELLIPSIS if low else ""


@lru_cache(maxsize=2048)
def _bitmap(text: str, size: int) -> Alpha:
    with _lock:
        font = _font_for(text, size)
        reference = _font(_BUNDLED, size)
        ascent, descent = reference.getmetrics()
        line = "".join(c if c.isprintable() else " " for c in text)
        left, _, right, _ = font.getbbox(line, anchor="ls")
        width = max(1, int(np.ceil(right - left)))
        canvas = PillowImage.new("L", (width, ascent + descent))
        ImageDraw.Draw(canvas).text((-left, ascent), line, fill=255, font=font, anchor="ls")
    return np.asarray(canvas)


def _font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """The bundled font if it has all characters of `text`, else the first system font that has, else it."""
    if text.isascii():
        return _font(_BUNDLED, size)
    wanted = frozenset(c for c in text if not c.isascii() and c.isprintable() and not c.isspace())
    path = _path_for(wanted)
    return _font(path, size)


@lru_cache(maxsize=1024)
def _path_for(characters: frozenset[str]) -> Path:
    if _covers(_BUNDLED, characters):
        return _BUNDLED
    return next((path for path in _system_fonts() if _covers(path, characters)), _BUNDLED)


def _covers(path: Path, characters: frozenset[str]) -> bool:
    """Whether the font has each character: a missing one is drawn as U+FFFF, which is none, is."""
    font = _font(path, 24)
    missing = font.getmask("\uffff")
    return all(
        (mask := font.getmask(c)).size != missing.size or bytes(mask) != bytes(missing) for c in characters
    )


@lru_cache(maxsize=64)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[Path, ...]:
    """This system's fonts for other scripts, in the order of `_WIDE_FONTS`; looked for once, when needed."""
    found: list[tuple[int, Path]] = []
    for folder in _font_folders():
        for root, _, names in os.walk(folder):
            for name in names:
                rank = next(
                    (i for i, start in enumerate(_WIDE_FONTS) if name.lower().startswith(start)), None
                )
                if rank is not None and name.lower().endswith((".ttf", ".otf", ".ttc")):
                    found.append((rank, Path(root) / name))
    usable = []
    for _, path in sorted(found):
        try:
            _font(path, 24)
        except OSError:  # not a font after all: one fewer to choose from
            continue
        usable.append(path)
    return tuple(usable)


def _font_folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".local/share/fonts",
        home / ".fonts",
    ]
