"""Masks, cut-outs and changed backgrounds as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.output.test_media import NAMES, files, frame, picture
from visioncli.errors import UsageError
from visioncli.media.frame import Frame
from visioncli.output.images import save_map
from visioncli.output.media import MediaSink
from visioncli.render.background import Background
from visioncli.render.style import class_colour
from visioncli.results import Detections, Masks, Regions, Result


def objects(of: Frame) -> Result:
    """Two overlapping squares, and an object without a pixel."""
    crops = (np.ones((20, 20), np.bool_), np.ones((20, 20), np.bool_), np.zeros((0, 0), np.bool_))
    masks = Masks((of.height, of.width), np.array([[10, 10], [20, 20], [0, 0]]), crops)
    boxes = np.array([[10, 10, 30, 30], [20, 20, 40, 40], [0, 0, 4, 4]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8, 0.3], np.float32), np.array([0, 1, 0]), masks)
    return Result("x", of.width, of.height, found, NAMES, of.index, of.time)


def semantic(of: Frame) -> Result:
    values = np.zeros((of.height, of.width), np.uint8)
    values[10:20] = 2
    values[0, 0] = 255
    return Result("x", of.width, of.height, Regions.of(values), ["__background__", "cat", "sofa"], of.index)


def test_a_mask_file_numbers_the_objects_in_the_order_of_the_results(tmp_path: Path) -> None:
    shot = frame()
    sink = MediaSink(None, masks=tmp_path / "masks")
    target = sink.reserve(picture("a.jpg"), shot)
    sink.save_picture(picture("a.jpg"), shot, objects(shot), target)
    assert target.mask_file(shot) == str(tmp_path / "masks" / "a.png")
    assert files(tmp_path) == ["masks/a.png"]
    with PillowImage.open(tmp_path / "masks" / "a.png") as image:
        assert image.mode == "I;16"
        numbers = np.asarray(image)
    assert numbers.shape == (48, 64)
    assert {n: int((numbers == n).sum()) for n in range(4)} == {0: 48 * 64 - 700, 1: 400, 2: 300, 3: 0}
    assert (numbers[10:30, 10:30] == 1).all()


def test_a_semantic_mask_file_holds_the_classes(tmp_path: Path) -> None:
    shot = frame()
    MediaSink(None, masks=tmp_path).save_picture(picture("a.tif"), shot, semantic(shot))
    with PillowImage.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), semantic(shot).regions.map)
        colours = np.asarray(image.convert("RGB"))
    assert tuple(colours[15, 5]) == class_colour(2)
    assert (colours[30] == 0).all() and (colours[0, 0] == 0).all()


def test_a_map_of_more_classes_than_8_bits_hold(tmp_path: Path) -> None:
    values = np.arange(600, dtype=np.uint16).reshape(20, 30)
    save_map(tmp_path / "deep" / "a.png", values, names=[str(i) for i in range(600)])
    with PillowImage.open(tmp_path / "deep" / "a.png") as image:
        assert np.array_equal(np.asarray(image), values)


def test_nothing_found_is_a_mask_of_zeros(tmp_path: Path) -> None:
    shot = frame()
    none = Result("x", shot.width, shot.height, Detections.empty(), NAMES)
    MediaSink(None, masks=tmp_path / "m", cutouts=tmp_path / "c").save_picture(picture("a.jpg"), shot, none)
    assert files(tmp_path) == ["m/a.png"]
    with PillowImage.open(tmp_path / "m" / "a.png") as image:
        assert not np.asarray(image).any()


def test_mask_files_that_exist_want_force(tmp_path: Path) -> None:
    shot = frame()
    (tmp_path / "a.png").write_bytes(b"truth")
    (tmp_path / "v").mkdir()
    for given, of in ((picture("a.jpg"), shot), (picture("v.mp4"), None)):
        with pytest.raises(UsageError, match=r"exists already.*--masks"):
            MediaSink(None, masks=tmp_path).reserve(given, of)
        assert MediaSink(None, masks=tmp_path, force=True).reserve(given, of).masks is not None
    with pytest.raises(UsageError, match=r"is an input.*--masks"):
        MediaSink(None, masks=tmp_path, force=True).reserve(picture("a.png", tmp_path / "a.png"), shot)
    assert (tmp_path / "a.png").read_bytes() == b"truth"


def test_mask_files_have_names_of_their_own(tmp_path: Path) -> None:
    sink, shot = MediaSink(None, masks=Path("m")), frame()
    names = ["a.jpg", "a.png", "sub/a.jpg", "sub/a.tif"]
    targets = [sink.reserve(picture(name), shot).masks for name in names]
    assert targets == [Path("m/a.png"), Path("m/a-2.png"), Path("m/sub/a.png"), Path("m/sub/a-2.png")]


def test_a_videos_frames(tmp_path: Path) -> None:
    sink = MediaSink(None, masks=tmp_path / "m", cutouts=tmp_path / "c")
    target = sink.reserve(picture("clip.mp4"))
    for index in (0, 7):
        shot = Frame(frame().image, index=index, time=index / 10)
        assert target.mask_file(shot) == str(tmp_path / "m" / "clip" / f"{index:06d}.png")
        sink._save_beside(target, shot, objects(shot))
    assert files(tmp_path / "m") == ["clip/000000.png", "clip/000007.png"]
    assert "clip-000007-2-traffic_light_röd.png" in files(tmp_path / "c")


def test_cutouts(tmp_path: Path) -> None:
    """Named by the number in the results; what has no pixel has no file."""
    shot = frame()
    MediaSink(None, cutouts=tmp_path).save_picture(picture("a.jpg"), shot, objects(shot))
    assert files(tmp_path) == ["a-1-person.png", "a-2-traffic_light_röd.png"]
    with PillowImage.open(tmp_path / "a-1-person.png") as image:
        assert image.mode == "RGBA"
        assert image.getextrema()[3] == (0, 255)


@pytest.mark.parametrize(("kind", "name", "mode"), [("remove", "a.png", "RGBA"), ("white", "a.jpg", "RGB")])
def test_a_background_takes_the_place_of_the_annotated_copy(
    tmp_path: Path, kind: str, name: str, mode: str
) -> None:
    shot = frame()
    sink = MediaSink(tmp_path, background=Background.parse(kind))
    path = sink.save_picture(picture("a.jpg"), shot, objects(shot))
    assert path == tmp_path / name
    with PillowImage.open(path) as image:
        assert image.mode == mode
        pixels = np.asarray(image)
    assert (pixels[:3, 50:] == (0 if kind == "remove" else 255)).all()
