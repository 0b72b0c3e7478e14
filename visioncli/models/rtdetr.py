"""Ultralytics' RT-DETR: a stretched square in, queries out, no NMS (https://arxiv.org/abs/2304.08069)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from visioncli.models import Array, Batch, Network, Options
from visioncli.models._checkpoint import UltralyticsAdapter, from_pixels
from visioncli.models.geometry import sigmoid
from visioncli.models.letterbox import Letterbox, stretch, whole_strides
from visioncli.results import Detections, Floats, Image, Prediction

if TYPE_CHECKING:
    import torch


STRIDE = 32


class RtDetr(UltralyticsAdapter):
    """An RT-DETR network; answers as `RTDETR(...).predict()` does. No use for `iou` and `agnostic_nms`."""

    task = "detect"

    @cached_property
    def size(self) -> tuple[int, int]:
        """The (height, width) that pictures are stretched to."""
        return whole_strides(self._imgsz or self._checkpoint.imgsz, STRIDE)

    def prepare(self, images: Sequence[Image]) -> Batch:
        """Stretched uint8 (N, H, W, 3)."""
        fitted = [stretch(image, self.size) for image in images]
        return Batch((np.stack([f[0] for f in fitted]),), tuple(f[1] for f in fitted))

    def network(self) -> Network:
        """Boxes (N, Q, 4) as centre and size in 0..1, and class logits (N, Q, C).

        Not compiled: which queries go on is a ranking of close scores, and rounding changes who they are.
        """
        return Network(self._build, ("boxes", "scores"), "rtdetr-1")

    def _build(self) -> torch.nn.Module:
        return from_pixels(self._checkpoint.fused(), lambda raw: (raw[1][0][-1], raw[1][1][-1]))

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """The best (query, class) pairs above the threshold."""
        boxes, scores = outputs
        return [self._one(boxes[i], scores[i], fit, options) for i, fit in enumerate(batch.geometry)]

    def _one(self, boxes: Floats, logits: Floats, fit: Letterbox, options: Options) -> Detections:
        # As many pairs as there are queries take part, before any threshold: one may stand for two classes.
        flat = logits.ravel()
        best = np.argsort(-flat, kind="stable")[: len(boxes)]
        scores, (queries, classes) = sigmoid(flat[best]), np.divmod(best, logits.shape[1])
        keep = scores > options.conf
        if options.classes is not None:
            keep &= np.isin(classes, list(options.classes))
        rows = np.flatnonzero(keep)[: options.max_det]
        centre, half = boxes[queries[rows], :2], boxes[queries[rows], 2:] / 2
        scale = np.array([fit.width, fit.height] * 2, np.float32)
        placed = np.concatenate((centre - half, centre + half), 1) * scale
        return Detections(placed.astype(np.float32), scores[rows], classes[rows])
