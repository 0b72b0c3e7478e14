"""Text bitmaps."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from visioncli.render import text
from visioncli.render.text import fit, text_bitmap, text_width

FONTS = Path(text.__file__).parent / "fonts"


@pytest.mark.parametrize(
    "label", ["person", "größe", "naïve façade", "Ёлка", "Ωμέγα", "قطة", "חתול", "Ħal", "Đà Nẵng"]
)
def test_scripts_of_the_bundled_font_are_drawn_right(label: str) -> None:
    """No character comes out as the box that stands for a missing one."""
    font = ImageFont.truetype(FONTS / "DejaVuSansCondensed-Bold.ttf", 24)
    missing = bytes(font.getmask("\uffff"))
    assert all(bytes(font.getmask(c)) != missing for c in label if not c.isspace())
    bitmap = text_bitmap(label, 24)
    assert bitmap.max() > 200
    assert bitmap.shape[0] == text_bitmap("x", 24).shape[0]
    assert not np.array_equal(bitmap, text_bitmap("\uffff" * len(label), 24))


def test_the_licence_of_the_font_is_here() -> None:
    assert "Bitstream Vera" in (FONTS / "LICENSE_DEJAVU").read_text()


def test_other_scripts_come_from_a_system_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A character that the bundled font lacks and another font has: the other one is found and used."""
    lacking = "\U0001d5a0"  # a sans-serif mathematical A: in DejaVu Sans, not in its bold condensed cut
    source = next(
        (p for p in Path("/usr/share/fonts").rglob("*.[to]tf") if text._covers(p, frozenset(lacking))), None
    )
    if source is None or text._covers(text._BUNDLED, frozenset(lacking)):
        pytest.skip("no font on this machine has a character that the bundled one lacks")
    shutil.copy(source, tmp_path / "NotoSansCJK-Regular.otf")
    monkeypatch.setattr(text, "_font_folders", lambda: [tmp_path])
    text._system_fonts.cache_clear()
    text._path_for.cache_clear()
    try:
        assert text._path_for(frozenset(lacking)) == tmp_path / "NotoSansCJK-Regular.otf"
        assert text._path_for(frozenset("é")) == text._BUNDLED
    finally:
        text._system_fonts.cache_clear()
        text._path_for.cache_clear()


def test_what_no_font_has_is_still_drawn() -> None:
    assert text_bitmap("\U0010fffd猫", 16).shape[1] > 5


def test_line_breaks_and_control_characters_become_spaces() -> None:
    assert np.array_equal(text_bitmap("a\nb", 16), text_bitmap("a b", 16))
    assert text_bitmap("", 16).shape[1] >= 1


def test_fit_cuts_to_the_width() -> None:
    label = "a very long class name"
    assert fit(label, 16, 1000) == label
    for width in (40, 60, 90):
        short = fit(label, 16, width)
        assert text_width(short, 16) <= width
        assert short.endswith("…")
    assert fit(label, 16, 3) == ""


def test_threads_draw_the_same() -> None:
    labels = [f"label {i} é" for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(lambda s: text_bitmap(s, 18), labels))
    text._bitmap.cache_clear()
    assert all(np.array_equal(a, text_bitmap(s, 18)) for a, s in zip(many, labels, strict=True))
