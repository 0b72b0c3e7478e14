"""Pictures into files: whole, in the format of their suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from visioncli.media.atomic import atomic_path, make_folder
from visioncli.render.style import class_colour
from visioncli.results import Image, is_background

_JPEG: tuple[str, dict[str, Any]] = ("JPEG", {"quality": 92, "subsampling": 0})
_ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 3}),
    ".webp": ("WEBP", {"quality": 92, "method": 3}),
}


def save_image(path: Path, image: Image, *, icc: bytes | None = None) -> None:
    """Write (H, W, 3) uint8 RGB, or (H, W, 4) RGBA, as a whole file in the format of its suffix.

    JPEG in quality 92 with full colour resolution (half of it would smear thin coloured lines), WebP in
    quality 92, PNG quickly compressed. `icc` is kept if it describes RGB. No other metadata is written.
    Makes the folder.
    """
    make_folder(path.parent)
    kind, settings = _ENCODERS.get(path.suffix.lower(), _JPEG)
    options = dict(settings)
    if icc is not None and icc[16:20] == b"RGB ":
        options["icc_profile"] = icc
    with atomic_path(path) as temporary:
        PillowImage.fromarray(image).save(temporary, kind, **options)


def save_map(
    path: Path, values: NDArray[np.uint8] | NDArray[np.uint16], *, names: Sequence[str] = ()
) -> None:
    """Write (H, W) numbers as a PNG with just these values: of 8 bits with colours for `names`, or of 16."""
    make_folder(path.parent)
    image = PillowImage.fromarray(values)
    if values.dtype == np.uint8:
        colours = [(0, 0, 0) if is_background(n) else class_colour(i) for i, n in enumerate(names[:256])]
        image.putpalette([part for colour in colours for part in colour] + [0] * 3 * (256 - len(colours)))
    with atomic_path(path) as temporary:
        image.save(temporary, "PNG", compress_level=3)
