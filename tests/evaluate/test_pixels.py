"""mIoU and its kin, beside an oracle of ten lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from visioncli.errors import InputError, UsageError
from visioncli.evaluate import mask_folder, pixels
from visioncli.evaluate.data import MaskSet


def oracle(
    truths: list[NDArray[np.uint8]], answers: list[NDArray[np.uint8]], classes: int
) -> tuple[float, float]:
    """mIoU and pixel accuracy, class by class, pixel by pixel."""
    ious, counted = [], [t != 255 for t in truths]
    for c in range(classes):
        inner = sum(
            int(((t == c) & (a == c) & v).sum()) for t, a, v in zip(truths, answers, counted, strict=True)
        )
        outer = sum(
            int((((t == c) | (a == c)) & v).sum()) for t, a, v in zip(truths, answers, counted, strict=True)
        )
        if outer:
            ious.append(inner / outer)
    right = sum(int(((t == a) & v).sum()) for t, a, v in zip(truths, answers, counted, strict=True))
    return float(np.mean(ious)), right / sum(int(v.sum()) for v in counted)


def shaken(truth: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """A wrong answer: moved, and some of it another class."""
    rng = np.random.default_rng(seed)
    answer = np.roll(truth, (7, -9), (0, 1)).copy()
    answer[answer == 255] = 0
    h, w = answer.shape
    answer[: h // 3, : w // 4] = rng.integers(0, 21)
    return answer


def test_equal_to_the_oracle_on_voc(data: Path) -> None:
    voc = mask_folder.load(data / "voc")
    assert voc is not None
    assert (len(voc.paths), voc.names[1], len(voc.names)) == (32, "aeroplane", 21)
    tally = pixels.Tally(voc, keep=True)
    truths = [mask_folder.read(mask) for mask in voc.masks]
    answers = [shaken(truth, i) for i, truth in enumerate(truths)]
    for i, answer in enumerate(answers):
        tally.add(i, answer)
    figures = pixels.figures(tally.matrix)
    assert (figures.miou, figures.pixel_accuracy) == pytest.approx(oracle(truths, answers, 21), abs=1e-12)
    assert 0.2 < figures.miou < 0.9
    assert [w[0] for w in tally.worst] == sorted(w[0] for w in tally.worst)


maps = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).choice(np.array([0, 1, 2, 3, 255], np.uint8), (6, 5))
)


@given(maps, maps)
@settings(max_examples=60, deadline=None)
def test_equal_to_the_oracle(truth: NDArray[np.uint8], answer: NDArray[np.uint8]) -> None:
    truth[0, 0] = 0  # something counts
    answer[answer == 255] = 4  # a class that the data set lacks
    figures = pixels.figures(pixels.confusion(truth, answer, 4))
    assert (figures.miou, figures.pixel_accuracy) == pytest.approx(oracle([truth], [answer], 4))


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match=r"\(4, 3\) px for a mask of \(3, 3\)"):
        pixels.confusion(np.zeros((3, 3), np.uint8), np.zeros((3, 4), np.uint8), 2)


def test_a_class_that_there_is_not() -> None:
    with pytest.raises(InputError, match="class 7"):
        pixels.confusion(np.full((3, 3), 7, np.uint8), np.zeros((3, 3), np.uint8), 2)


def test_a_model_of_other_classes() -> None:
    said = np.array([[0, 1, 2]], np.uint8)
    assert pixels.mapped(said, {0: 0, 1: 2, 2: None}, 3).tolist() == [[0, 2, 3]]


def test_a_mask_in_colours(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="no mask of class numbers, but RGB"):
        mask_folder.read(tmp_path / "a.png")


def test_voc_layout(tmp_path: Path) -> None:
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (4, 4)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        Image.new("P", (4, 4)).save(tmp_path / "SegmentationClass" / f"{name}.png")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("b\n")
    found = mask_folder.load(tmp_path)
    assert isinstance(found, MaskSet)
    assert [p.name for p in found.paths] == ["b.jpg"]
    assert found.names[15] == "person"
    with pytest.raises(UsageError, match="--split"):
        mask_folder.load(tmp_path, "train")
