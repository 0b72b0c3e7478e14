"""Soft edges, cut-outs, and what is behind the objects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.render.test_masks import disc, segmented
from visioncli.errors import UsageError
from visioncli.render.background import Background, MovingBackground, cutout, kept_mask
from visioncli.render.matte import foreground, matte, reach
from visioncli.results import Detections, Image, Regions, Result

RED, BLUE = (200, 30, 30), (20, 60, 200)


def scene(radius: float = 60) -> Image:
    """A red disc on blue, with a soft edge and some noise."""
    rows, columns = np.mgrid[:240, :320]
    share = np.clip(radius - np.hypot(rows - 120, columns - 160) + 0.5, 0, 1)[..., None]
    noise = np.random.default_rng(0).normal(0, 4, (240, 320, 3))
    return np.clip(share * RED + (1 - share) * BLUE + noise, 0, 255).astype(np.uint8)


def found(radius: float = 60) -> Result:
    return segmented([disc(240, 320, 120, 160, radius)])


def test_a_matte_finds_the_edge_that_the_mask_misses() -> None:
    """A mask that is 2 px too small or too large comes nearer to the object's true edge."""
    truth = disc(240, 320, 120, 160, 60).astype(float)
    for radius in (58, 62):
        mask = disc(240, 320, 120, 160, radius)
        alpha = matte(scene(), mask, 6)
        assert np.abs(alpha - truth).sum() < 0.35 * np.abs(mask - truth).sum()


def test_a_matte_is_soft_only_near_the_edge() -> None:
    mask = disc(240, 320, 120, 160, 60)
    alpha = matte(scene(), mask, 5)
    assert (alpha[disc(240, 320, 120, 160, 53)] == 1).all()
    assert (alpha[~disc(240, 320, 120, 160, 67)] == 0).all()
    assert ((alpha > 0.02) & (alpha < 0.98)).any()
    for all_or_none in (np.zeros((9, 9), np.bool_), np.ones((9, 9), np.bool_)):
        assert np.array_equal(matte(scene()[:9, :9], all_or_none, 3), all_or_none.astype(np.float32))


def test_the_background_does_not_shine_through_soft_edges() -> None:
    mask = disc(240, 320, 120, 160, 60)
    image = scene()
    alpha = matte(image, mask, 5)
    own = foreground(image, alpha, 5)
    edge = (alpha > 0.3) & (alpha < 0.95)
    assert np.abs(own[edge].astype(int) - RED).mean() < 0.5 * np.abs(image[edge].astype(int) - RED).mean()


def test_blur_keeps_the_objects_and_smooths_the_rest() -> None:
    image = scene()
    checks = np.indices((240, 320)).sum(axis=0) // 4 % 2 == 0
    image[checks & ~disc(240, 320, 120, 160, 64)] = (240, 240, 240)
    out = Background("blur").behind(image, found())
    inner, far = disc(240, 320, 120, 160, 50), ~disc(240, 320, 120, 160, 80)
    assert np.abs(out[inner].astype(int) - image[inner]).max() <= 1
    assert out[far].std(axis=0).max() < 0.2 * image[far].std(axis=0).max()
    glow = out[disc(240, 320, 120, 160, 75) & ~disc(240, 320, 120, 160, 68)]
    assert (glow[:, 0] < glow[:, 2]).all()  # no red spills over


def test_remove_gives_transparency_and_a_colour_or_a_picture_replaces(tmp_path: Path) -> None:
    image, inner, far = scene(), disc(240, 320, 120, 160, 50), ~disc(240, 320, 120, 160, 70)
    clear = Background.parse("remove").behind(image, found())
    assert clear.shape == (240, 320, 4)
    assert (clear[inner][:, 3] == 255).all() and (clear[far][:, 3] == 0).all()
    assert (clear[inner][:, :3] == image[inner]).all()
    assert (clear[far] == 0).all()  # what is removed is not in the file
    for text, colour in (("white", (255, 255, 255)), ("#20a0ff", (32, 160, 255)), ("rgb(1,2,3)", (1, 2, 3))):
        out = Background.parse(text).behind(image, found())
        assert (out[far] == colour).all()
        assert np.abs(out[inner].astype(int) - image[inner]).max() <= 1
    wide = np.zeros((50, 400, 3), np.uint8)
    wide[:, 200:] = 255
    PillowImage.fromarray(wide).save(tmp_path / "wide.png")
    out = Background.parse(str(tmp_path / "wide.png")).behind(image, found())
    assert out.shape == (240, 320, 3)  # scaled to cover, the middle of it
    assert (out[:40, :140] < 20).all() and (out[:40, 180:] > 235).all()


@pytest.mark.parametrize("text", ["nosuch", "", "blurr", ".", "12"])
def test_what_is_no_background(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="neither blur, remove, a colour nor a picture"):
        Background.parse(text)
    (tmp_path / "12").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="--background 12"):
        Background.parse("12")


def test_all_objects_stay_and_a_maps_background_does_not() -> None:
    two = [disc(240, 320, 120, 100, 30), disc(240, 320, 120, 220, 30)]
    assert np.array_equal(kept_mask(segmented(two)), two[0] | two[1])
    values = two[0] * 1 + two[1] * 2
    values[:5] = 255
    result = Result("x", 320, 240, Regions.of(values.astype(np.uint8)), ["__background__", "cat", "sofa"])
    assert np.array_equal(kept_mask(result), (values > 0) & (values < 255))


@pytest.mark.parametrize("kind", ["blur", "remove", "white"])
def test_nothing_found_is_all_background(kind: str) -> None:
    out = Background.parse(kind).behind(scene(), Result("x", 320, 240, Detections.empty(), ["cat"]))
    if kind == "remove":
        assert (out[..., 3] == 0).all()
    elif kind == "white":
        assert (out == 255).all()
    else:
        assert out.std() < scene().std()


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (33, 47)])
def test_any_picture(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    result = segmented([rng.random(size) < 0.5])
    for kind in ("blur", "remove", "white"):
        assert Background.parse(kind).behind(image, result).shape[:2] == size


def test_tiles_make_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    from visioncli.render import background

    whole = Background("remove").behind(scene(), found())
    monkeypatch.setattr(background, "_TILE", 50)
    tiled = Background("remove").behind(scene(), found())
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_a_cutout_is_trimmed() -> None:
    mask = disc(240, 320, 120, 160, 60)
    out = cutout(scene(), mask[60:181, 100:221], (60, 100))
    assert out.shape[2] == 4
    assert all(117 <= side <= 121 + 2 * reach(320, 240) for side in out.shape[:2])
    assert (out[..., 3].max(axis=0) > 0).all() and (out[..., 3].max(axis=1) > 0).all()
    middle = out[out.shape[0] // 2, out.shape[1] // 2]
    assert middle[3] == 255 and np.abs(middle[:3].astype(int) - RED).max() < 20
    assert (out[:8, :8, 3] == 0).all()
    at_the_border = cutout(scene(), np.ones((5, 7), np.bool_), (0, 0))
    assert at_the_border[0, 0, 3] == 255


def test_in_a_video_an_object_that_is_missed_once_stays_and_one_that_moves_leaves_no_trail() -> None:
    video = MovingBackground(Background.parse("white"))
    none = Result("x", 320, 240, Detections.empty(), ["cat"])
    inner = disc(240, 320, 120, 160, 50)
    video.behind(scene(), found())
    missed = video.behind(scene(), none)[inner].astype(int)
    assert np.abs(missed - scene()[inner]).mean() < 0.4 * np.abs(255 - scene()[inner].astype(int)).mean()
    for _ in range(20):
        gone = video.behind(scene(), none)
    assert (gone == 255).all()
    moved = np.roll(scene(), 100, axis=1)
    video.behind(scene(), found())
    trail = video.behind(moved, segmented([disc(240, 320, 120, 260, 60)]))[disc(240, 320, 120, 140, 45)]
    assert (trail > 250).all()


def test_specks_are_left_behind() -> None:
    mask = disc(240, 320, 120, 160, 60)
    mask[5:8, 5:8] = True
    mask[200:230, 20:50] = True
    kept = kept_mask(segmented([mask]))
    assert not kept[:20, :20].any()
    assert kept[205:225, 25:45].all()
    assert cutout(scene(), mask, (0, 0)).shape[0] < 185


def test_where_colours_tell_nothing_the_edge_is_plain() -> None:
    alpha = matte(np.full((240, 320, 3), 90, np.uint8), disc(240, 320, 120, 160, 60), 6)
    rows, columns = np.mgrid[:240, :320]
    plain = np.clip((60 - np.hypot(rows - 120, columns - 160)) / 3 + 0.5, 0, 1)
    assert np.abs(alpha - plain).mean() < 0.003
    assert np.abs(alpha - plain).max() < 0.3


def test_threads_get_the_same() -> None:
    image, result = scene(), found()
    once = Background("blur").behind(image, result)
    with ThreadPoolExecutor(4) as pool:
        outs = pool.map(lambda _: Background("blur").behind(image, result), range(8))
        assert all(np.array_equal(once, out) for out in outs)
