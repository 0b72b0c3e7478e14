"""The pipeline's events with tracks in them: a fresh tracker a video, applied in order."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from visioncli.errors import UsageError
from visioncli.media.frame import Frame
from visioncli.pipeline import Answer, Closed, Event, Opened, Settings
from visioncli.profile import Profile
from visioncli.results import Detections, Image, Result
from visioncli.track import Tracker
from visioncli.track.config import TrackerConfig
from visioncli.track.motion import Warp

if TYPE_CHECKING:
    from visioncli.track.reid import Encoder
    from visioncli.track.saved import Saved, Video


@dataclass(frozen=True, slots=True)
class Tracking:
    """How to track: the tracker with its parameters, and whose boxes to show.

    `smooth`: the boxes of the tracker's filter instead of the detections' own. `saved`: detections of an
    earlier run take the place of the network's. `encoder`: says what they look like, from their pixels.
    """

    config: TrackerConfig
    smooth: bool = False
    saved: Saved | None = None
    encoder: Encoder | None = None

    def observer(self) -> Callable[[Image], Warp] | None:
        """What a new video's frames are shown to, in order, as they are decoded (`Settings.observe`)."""
        if self.config.motion is None:
            return None
        from visioncli.track.motion import estimator

        return estimator(self.config.motion)

    def tracker(self, opened: Opened, stride: int) -> Tracker:
        """A fresh tracker for a video."""
        from visioncli.track.library import LibraryTracker

        frames_lost = self.config.frames_lost(opened.info.fps, stride)
        return LibraryTracker(self.config, frames_lost=frames_lost, smooth=self.smooth)

    def _with_features(self, found: Detections, frame: Frame) -> Detections:
        if self.encoder is not None:
            return replace(found, features=self.encoder(frame.image, found.boxes))
        if self.config.reid == "auto" and found.features is None:
            raise UsageError("reid auto needs a model that gives features", hint="load(…, features=True)")
        return found

    def options(self) -> dict[str, Any]:
        """For the record's first line."""
        return {
            "tracker": self.config.name,
            "tracker_config": dict(self.config.values),
            "smooth": self.smooth,
        }

    def follow(
        self, events: Generator[Event, None, None], settings: Settings, profile: Profile | None = None
    ) -> Generator[Event, None, None]:
        """The events of a run with tracked objects as their results."""
        profile = profile or Profile()
        tracker: Tracker | None = None
        saved: Video | None = None
        with closing(events):
            for event in events:
                if isinstance(event, Opened):
                    tracker = self.tracker(event, settings.stride)
                    saved = None if self.saved is None else self.saved.video(event.input.source)
                elif isinstance(event, Answer) and tracker is not None:
                    with profile.stage("track"):
                        found = event.result.detections
                        if saved is not None:
                            found = _at(saved, event.frame, settings.options.classes)
                        found = self._with_features(as_recorded(found), event.frame)
                        tracked = tracker.update(found, event.seen)
                    event = replace(event, result=_result(event.result, tracked, clip=self.smooth))
                elif isinstance(event, Closed) and saved is not None:
                    saved.close()
                yield event


def _at(saved: Video, frame: Frame, classes: frozenset[int] | None) -> Detections:
    """What was saved of a frame, of the classes that are wanted."""
    assert frame.index is not None
    found = saved.at(frame.index)
    return found if classes is None else found[np.isin(found.classes, list(classes))]


def as_recorded(found: Detections) -> Detections:
    """Detections in the precision of the record: boxes to 1e-2 px, scores to 1e-4.

    Trackers are fed with these, so that a saved record, which holds no more digits, leads to the same ids.
    """
    boxes = np.array([[round(v, 2) for v in box] for box in found.boxes.tolist()], np.float32)
    scores = np.array([round(score, 4) for score in found.scores.tolist()], np.float32)
    return Detections(boxes.reshape(-1, 4), scores, found.classes, found.masks, found.ids, found.features)


def _result(result: Result, tracked: Detections, *, clip: bool) -> Result:
    """The frame's result; the filter's boxes may reach over the border and are cut there."""
    if clip:
        most = np.array([result.width, result.height] * 2, np.float32)
        tracked = replace(tracked, boxes=np.clip(tracked.boxes, 0, most))
    return replace(result, prediction=tracked)
