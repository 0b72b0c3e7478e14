"""Ultralytics' trackers behind our protocol: arrays in and out, ids of ours, the camera's motion given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visioncli.models import _ultralytics
from visioncli.results import Detections, Floats
from visioncli.track.config import TrackerConfig

Warp = NDArray[np.float64]

# Where each tracker is: module of `ultralytics.trackers`, class.
_CLASSES = {
    "botsort": ("bot_sort", "BOTSORT"),
    "bytetrack": ("byte_tracker", "BYTETracker"),
    "ocsort": ("oc_sort", "OCSORT"),
    "deepocsort": ("deep_oc_sort", "DeepOCSORT"),
    "fasttrack": ("fast_tracker", "FASTTracker"),
    "tracktrack": ("track_tracker", "TRACKTRACK"),
}
_STILL: Warp = np.eye(2, 3)
# What stands for a picture: the trackers compensate motion only if there is one, and look at it no further.
_SOME_PICTURE = np.zeros((1, 1, 3), np.uint8)


class LibraryTracker:
    """One of Ultralytics' trackers for one video.

    Ids are ours: 1, 2, 3, … in the order in which tracks are first shown. The library's own count also those
    that never are. `smooth`: boxes are the filter's instead of the detections' own. `frames_lost`: how many
    frames a lost track is kept for.
    """

    def __init__(self, config: TrackerConfig, *, frames_lost: int, smooth: bool = False) -> None:
        module, name = _CLASSES[config.name]
        make = getattr(_ultralytics.load(f"ultralytics.trackers.{module}"), name)
        # Features come with the detections: "auto" is the library's word for that.
        own = {"track_buffer": frames_lost, "gmc_method": "none", "model": "auto"}
        self._tracker: Any = make(SimpleNamespace(**{**config.values, **own}))
        self._motion: _GivenMotion | None = None
        if config.motion is not None:
            self._motion = self._tracker.gmc = _GivenMotion()
        self._smooth = smooth
        self._ids: dict[int, int] = {}
        self._votes: dict[int, dict[int, float]] = {}
        self._shown = 0

    def update(self, found: Detections, warp: Warp | None = None) -> Detections:
        """Those of `found` that belong to a track, with ids and the class that its track has had most."""
        if self._motion is not None:
            self._motion.warp = _STILL if warp is None else warp
        picture = None if self._motion is None else _SOME_PICTURE
        rows = self._tracker.update(_Boxes.of(found), picture, feats=found.features)
        rows = np.asarray(rows, np.float64).reshape(-1, 8)
        rows = rows[np.argsort(rows[:, 7], kind="stable")]
        tracks, picked = rows[:, 4].astype(np.int64).tolist(), rows[:, 7].astype(np.int64)
        kept = found[picked]
        boxes = rows[:, :4].astype(np.float32) if self._smooth else kept.boxes
        for track in sorted(set(tracks) - self._ids.keys()):
            self._shown += 1
            self._ids[track] = self._shown
        classes = self._vote(tracks, kept)
        ids = np.array([self._ids[track] for track in tracks], np.int64)
        self._forget()
        return Detections(boxes, kept.scores, classes, kept.masks, ids)

    def _vote(self, tracks: list[int], kept: Detections) -> NDArray[np.int64]:
        """Each track's class so far: the one with the largest sum of scores, the older one of equals."""
        voted = []
        for track, score, index in zip(tracks, kept.scores.tolist(), kept.classes.tolist(), strict=True):
            votes = self._votes.setdefault(track, {})
            votes[index] = votes.get(index, 0.0) + score
            voted.append(max(votes, key=lambda c: votes[c]))
        return np.array(voted, np.int64)

    def _forget(self) -> None:
        """Drop what is known of tracks that cannot come back: memory stays flat over any length."""
        alive = {t.track_id for t in (*self._tracker.tracked_stracks, *self._tracker.lost_stracks)}
        for track in self._ids.keys() - alive:
            del self._ids[track], self._votes[track]


class _GivenMotion:
    """Stands where the library would estimate the camera's motion itself; hands out `warp`."""

    method = "given"

    def __init__(self) -> None:
        self.warp = _STILL

    def apply(self, picture: object, boxes: object = None) -> Warp:
        """The (2, 3) map from the previous frame to this one."""
        return self.warp

    def reset_params(self) -> None:
        """Nothing is remembered."""


class _Boxes:
    """Detections as the trackers read them: `xyxy`, `xywh` (centre), `conf`, `cls`, selected like arrays."""

    def __init__(self, xyxy: Floats, conf: Floats, cls: Floats) -> None:
        self.xyxy, self.conf, self.cls = xyxy, conf, cls

    @classmethod
    def of(cls, found: Detections) -> _Boxes:
        """From our detections."""
        return cls(found.boxes, found.scores, found.classes.astype(np.float32))

    @property
    def xywh(self) -> Floats:
        """Centres and sizes."""
        size = self.xyxy[:, 2:] - self.xyxy[:, :2]
        return np.concatenate(((self.xyxy[:, :2] + self.xyxy[:, 2:]) / 2, size), 1)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: Any) -> _Boxes:
        return _Boxes(self.xyxy[rows], self.conf[rows], self.cls[rows])
