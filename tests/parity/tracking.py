"""Ultralytics' own `model.track` beside ours, on the same frames: how alike the tracks are."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import numpy as np

from tests.parity.ultralytics_own import predictor
from visioncli.media.frame import Input
from visioncli.media.video_in import open_video
from visioncli.results import Image

# A frame's tracks: ids (N,), boxes (N, 4) px.
Tracks = list[tuple[np.ndarray, np.ndarray]]


def frames(video: Path) -> list[Image]:
    """All frames of a video, (H, W, 3) uint8 RGB."""
    with open_video(Input(str(video), "video", video, PurePath(video.name))) as reader:
        return [frame.image for frame in reader]


def theirs(weights: Path, pictures: list[Image], tracker: str | Path, **options: Any) -> Tracks:
    """`model.track(persist=True)` fed frame by frame, at fp32 on the CPU."""
    model = predictor(weights)
    found: Tracks = []
    for picture in pictures:
        boxes = model.track(
            np.ascontiguousarray(picture[..., ::-1]),
            persist=True, tracker=str(tracker), verbose=False, device="cpu", **options,
        )[0].boxes  # fmt: skip
        ids = np.zeros(0) if boxes.id is None else boxes.id.numpy()
        found.append((ids.astype(np.int64), boxes.xyxy.numpy()[: len(ids)]))
    return found


def ours(weights: Path, video: Path, tracker: str, **options: Any) -> Tracks:
    """Our Python API on the same video."""
    from visioncli import load

    found: Tracks = []
    for _, result in load(str(weights), precision="fp32", runtime="torch").track(
        video, tracker=tracker, **options
    ):
        assert result.detections.ids is not None
        found.append((result.detections.ids, result.boxes))
    return found


def read_mot(file: Path, count: int) -> Tracks:
    """A file of MOTChallenge for a video of `count` frames."""
    from visioncli.track import mot

    rows = mot.read(file)
    return [(rows.ids[rows.frames == n], rows.boxes[rows.frames == n]) for n in range(1, count + 1)]


def idf1(one: Tracks, other: Tracks, overlap: float = 0.5) -> float:
    """IDF1 of two sets of tracks, which is symmetric (https://arxiv.org/abs/1609.01775).

    Each id of one is paired with at most one of the other so that as many boxes as can be agree (IoU at least
    `overlap`); the boxes that agree, over the mean number of boxes.
    """
    from scipy.optimize import linear_sum_assignment

    first = {i: n for n, i in enumerate(sorted({int(i) for ids, _ in one for i in ids}))}
    second = {i: n for n, i in enumerate(sorted({int(i) for ids, _ in other for i in ids}))}
    agree = np.zeros((len(first), len(second)))
    for (ids_a, boxes_a), (ids_b, boxes_b) in zip(one, other, strict=True):
        for i, a in enumerate(ids_a):
            for j, b in enumerate(ids_b):
                agree[first[int(a)], second[int(b)]] += iou(boxes_a[i], boxes_b[j]) >= overlap
    rows, columns = linear_sum_assignment(-agree)
    boxes = sum(len(ids) for ids, _ in one) + sum(len(ids) for ids, _ in other)
    return float(2 * agree[rows, columns].sum() / boxes) if boxes else 1.0


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if width <= 0 or height <= 0:
        return 0.0
    shared = float(width * height)
    return shared / float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def library_motion(pictures: list[Image]) -> list[np.ndarray]:
    """The library's own estimates of the camera's motion, (2, 3) from each frame's predecessor."""
    from ultralytics.trackers.utils.gmc import GMC

    estimate = GMC()
    return [np.array(estimate.apply(np.ascontiguousarray(p[..., ::-1]))) for p in pictures]


def with_motion(record: Path, tracker: str, warps: list[np.ndarray]) -> Tracks:
    """Our tracker on saved detections, with the camera's motion given."""
    from visioncli.track.config import configure
    from visioncli.track.library import LibraryTracker
    from visioncli.track.saved import open_saved

    video = open_saved(record).video("the only one")
    ours = LibraryTracker(configure(tracker), frames_lost=30)
    found: Tracks = []
    for number, warp in enumerate(warps):
        tracks = ours.update(video.at(number), warp)
        assert tracks.ids is not None
        found.append((tracks.ids, tracks.boxes))
    return found


def mota(tracks: Tracks, truth: Tracks, overlap: float = 0.5) -> float:
    """MOTA: 1 - (misses + false boxes + switches) / true boxes (https://doi.org/10.1155/2008/246309).

    A pair of the frame before stays while it overlaps; the rest are matched for the most overlap.
    """
    from scipy.optimize import linear_sum_assignment

    errors, last, held = 0, {}, {}
    for (ids, boxes), (people, places) in zip(tracks, truth, strict=True):
        overlaps = np.array([[iou(a, b) for b in boxes] for a in places]).reshape(len(people), len(ids))
        worth = np.where(overlaps >= overlap, overlaps, 0)
        for i, person in enumerate(people.tolist()):
            for j, track in enumerate(ids.tolist()):
                if held.get(person) == track and overlaps[i, j] >= overlap:
                    worth[i, j] += 1000
        rows, columns = linear_sum_assignment(-worth)
        pairs = [(i, j) for i, j in zip(rows, columns, strict=True) if worth[i, j] > 0]
        errors += len(people) + len(ids) - 2 * len(pairs)
        held = {int(people[i]): int(ids[j]) for i, j in pairs}
        errors += sum(last.get(person, track) != track for person, track in held.items())
        last |= held
    return 1 - errors / sum(len(people) for people, _ in truth)
