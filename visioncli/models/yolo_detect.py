"""Ultralytics' YOLO detectors (v3u to 26): letterbox, raw head outputs, decoding and NMS in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from visioncli.models import Array, Batch, Network, Options
from visioncli.models._checkpoint import UltralyticsAdapter
from visioncli.models.geometry import sigmoid
from visioncli.models.letterbox import Letterbox, letterbox, whole_strides
from visioncli.models.nms import nms
from visioncli.results import Detections, Floats, Image, Ints, Prediction

if TYPE_CHECKING:
    import torch


IOU = 0.7  # the library's default for predict
MAX_CANDIDATES = 30_000  # the library's `max_nms`
# These layers stay at fp32 where the others are bf16: on data/coco the mAP of 26n, 11n and v8n is then 0.0004
# less, 0.0007 less and 0.0002 more than in fp32. All in bf16 it was 0.010 less, 0.002 more, 0.006 less; the
# head at fp32 instead, or fewer of these layers, was no better than that for 26n.
PRECISE = r"model\.model\.[0-4]\."
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
        return Batch((np.stack([f[0] for f in fitted]),), tuple(f[1] for f in fitted))


class YoloDetector(Letterboxed):
    """A YOLO detection network; answers as `YOLO(...).predict(rect=True)` does for one picture at a time."""

    task = "detect"

    def network(self) -> Network:
        """Boxes (N, 4·bins, A) and class logits (N, C, A), before decoding, one-to-many head."""
        outputs = ("boxes", "scores")
        return Network(self._build, outputs, "yolo-detect-1", compiles=True, bf16=True, precise=PRECISE)

    def _build(self) -> torch.nn.Module:
        return raw_head(self._checkpoint.fused())

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """Threshold, decode what is left, NMS, back to the picture."""
        boxes, scores = outputs
        height, width = batch.inputs[0].shape[1:3]
        anchors, steps = anchor_points(height, width, self._checkpoint.strides)
        return [
            self._kept(boxes[i], scores[i], anchors, steps, fit, options)[0]
            for i, fit in enumerate(batch.geometry)
        ]

    def _kept(
        self, boxes: Floats, logits: Floats, anchors: Floats, steps: Floats, fit: Letterbox, options: Options
    ) -> tuple[Detections, Ints]:
        """The objects of one picture, and the anchor that each comes from."""
        found, scores, classes = candidates(logits, options)
        if not len(found):
            return Detections.empty(), found
        placed = decode(boxes[:, found], anchors[found], steps[found])
        keep = nms(
            placed,
            scores,
            None if options.agnostic_nms else classes,
            IOU if options.iou is None else options.iou,
            options.max_det,
            offset=CLASS_OFFSET,
        )
        return Detections(fit.boxes(placed[keep]), scores[keep], classes[keep]), found[keep]


def raw_head(model: torch.nn.Module, outputs: Sequence[str] = ("boxes", "scores")) -> torch.nn.Module:
    """The network up to its head's raw outputs, taking uint8 (N, H, W, 3): those of the given names.

    `protos`, of a head that has them, are what masks are mixed from.
    """
    import torch

    class RawYolo(torch.nn.Module):
        def __init__(self, model: torch.nn.Module) -> None:
            super().__init__()
            self.model = model
            head: Any = model.model[-1]  # type: ignore[index]
            head.__class__ = _raw(type(head))

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            picture = pixels.permute(0, 3, 1, 2).float() / 255
            raw = self.model.predict(picture)  # type: ignore[operator]
            return tuple(raw[name].float() for name in outputs)

    def _raw(head: type[torch.nn.Module]) -> type[torch.nn.Module]:
        """The head's class with decoding taken off: its convolutions only."""

        class RawHead(head):  # type: ignore[misc, valid-type]
            def forward(self, x: list[torch.Tensor]) -> dict[str, torch.Tensor]:
                raw: dict[str, torch.Tensor] = self.forward_head(x, **self.one2many)
                if "protos" in outputs:
                    # YOLO26 refines its finest features with the coarser ones first.
                    raw["protos"] = self.proto(x if hasattr(self.proto, "feat_refine") else x[0])
                return raw

        return RawHead

    return RawYolo(model).eval()


def anchor_points(height: int, width: int, strides: Sequence[int]) -> tuple[Floats, Floats]:
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
