"""A live source through the pipeline: a slow network sees the newest frame, and little of the past."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import pytest

from tests.media.test_live import Ticks
from visioncli.media import camera
from visioncli.media.frame import Input
from visioncli.media.live import LiveReader
from visioncli.models import Batch
from visioncli.pipeline import Answer, Closed, Opened, Settings, run
from visioncli.results import Detections

PERIOD, NETWORK = 0.01, 0.1  # s a frame of the camera, s a frame of the network


class Nothing:
    """A detector that finds nothing."""

    names: Sequence[str] = ["thing"]
    task = "detect"

    def prepare(self, frames: Sequence[Any]) -> Batch:
        return Batch((frames[0][None].astype("float32"),), (frames[0].shape,))

    def finish(self, outputs: Any, batch: Batch, options: Any) -> list[Detections]:
        return [Detections.empty() for _ in batch.geometry]


class Slow:
    """A network that takes its time."""

    parallel = 2

    def share(self) -> None: ...

    def __call__(self, inputs: Any) -> Any:
        time.sleep(NETWORK)
        return inputs


def test_the_newest_frame_gets_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[LiveReader] = []

    def open_live(source: Input, **options: Any) -> LiveReader:
        readers.append(LiveReader(source.source, lambda: Ticks(10_000, PERIOD), **options))
        return readers[0]

    monkeypatch.setattr(camera, "open_live", open_live)
    stop = threading.Event()
    source = Input("cam", "camera", "rtsp://cam", PurePath("cam"))
    ages, events = [], []
    for event in run([source], Nothing(), Slow(), Settings(batch=16), stop=stop):  # type: ignore[arg-type]
        events.append(event)
        if isinstance(event, Answer) and event.frame.index is not None:
            ages.append((readers[0].frames - event.frame.index) * PERIOD)
            if len(ages) == 12:
                stop.set()
    assert sorted(ages)[len(ages) // 2] < 4 * NETWORK, "an answer is about the present, not a queue's past"
    closed = events[-1]
    assert isinstance(events[0], Opened)
    assert isinstance(closed, Closed)
    assert not closed.cut, "a live source that is stopped is whole"
    answered = sum(isinstance(event, Answer) for event in events)
    assert closed.dropped_frames > 3 * answered
    assert closed.frames >= closed.dropped_frames + answered
