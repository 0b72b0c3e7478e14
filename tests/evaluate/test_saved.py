"""Answers that were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from visioncli import records
from visioncli.errors import UsageError
from visioncli.evaluate import saved
from visioncli.evaluate.data import BoxSet, Clip, Picture, TrackSet
from visioncli.results import Detections, Result

DATA = BoxSet(
    "x",
    "COCO",
    [Picture(1, Path("d/one/a.jpg"), 9, 9), Picture(2, Path("d/two/a.jpg"), 9, 9)],
    {5: "cat"},
    [],
)


def record(
    file: Path, *sources: str, names: tuple[str, ...] = ("dog", "Cat"), frame: int | None = None
) -> Path:
    found = Detections(
        np.array([[1, 1, 4, 5], [0, 0, 2, 2]], np.float32), np.array([0.9, 0.4], np.float32),
        np.array([1, 0]), ids=np.array([3, 4]),
    )  # fmt: skip
    run = records.Run("detect", "m", None, None, names, {})
    time = None if frame is None else 0.0
    lines = [records.result_line(Result(s, 9, 9, found, names, frame, time)) for s in sources]
    file.write_bytes(b"".join(map(records.dumps, [run.line(), *lines])))
    return file


def test_boxes_of_a_record(tmp_path: Path) -> None:
    found = saved.boxes(record(tmp_path / "r.jsonl", "elsewhere/two/a.jpg", "b.jpg"), DATA)
    assert found.rows == [{"image_id": 2, "category_id": 5, "bbox": [1, 1, 3, 4], "score": 0.9}]
    assert found.unanswered == 1
    assert (found.strangers, found.model, found.called()) == (1, "m", {5: "Cat"})


def test_a_record_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no answer to a picture"):
        saved.boxes(record(tmp_path / "r.jsonl", "video.mp4", frame=3), DATA)


def test_categories_that_the_data_set_lacks(tmp_path: Path) -> None:
    row = {"image_id": 1, "category_id": 5, "score": 1, "bbox": [0, 0, 1, 1]}
    (tmp_path / "r.json").write_bytes(orjson.dumps([row, {**row, "category_id": 6}]))
    found = saved.boxes(tmp_path / "r.json", DATA)
    assert (found.rows, found.foreign, found.unanswered) == ([row], 1, 1)


def test_a_picture_twice(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="occurs twice"):
        saved.boxes(record(tmp_path / "r.jsonl", "one/a.jpg", "d/one/a.jpg"), DATA)


def test_a_picture_that_could_be_either(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several pictures"):
        saved.boxes(record(tmp_path / "r.jsonl", "a.jpg"), DATA)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ({"a": 1}, "no COCO results"),
        ([{"image_id": 1}], "lacks"),
        ([{"image_id": 9, "category_id": 5, "score": 1, "bbox": [0, 0, 1, 1]}], "picture 9"),
        ([{"image_id": 1, "category_id": 5, "score": 1}], "neither bbox nor"),
        ([{"image_id": 1, "category_id": 5, "score": "1", "bbox": [0, 0, 1, 1]}], "no number"),
        ([{"image_id": 1, "category_id": 5, "score": 1, "bbox": [0, 0, None, 1]}], "no number"),
        ([{"image_id": 1, "category_id": 0, "score": 1, "bbox": [0, 0, 1, 1]}], r"none of .* \(5 to 5\)"),
    ],
)
def test_results_that_are_none(tmp_path: Path, rows: object, reason: str) -> None:
    (tmp_path / "r.json").write_bytes(orjson.dumps(rows))
    with pytest.raises(UsageError, match=reason):
        saved.boxes(tmp_path / "r.json", DATA)


def test_tracks_of_a_record(tmp_path: Path) -> None:
    clips = [Clip(name, Path(f"{name}/gt.txt"), None) for name in ("A", "B")]
    data = TrackSet("mot", "MOTChallenge", clips)
    file = record(tmp_path / "r.jsonl", "mot/B/video.mp4", names=("person", "dog"), frame=6)
    found, model = saved.tracks(file, data)
    assert model == "m"
    assert found == {"A": [], "B": [(7, 4, 0.0, 0.0, 2.0, 2.0, 0.4, 1)]}, "people only, frames from 1"
