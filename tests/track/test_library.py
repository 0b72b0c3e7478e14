"""Ultralytics' trackers behind our protocol."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.track.synthetic import walkers
from visioncli.results import Detections, Masks
from visioncli.track import TRACKERS
from visioncli.track.config import configure
from visioncli.track.library import LibraryTracker


def tracker(
    name: str = "botsort", *, frames_lost: int = 30, smooth: bool = False, **sets: object
) -> LibraryTracker:
    return LibraryTracker(configure(name, sets=sets), frames_lost=frames_lost, smooth=smooth)


@pytest.mark.parametrize("name", TRACKERS)
def test_ids_stay_and_begin_at_1(name: str) -> None:
    for _ in range(2):  # a second video begins at 1 again
        ours = tracker(name)
        seen = [ours.update(walkers(frame)) for frame in range(12)]
        assert all(len(tracks) == 3 for tracks in seen)
        for tracks in seen:
            assert tracks.ids is not None
            assert tracks.ids.tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", TRACKERS)
def test_the_boxes_are_the_detections_own(name: str) -> None:
    ours = tracker(name)
    for frame in range(6):
        found = walkers(frame)
        tracks = ours.update(found)
        assert np.array_equal(tracks.boxes, found.boxes)
        assert np.array_equal(tracks.scores, found.scores)


def test_smooth_boxes_are_the_filters() -> None:
    ours = tracker(smooth=True)
    rng = np.random.default_rng(0)
    jumps, smoothed = [], []
    for frame in range(40):
        found = walkers(frame, count=1)
        found = replace(found, boxes=found.boxes + rng.normal(0, 2, (1, 4)).astype(np.float32))
        jumps.append(found.boxes[0, 0] - 3 * frame)
        smoothed.append(ours.update(found).boxes[0, 0] - 3 * frame)
    assert np.std(np.diff(smoothed)) < 0.8 * np.std(np.diff(jumps))


@pytest.mark.parametrize("name", TRACKERS)
def test_nothing_found_is_no_error(name: str) -> None:
    ours = tracker(name)
    assert len(ours.update(Detections.empty())) == 0
    for frame in range(4):
        ours.update(walkers(frame))
    tracks = ours.update(Detections.empty())
    assert len(tracks) == 0
    assert tracks.ids is not None


def test_ids_count_what_is_shown() -> None:
    """A detection that is seen once begins a track that the library numbers and never shows."""
    ours = tracker()
    ours.update(Detections.empty())
    once = walkers(0, count=3)[np.array([2])]
    assert len(ours.update(once)) == 0
    shown = [ours.update(walkers(frame, count=2)) for frame in range(3)]
    assert shown[-1].ids is not None
    assert shown[-1].ids.tolist() == [1, 2]


def test_weak_detections_continue_a_track_and_begin_none() -> None:
    ours = tracker()
    for frame in range(5):
        ours.update(walkers(frame))
    weak = walkers(5)
    weak = replace(weak, scores=np.array([0.2, 0.15, 0.05], np.float32))
    tracks = ours.update(weak)
    assert tracks.ids is not None
    assert tracks.ids.tolist() == [1, 2]  # the third is below track_low_thresh
    assert all(len(tracker().update(weak)) == 0 for _ in range(3))


def test_a_lost_track_comes_back_within_its_time_only() -> None:
    for gap, ids in ((5, [1, 2, 3]), (15, [4, 5, 6])):
        ours = tracker(frames_lost=8)
        for frame in range(6):
            ours.update(walkers(frame))
        for _ in range(gap):
            ours.update(Detections.empty())
        for frame in range(6 + gap, 9 + gap):
            tracks = ours.update(walkers(frame))
        assert tracks.ids is not None
        assert tracks.ids.tolist() == ids


def test_the_class_is_voted_for() -> None:
    """One frame of a wrong class changes nothing; a majority does."""
    ours = tracker()
    classes = [2, 2, 2, 7, 2, 7, 7, 7, 7, 7]
    shown = [
        ours.update(walkers(frame, count=1, classes=[c])).classes.tolist() for frame, c in enumerate(classes)
    ]
    assert shown[3] == [2]
    assert shown[-1] == [7]


def test_masks_follow_the_tracks() -> None:
    ours = tracker()
    for frame in range(4):
        found = walkers(frame)
        crops = tuple(np.full((2, 3 + i), True) for i in range(3))
        corners = np.array([[10 * i, 20 * i] for i in range(3)], np.int64)
        found = replace(found, masks=Masks((400, 600), corners, crops))[np.array([2, 0])]
        tracks = ours.update(found)
        assert tracks.masks is not None
        assert [crop.shape[1] for crop in tracks.masks.crops] == [5, 3]


@pytest.mark.parametrize("name", ["botsort", "tracktrack", "deepocsort"])
def test_the_cameras_motion_is_compensated(name: str) -> None:
    """The view jumps by more than a box's width: with its motion the ids stay, without they do not."""
    kept = {}
    for told in (True, False):
        ours = tracker(name, gmc_method="sparseOptFlow")
        for frame in range(6):
            ours.update(walkers(frame, count=1), np.eye(2, 3))
        moved = walkers(6, count=1)
        moved = replace(moved, boxes=moved.boxes + np.array([90, 60, 90, 60], np.float32))
        warp = np.array([[1, 0, 90], [0, 1, 60]], np.float64) if told else None
        tracks = ours.update(moved, warp)
        assert tracks.ids is not None
        kept[told] = tracks.ids.tolist() == [1]
    assert kept == {True: True, False: False}


def test_looks_tell_apart_what_positions_do_not() -> None:
    """Two objects change places in the dark: by their features the ids change places too."""
    looks = np.eye(2, 16, dtype=np.float32)
    ids = {}
    for reid in ("auto", "off"):
        config = configure("botsort", reid=reid, sets={"proximity_thresh": 0.0, "appearance_thresh": 0.2})
        ours = LibraryTracker(config, frames_lost=30)
        for _frame in range(6):
            ours.update(replace(walkers(0, count=2), features=looks))
        overlapping = replace(walkers(0, count=2), features=looks[::-1].copy())
        shifted = overlapping.boxes[:, [0, 1, 2, 3]] + np.array([[75, 10, 75, 10], [-75, -10, -75, -10]])
        tracks = ours.update(replace(overlapping, boxes=shifted.astype(np.float32)))
        assert tracks.ids is not None
        ids[reid] = tracks.ids.tolist()
    assert ids["auto"] == [2, 1]
    assert ids["off"] != [2, 1]


def test_memory_stays_flat() -> None:
    """What is known of tracks that cannot come back is forgotten."""
    ours = tracker("bytetrack", frames_lost=3)
    for start in range(0, 1200, 8):
        for frame in range(4):
            ours.update(walkers(start * 40 + frame, count=1))
    assert len(ours._ids) < 10
    assert ours._ids.keys() == ours._votes.keys()
