"""The newest frame wins, and a lost connection is made again: on a source that does as the test says."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from visioncli.errors import InputError
from visioncli.media.live import APART, Feed, LiveReader
from visioncli.results import Image


class Ticks(Feed):
    """`count` frames, one each `period` s, each a picture of its own number; then it is lost."""

    codec = "ticks"
    fps = Fraction(100)

    def __init__(self, count: int, period: float = 0.01, *, first: float | None = 0.0) -> None:
        self.count, self.period, self.first = count, period, first
        self.closed = False

    def frames(self) -> Iterator[tuple[Any, float | None]]:
        for i in range(self.count):
            yield i, None if self.first is None else self.first + i * self.period
            time.sleep(self.period)
        raise InputError("somebody tripped over the cable")

    def picture(self, frame: Any) -> Image:
        return np.full((4, 6, 3), frame % 256, np.uint8)

    def close(self) -> None:
        self.closed = True


def test_the_newest_frame_wins() -> None:
    with LiveReader("cam", lambda: Ticks(500), delays=()) as reader:
        seen = []
        for _ in range(5):
            seen.append(next(reader))
            time.sleep(0.1)  # a network that is ten times as slow as the camera
        behind = reader.frames - seen[-1].index
        dropped, came = reader.dropped_frames, reader.frames
    numbers = [frame.index for frame in seen]
    assert numbers[0] == 0
    assert all(b - a > 4 for a, b in itertools.pairwise(numbers)), numbers
    assert 1 <= behind <= 40, "the last one given out was the newest then"
    assert dropped + len(seen) + 1 >= came >= dropped + len(seen)
    assert [frame.image[0, 0, 0] for frame in seen] == [number % 256 for number in numbers]
    assert [frame.time for frame in seen] == pytest.approx([n * 0.01 for n in numbers])
    assert (reader.info.width, reader.info.height, reader.info.fps) == (6, 4, 100)


def test_nothing_is_dropped_by_a_fast_network() -> None:
    with LiveReader("cam", lambda: Ticks(20, 0.03), delays=()) as reader:
        numbers = []
        with pytest.raises(InputError, match="did not come back"):
            numbers.extend(frame.index for frame in reader)
    assert len(numbers) + reader.dropped_frames == reader.frames == 20
    assert reader.dropped_frames <= 4, "a busy machine may oversleep"
    assert numbers[-1] == 19, "what came last is given out though the camera is gone"


def test_stride_drops_nothing() -> None:
    with LiveReader("cam", lambda: Ticks(30), stride=7, delays=()) as reader:
        numbers = []
        with pytest.raises(InputError):
            numbers.extend(frame.index for frame in reader)
    assert set(numbers) <= {0, 7, 14, 21, 28}
    assert (reader.frames, len(numbers) + reader.dropped_frames) == (30, 5)


def test_connected_again() -> None:
    """Three connections and two that fail between: numbers and times go on, and losses are told."""
    feeds: list[Feed | None] = [Ticks(5), None, Ticks(5, first=1000.0), None, Ticks(5, first=None)]
    opened: list[Feed] = []
    said: list[str] = []

    def connect() -> Feed:
        feed = feeds.pop(0) if feeds else None
        if feed is None:
            raise InputError("no route to host")
        opened.append(feed)
        return feed

    frames = []
    reader = LiveReader("cam", connect, tell=said.append, delays=(0.15, 0.15))
    with reader, pytest.raises(InputError) as caught:
        frames.extend(reader)
    assert caught.value.kind == "network"
    assert str(caught.value) == "cam: the connection was lost and did not come back (2 attempts)"
    numbers = [frame.index for frame in frames if frame.index is not None]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1], reader.frames) == (0, 14, 15)
    times = [frame.time for frame in frames if frame.time is not None]
    assert times == sorted(set(times))
    pauses = [b - a for a, b in itertools.pairwise(times) if b - a > 0.2]
    assert len(pauses) == 2, "a pause is as long as it was"
    assert all(0.25 < pause < 5 for pause in pauses)
    assert all(feed.closed for feed in opened if isinstance(feed, Ticks))
    lost = "cam: connection lost (somebody tripped over the cable); trying again"
    assert [text for text in said if "again after" not in text] == [lost] * 3
    assert len(said) == 5


def test_a_clock_that_jumps() -> None:
    class Jumping(Ticks):
        def frames(self) -> Iterator[tuple[Any, float | None]]:
            for i, (raw, seconds) in enumerate(super().frames()):
                yield raw, (seconds or 0.0) + (10 * APART if i > 5 else 0)

    with LiveReader("cam", lambda: Jumping(10), delays=()) as reader:
        times = []
        with pytest.raises(InputError):
            times.extend(frame.time for frame in reader)
    assert times[-1] is not None
    assert times[-1] < 1


def test_end() -> None:
    with LiveReader("cam", lambda: Ticks(500), end=0.055) as reader:
        assert [frame.index for frame in reader][-1] <= 5
        assert reader.frames == 6


def test_stop_while_it_waits() -> None:
    stop = threading.Event()
    with LiveReader("cam", lambda: Ticks(3), stop=stop, delays=(60.0,)) as reader:
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        assert [frame.index for frame in reader][-1] == 2
        assert time.monotonic() - began < 1.0
    assert not reader._thread.is_alive()


def test_no_first_frame() -> None:
    with pytest.raises(InputError, match="somebody tripped"):
        LiveReader("cam", lambda: Ticks(0))


def test_a_bug_is_not_swallowed() -> None:
    class Broken(Ticks):
        def frames(self) -> Iterator[tuple[Any, float | None]]:
            yield 0, 0.0
            raise ZeroDivisionError

    with LiveReader("cam", lambda: Broken(1)) as reader:
        next(reader)
        with pytest.raises(ZeroDivisionError):
            next(reader)
