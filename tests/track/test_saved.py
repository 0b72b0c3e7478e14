"""Saved detections in the place of a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visioncli import records
from visioncli.errors import UsageError
from visioncli.results import Detections, Result
from visioncli.track.follow import as_recorded
from visioncli.track.saved import open_saved

NAMES = ("person", "car")


def found(seed: int) -> Detections:
    rng = np.random.default_rng(seed)
    count = seed % 4
    boxes = rng.uniform(0, 5000, (count, 4)).astype(np.float32)
    return Detections(boxes, rng.random(count, np.float32), rng.integers(0, 2, count))


def record(path: Path, videos: dict[str, list[int]], task: str = "detect") -> Path:
    """A record of videos with the frames given, each frame's detections seeded by its number."""
    run = records.Run(task, "yolo11n", "COCO", "0" * 64, NAMES, {})
    with records.RecordWriter(path, force=True) as writer:
        writer.write(run.line())
        for source, frames in videos.items():
            for frame in frames:
                result = Result(source, 640, 480, found(frame), NAMES, frame, frame / 30)
                writer.write(records.result_line(result))
            writer.write(records.done_line(source, len(frames), 0))
    return path


def test_a_record_gives_what_the_tracker_was_given(tmp_path: Path) -> None:
    """To the last bit: trackers are fed in the record's precision."""
    saved = open_saved(record(tmp_path / "r.jsonl", {"a.mp4": list(range(40)), "b.mp4": list(range(5, 9))}))
    assert saved.model().names == list(NAMES)
    assert saved.model().name == "yolo11n"
    for source, frames in (("b.mp4", range(5, 9)), ("a.mp4", range(40))):
        video = saved.video(source)
        for frame in frames:
            read, given = video.at(frame), as_recorded(found(frame))
            assert np.array_equal(read.boxes, given.boxes)
            assert np.array_equal(read.scores, given.scores)
            assert np.array_equal(read.classes, given.classes)
        video.close()


def test_as_recorded_is_the_record(tmp_path: Path) -> None:
    for seed in range(40):
        once = as_recorded(found(seed))
        result = Result("a", 640, 480, found(seed), NAMES).objects()
        assert result == Result("a", 640, 480, once, NAMES).objects()
        assert np.array_equal(as_recorded(once).boxes, once.boxes)


def test_videos_are_known_by_their_names(tmp_path: Path) -> None:
    saved = open_saved(record(tmp_path / "r.jsonl", {"day/a.mp4": [1], "night/b.mp4": [2]}))
    assert len(saved.video("elsewhere/b.mp4").at(2)) == 2
    with pytest.raises(UsageError, match=r"no detections of c\.mp4"):
        saved.video("c.mp4")
    only = open_saved(record(tmp_path / "one.jsonl", {"a.mp4": [3]}))
    assert len(only.video("renamed.mp4").at(3)) == 3


def test_frames_that_are_not_there(tmp_path: Path) -> None:
    saved = open_saved(record(tmp_path / "r.jsonl", {"a.mp4": [0, 2, 4]}))
    with pytest.raises(UsageError, match="--stride"):
        saved.video("a.mp4").at(1)
    with pytest.raises(UsageError, match="ends before frame 5"):
        saved.video("a.mp4").at(5)
    assert len(saved.video("a.mp4").at(2)) == 2  # with --stride 2 it would do


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("{}\n", "not a line of a record"),
        ("1,2,3\n", "MOTChallenge"),
        ("1,-1,10,10,5,5,33.1\n", "33.1"),
        ("photo", "MOTChallenge"),
    ],
)
def test_what_holds_no_detections_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "d.txt"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        open_saved(file).video("a.mp4")


def test_other_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no video"):
        open_saved(record(tmp_path / "r.jsonl", {}))
    with pytest.raises(UsageError, match="classify"):
        open_saved(record(tmp_path / "c.jsonl", {"a.mp4": [0]}, "classify"))
    with pytest.raises(UsageError, match="no such file"):
        open_saved(tmp_path / "none")


def test_det_txt(tmp_path: Path) -> None:
    """Frames from 1, boxes as corner and size, any order; a frame without a line has nothing."""
    file = tmp_path / "det.txt"
    file.write_text("3,-1,10.5,20,30,40,0.5,-1,-1,-1\n1,-1,0,0,5,5,0.25\n3,-1,1,2,3,4,0.75,-1,-1,-1\n")
    saved = open_saved(file)
    video = saved.video("a.mp4")
    assert saved.model().names == ["person"]
    assert video.at(0).boxes.tolist() == [[0, 0, 5, 5]]
    assert len(video.at(1)) == 0
    assert video.at(2).boxes.tolist() == [[1, 2, 4, 6], [10.5, 20, 40.5, 60]]  # best first
    assert video.at(2).scores.tolist() == [0.75, 0.5]
    with pytest.raises(UsageError, match="for one video"):
        saved.video("b.mp4")


def test_det_txt_without_confidences(tmp_path: Path) -> None:
    file = tmp_path / "det.txt"
    file.write_text("1,-1,0,0,5,5,-1,-1,-1,-1\n")
    assert open_saved(file).video("a.mp4").at(0).scores.tolist() == [1.0]
