"""Ultralytics' YOLO detectors (v3u to 26): letterbox, raw head outputs, decoding and NMS in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from visioncli.models import Array, Batch, Network, Options
from visioncli.models._checkpoint import UltralyticsAdapter, from_pixels
from visioncli.models.geometry import sigmoid
from visioncli.models.letterbox import Letterbox, letterbox, whole_strides
from visioncli.models.nms import nms
from visioncli.results import Detections, Floats, Image, Ints, Prediction

if TYPE_CHECKING:
    import torch


IOU = 0.7  # the library's default for predict
MAX_CANDIDATES = 30_000  # the library's `max_nms`
# What stays at fp32 where the rest is bf16: the first layers, whose errors all others inherit, and what the
# boxes are made of. On data/coco the mAP of 26n, 11n and v8n is then 0.0012 less, 0.0008 and 0.0003 more than
# in fp32; all in bf16 it was 0.010 less, 0.002 more and 0.006 less. With the first layers alone it was 0.0004
# less, 0.0007 less and 0.0002 more, but boxes were 0.3 px off instead of 0.1 (median of 156). YOLO26n takes
# 22 ms of CPU time a frame so, 30 in fp32, 16 in bf16.
PRECISE = r"model\.model\.[0-4]\.|\.cv2\.\d\.|\.cv3\.\d\.2/"
CLASS_OFFSET = 7680  # px by which the library moves classes apart before NMS (`max_wh`)


class Letterboxed(UltralyticsAdapter):
    """An adapter whose network takes letterboxed pictures."""

    @cached_property
    def stride(self) -> int:
        """The multiple of pixels that an input's sides must have."""
        return max(*self._checkpoint.strides, 32)

    @cached_property
    def size(self) -> tuple[int, int]:
        """The (height, width) that pictures are fitted into."""
        return whole_strides(self._imgsz or self._checkpoint.imgsz, self.stride)

    def prepare(self, images: Sequence[Image]) -> Batch:
        """Letterboxed uint8 (N, H, W, 3)."""
        fitted = [letterbox(image, self.size, self.stride) for image in images]
        pixels = fitted[0][0][None] if len(fitted) == 1 else np.stack([f[0] for f in fitted])
        return Batch((pixels,), tuple(f[1] for f in fitted))


class YoloDetector(Letterboxed):
    """A YOLO detection network; answers as `YOLO(...).predict(rect=True)` does for one picture at a time."""

    task = "detect"
    # Set before `network` is asked for, objects come with the features that the head saw where they are.
    features = False

    def network(self) -> Network:
        """Boxes (N, 4·bins, A) and class logits (N, C, A), before decoding, one-to-many head."""
        return self._network(("boxes", "scores"), "yolo-detect-2")

    def _network(self, outputs: tuple[str, ...], version: str) -> Network:
        if self.features:
            outputs, version = (*outputs, "features"), f"{version}-features"

        def build() -> torch.nn.Module:
            return raw_head(self._checkpoint.fused(), outputs)

        return Network(build, outputs, version, compiles=True, bf16=True, precise=PRECISE)

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """Threshold, decode what is left, NMS, back to the picture."""
        boxes, scores, *features = outputs
        height, width = batch.inputs[0].shape[1:3]
        anchors, steps = anchor_points(height, width, tuple(self._checkpoint.strides))
        predictions: list[Prediction] = []
        for i, fit in enumerate(batch.geometry):
            found, anchor = self._kept(boxes[i], scores[i], anchors, steps, fit, options)
            predictions.append(replace(found, features=features[0][i][anchor]) if features else found)
        return predictions

    def _kept(
        self, boxes: Floats, logits: Floats, anchors: Floats, steps: Floats, fit: Letterbox, options: Options
    ) -> tuple[Detections, Ints]:
        return kept(boxes, logits, anchors, steps, fit, options, iou=IOU, offset=CLASS_OFFSET)


def kept(
    boxes: Floats,
    logits: Floats,
    anchors: Floats,
    steps: Floats,
    fit: Letterbox,
    options: Options,
    *,
    iou: float,
    offset: float | None = None,
) -> tuple[Detections, Ints]:
    """The objects of one picture, and the anchor that each comes from; `iou` where the options name none."""
    found, scores, classes = candidates(logits, options)
    if not len(found):
        return Detections.empty(), found
    placed = decode(boxes[:, found], anchors[found], steps[found])
    keep = nms(
        placed,
        scores,
        None if options.agnostic_nms else classes,
        iou if options.iou is None else options.iou,
        options.max_det,
        offset=offset,
    )
    return Detections(fit.boxes(placed[keep]), scores[keep], classes[keep]), found[keep]


def raw_head(model: torch.nn.Module, outputs: Sequence[str] = ("boxes", "scores")) -> torch.nn.Module:
    """The network up to its head's raw outputs, taking uint8 (N, H, W, 3): those of the given names.

    `protos`, of a head that has them, are what masks are mixed from. `features` (N, A, D) are what the head
    sees at each anchor, the channels of each level averaged in groups down to the level with the fewest.
    """
    import torch

    def _raw(head: type[torch.nn.Module]) -> type[torch.nn.Module]:
        """The head's class with decoding taken off: its convolutions only."""

        class RawHead(head):  # type: ignore[misc, valid-type]
            def forward(self, x: list[torch.Tensor]) -> dict[str, torch.Tensor]:
                raw: dict[str, torch.Tensor] = self.forward_head(x, **self.one2many)
                if "protos" in outputs:
                    # YOLO26 refines its finest features with the coarser ones first.
                    raw["protos"] = self.proto(x if hasattr(self.proto, "feat_refine") else x[0])
                if "features" in outputs:
                    fewest = min(level.shape[1] for level in x)
                    pool = torch.nn.functional.avg_pool1d
                    flat = [(level.flatten(2).transpose(1, 2), level.shape[1] // fewest) for level in x]
                    raw["features"] = torch.cat([pool(level, group) for level, group in flat], 1)
                return raw

        return RawHead

    head: Any = model.model[-1]  # type: ignore[index]
    head.__class__ = _raw(type(head))
    return from_pixels(model, lambda raw: tuple(raw[name] for name in outputs))


@lru_cache(maxsize=16)  # a third of a video frame's way from outputs to boxes otherwise
def anchor_points(height: int, width: int, strides: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Cell centres (A, 2) in grid units as x, y, and each one's stride (A, 1), level after level."""
    points, steps = [], []
    for stride in strides:
        rows, columns = height // stride, width // stride
        y, x = np.meshgrid(
            np.arange(rows, dtype=np.float32) + 0.5, np.arange(columns, dtype=np.float32) + 0.5, indexing="ij"
        )
        points.append(np.stack((x.ravel(), y.ravel()), 1))
        steps.append(np.full((rows * columns, 1), stride, np.float32))
    return np.concatenate(points), np.concatenate(steps)


def candidates(logits: Floats, options: Options) -> tuple[Ints, Floats, Ints]:
    """Anchors whose best class passes the threshold: indices, scores, classes; at most `MAX_CANDIDATES`.

    `logits` is (C, A). One class an anchor, as the library's predict has it.
    """
    best = logits.max(0)
    # The sigmoid is monotonic, so a bound on the logits drops nearly all anchors before any exp.
    bound = -np.inf if options.conf <= 0 else np.log(options.conf / (1 - options.conf + 1e-12)) - 1e-3
    found = np.flatnonzero(best > bound)
    scores = sigmoid(best[found])
    passed = scores > options.conf
    found, scores = found[passed], scores[passed]
    classes = logits[:, found].argmax(0)
    if options.classes is not None:
        wanted = np.isin(classes, list(options.classes))
        found, scores, classes = found[wanted], scores[wanted], classes[wanted]
    if len(found) > MAX_CANDIDATES:
        order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
        found, scores, classes = found[order], scores[order], classes[order]
    return found, scores, classes


def decode(raw: Floats, anchors: Floats, steps: Floats) -> Floats:
    """Distances to the four sides, as bins (4·bins, K) or plain (4, K), to boxes (K, 4) px of the input.

    Distribution focal loss: the expectation over the bins' softmax (https://arxiv.org/abs/2006.04388).
    """
    bins = raw.shape[0] // 4
    if bins == 1:
        sides = raw.T
    else:
        weights = raw.reshape(4, bins, -1)
        weights = np.exp(weights - weights.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        sides = np.tensordot(np.arange(bins, dtype=np.float32), weights, (0, 1)).T
    placed = np.concatenate((anchors - sides[:, :2], anchors + sides[:, 2:]), 1) * steps
    return np.ascontiguousarray(placed, np.float32)
