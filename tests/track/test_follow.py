"""Tracks in the events of a run."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np
import pytest

from tests.track.synthetic import walkers
from visioncli.media.frame import Failure, Frame, Input
from visioncli.media.reader import VideoInfo
from visioncli.pipeline import Answer, Closed, Event, Opened, Settings
from visioncli.results import Detections, Result
from visioncli.track.config import configure
from visioncli.track.follow import Tracking

EMPTY = np.zeros((0, 0, 3), np.uint8)


def video(
    name: str, found: list[Detections], *, fps: int = 30, seen: Any = None, cut: bool = False
) -> Generator[Event, None, None]:
    """The events of one video."""
    input = Input(name, "video", PurePath(name), PurePath(name))  # type: ignore[arg-type]
    size = 640, 480
    info = VideoInfo(*size, Fraction(fps), Fraction(1, fps), None, None, 0, "x", False, Fraction(1))
    yield Opened(input, info)
    for index, detections in enumerate(found):
        time = Fraction(index, fps)
        frame = Frame(EMPTY, index, float(time), pts=time)
        yield Answer(input, frame, Result(name, *size, detections, ("a", "b"), index, float(time)), seen)
    yield Closed(input, len(found), 0, cut)


def joined(*parts: Generator[Event, None, None]) -> Generator[Event, None, None]:
    for part in parts:
        yield from part


def ids(events: list[Event]) -> list[list[int]]:
    found = [event.result.ids for event in events if isinstance(event, Answer)]
    return [[] if one is None else one.tolist() for one in found]


def test_each_video_has_a_tracker_of_its_own() -> None:
    walk = [walkers(frame) for frame in range(5)]
    events = joined(video("a", walk), video("b", walk), video("c", [], cut=True), video("d", walk))
    out = list(Tracking(configure()).follow(events, Settings()))
    assert ids(out) == [[1, 2, 3]] * 15
    assert [type(event) for event in out].count(Opened) == 4
    assert [event.cut for event in out if isinstance(event, Closed)] == [False, False, True, False]


def test_failures_pass_through() -> None:
    failure = Failure("x.mp4", "decode", "damaged")

    def events() -> Generator[Event, None, None]:
        yield failure
        yield from video("a", [walkers(0)])

    assert next(iter(Tracking(configure()).follow(events(), Settings()))) is failure


def test_track_buffer_is_scaled_by_rate_and_stride() -> None:
    """A gap of 20 frames at stride 3 and 30 a second is 2 s, which is longer than track_buffer's second."""
    gap = [walkers(0)] * 5 + [Detections.empty()] * 20 + [walkers(0)] * 3
    for settings, last in ((Settings(), [1, 2, 3]), (Settings(stride=3), [4, 5, 6])):
        out = list(Tracking(configure("bytetrack")).follow(video("a", gap), settings))
        assert ids(out)[-1] == last
    slow = list(Tracking(configure("bytetrack")).follow(video("a", gap, fps=10), Settings()))
    assert ids(slow)[-1] == [4, 5, 6]


def test_smooth_boxes_stay_in_the_picture() -> None:
    leaving = [walkers(frame) for frame in range(3)]
    out = [
        Detections(
            d.boxes + np.array([-30 - 12 * n, -70, -30 - 12 * n, -70], np.float32), d.scores, d.classes
        )
        for n, d in enumerate(leaving)
    ]
    for event in Tracking(configure(), smooth=True).follow(video("a", out), Settings()):
        if isinstance(event, Answer):
            assert event.result.boxes.min() >= 0


def test_what_was_seen_reaches_the_tracker() -> None:
    """The observer's answer is the motion: with it, the ids outlive a jump of the view."""
    still = [walkers(frame, count=1) for frame in range(5)]
    jumped = walkers(5, count=1)
    jumped = Detections(jumped.boxes + np.array([90, 60, 90, 60], np.float32), jumped.scores, jumped.classes)
    warp = np.array([[1, 0, 90], [0, 1, 60]], np.float64)

    def events(seen: Any) -> Generator[Event, None, None]:
        for event in video("a", [*still, jumped], seen=np.eye(2, 3)):
            last = isinstance(event, Answer) and event.frame.index == 5
            yield Answer(event.input, event.frame, event.result, seen) if last else event  # type: ignore[union-attr]

    assert ids(list(Tracking(configure()).follow(events(warp), Settings())))[-1] == [1]
    assert ids(list(Tracking(configure()).follow(events(np.eye(2, 3)), Settings())))[-1] != [1]


def test_only_trackers_that_compensate_motion_observe() -> None:
    assert Tracking(configure("botsort")).observer() is not None
    assert Tracking(configure("bytetrack")).observer() is None
    assert Tracking(configure("botsort", sets={"gmc_method": "none"})).observer() is None


def test_closing_closes_the_run() -> None:
    closed = []

    def events() -> Generator[Event, None, None]:
        try:
            yield from video("a", [walkers(0)] * 3)
        finally:
            closed.append(True)

    out = Tracking(configure()).follow(events(), Settings())
    next(out)
    out.close()
    assert closed == [True]
    with pytest.raises(StopIteration):
        next(out)
