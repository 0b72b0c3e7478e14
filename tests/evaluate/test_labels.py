"""Top-1, top-5 and calibration, and which label is which class."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from visioncli.errors import UsageError
from visioncli.evaluate import image_folder, labels
from visioncli.evaluate.labels import Guess
from visioncli.evaluate.names import folded, is_imagenet, match, wordnet_ids
from visioncli.registry import cards

GUESSES = [
    Guess(0, [0, 1, 2], [0.9, 0.05, 0.05], ["a", "b", "c"]),  # right
    Guess(1, [1, 0, 2], [0.6, 0.3, 0.1], ["b", "a", "c"]),  # wrong, second
    Guess(2, [2, 1, 0], [0.7, 0.2, 0.1], ["c", "b", "a"]),  # right
]


def test_figures() -> None:
    figures = labels.figures([0, 0, 2, 2], GUESSES, 3, 3)  # the fourth picture has no answer
    assert (figures.top1, figures.top5) == (0.5, 0.75)
    assert figures.mean_class == pytest.approx((0.5 + 0.5) / 2), "class 1 has no pictures"
    assert figures.confusion == {(0, 0): 1, (0, 1): 1, (2, 2): 1}
    assert figures.ece == pytest.approx((0.1 + 0.6 + 0.3) / 3)


def test_top_5_needs_five() -> None:
    assert labels.figures([0, 0, 2, 2], GUESSES, 1000, 3).top5 is None


def test_calibration_bins_hold_their_upper_edge() -> None:
    bins = labels.calibration(np.array([1 / 15, 0.07, 1.0]), np.array([True, False, True]))
    assert [n for n, _, _ in bins] == [1, 1, *[0] * 12, 1]
    assert bins[1] == (1, pytest.approx(0.07), 0.0)


def test_wordnet_ids_are_in_the_order_of_the_classes(data: Path) -> None:
    with (data / "imagenet" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(wordnet_ids()) == len(set(wordnet_ids())) == 1000
    for row in rows:
        assert wordnet_ids()[int(row["index"])] == row["wnid"]


def test_who_knows_imagenet() -> None:
    assert is_imagenet(cards.labels("imagenet"))
    assert not is_imagenet(cards.labels("coco"))
    assert not is_imagenet([f"class {c}" for c in range(1000)])


@pytest.mark.parametrize("by", ["wnid", "name", "Name_with-marks"])
def test_folders_by_wordnet_id_or_name(by: str) -> None:
    names = cards.labels("imagenet")
    chosen = [3, 517, 999]
    data = {
        i: {
            "wnid": wordnet_ids()[c],
            "name": names[c],
            "Name_with-marks": names[c].upper().replace(" ", "_"),
        }[by]
        for i, c in enumerate(chosen)
    }
    matching = match(names, data)
    assert [matching.to_data[c] for c in chosen] == [0, 1, 2]
    assert not matching.missing
    assert len(matching.extra) == 997


def test_a_model_that_spells_imagenet_in_its_own_way() -> None:
    names = list(cards.labels("imagenet"))
    mine = [name if c % 3 else f"my {name}" for c, name in enumerate(names)]
    data = {0: names[3], 1: mine[6], 2: wordnet_ids()[9]}
    assert {n: c for c, n in match(mine, data).to_data.items() if n is not None} == {0: 3, 1: 6, 2: 9}


def test_voc_words_for_coco_classes() -> None:
    matching = match(cards.labels("coco"), dict(enumerate(cards.labels("voc"))))
    assert set(matching.missing) == {"__background__"}
    assert matching.to_data[cards.labels("coco").index("tv")] == cards.labels("voc").index("tvmonitor")


def test_numbers_as_labels() -> None:
    matching = match(["a", "b", "c"], {0: "2", 1: "0"}, numbered=True)
    assert matching.to_data == {0: 1, 1: None, 2: 0}


def test_what_did_not_match_is_said() -> None:
    note = match(["cat", "dog"], {0: "cat", 1: "gnu"}).note()
    assert note is not None
    assert "gnu" in note
    assert "dog" in note
    assert match(["cat"], {0: "Cat"}).note() is None
    assert folded("Hot_dog ") == "hot dog"


def test_imagenet_as_it_is(data: Path) -> None:
    found = image_folder.load(data / "imagenet")
    assert found is not None
    assert (found.format, len(found.paths), len(found.names)) == ("CSV", 200, 200)
    assert all(path.is_file() for path in found.paths)


def image_tree(data: Path, folder: Path, *, name: str, few: int = 6) -> None:
    """The first pictures of the shared set, in a folder a class called by a column of its CSV."""
    with (data / "imagenet" / "labels.csv").open(newline="") as file:
        for row in list(csv.DictReader(file))[:few]:
            (folder / row[name]).mkdir(parents=True)
            (folder / row[name] / Path(row["path"]).name).symlink_to(data / "imagenet" / row["path"])


@pytest.mark.parametrize("part", ["", "val"])
def test_image_folder(data: Path, tmp_path: Path, part: str) -> None:
    image_tree(data, tmp_path / part, name="name")
    found = image_folder.load(tmp_path)
    assert found is not None
    assert found.format == "ImageFolder"
    assert found.names == sorted(found.names)
    assert [found.names[c] for c in found.labels] == [p.parent.name for p in found.paths]
    if part:
        with pytest.raises(UsageError, match="no folder train"):
            image_folder.load(tmp_path, "train")


def test_flat_folder_with_labels(data: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,cat\nb.jpg,dog\nc.jpg,cat\n")
    found = image_folder.load(tmp_path)
    assert found is not None
    assert (found.names, list(found.labels)) == (["cat", "dog"], [0, 1, 0])
    (tmp_path / "labels.csv").write_text("what,ever\na.jpg,cat\n")
    with pytest.raises(UsageError, match="no column"):
        image_folder.load(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,\n")
    with pytest.raises(UsageError, match=r"labels\.csv:2"):
        image_folder.load(tmp_path)
