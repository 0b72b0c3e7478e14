"""Tracks as MOTChallenge writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visioncli.errors import UsageError
from visioncli.output.mot import MotFiles
from visioncli.records import Summary
from visioncli.results import Detections, Result
from visioncli.track import mot

DONE = Summary(1, 0, 1.0)


def result(source: str, frame: int, ids: list[int]) -> Result:
    boxes = np.array([[10.126 * i, 5, 10.126 * i + 20, 45.5] for i in ids], np.float32).reshape(-1, 4)
    scores = np.full(len(ids), 0.5, np.float32)
    classes = np.zeros(len(ids), np.int64)
    found = Detections(boxes, scores, classes, None, np.array(ids, np.int64))
    return Result(source, 640, 480, found, ("person",), frame, frame / 30)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tracks.txt"
    sink = MotFiles(str(file))
    sink.result(result("a.mp4", 0, [2, 1]))
    sink.result(result("a.mp4", 1, []))
    sink.result(result("a.mp4", 4, [1]))
    assert not file.exists()
    sink.done("a.mp4", 5, 0)
    sink.end(DONE)
    assert file.read_text().splitlines() == [
        "1,1,10.13,5.00,20.00,40.50,0.5000,-1,-1,-1",
        "1,2,20.25,5.00,20.00,40.50,0.5000,-1,-1,-1",
        "5,1,10.13,5.00,20.00,40.50,0.5000,-1,-1,-1",
    ]
    rows = mot.read(file)
    assert rows.frames.tolist() == [1, 1, 5]
    assert rows.ids.tolist() == [1, 2, 1]
    assert np.abs(rows.boxes[0] - (10.13, 5, 30.13, 45.5)).max() < 1e-9


def test_a_folder_has_a_file_a_video(tmp_path: Path) -> None:
    sink = MotFiles(str(tmp_path / "tracks"))
    for source in ("day/a.mp4", "night/a.mp4", "MOT17-02/img1", "empty.mp4"):
        if source != "empty.mp4":
            sink.result(result(source, 0, [1]))
        sink.done(source, 1, 0)
    sink.end(DONE)
    names = sorted(path.name for path in (tmp_path / "tracks").iterdir())
    assert names == ["MOT17-02.txt", "a-2.txt", "a.txt", "empty.txt"]
    assert (tmp_path / "tracks" / "empty.txt").read_text() == ""


def test_what_was_cut_leaves_nothing(tmp_path: Path) -> None:
    sink = MotFiles(str(tmp_path / "tracks.txt"))
    sink.result(result("a.mp4", 0, [1]))
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_one_file_is_for_one_video(tmp_path: Path) -> None:
    sink = MotFiles(str(tmp_path / "tracks.txt"))
    sink.result(result("a.mp4", 0, [1]))
    sink.done("a.mp4", 1, 0)
    with pytest.raises(UsageError, match="one video"):
        sink.result(result("b.mp4", 0, [1]))
    sink.close()


def test_a_file_that_exists_wants_force(tmp_path: Path) -> None:
    file = tmp_path / "tracks.txt"
    file.write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        MotFiles(str(file))
    sink = MotFiles(str(file), force=True)
    sink.done("a.mp4", 0, 0)
    assert file.read_text() == ""
