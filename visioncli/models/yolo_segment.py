"""Ultralytics' YOLO instance segmenters (v8 to 26): detection, and a mask for each object that is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from visioncli.models import Array, Batch, Network, Options
from visioncli.models.letterbox import Letterbox
from visioncli.models.upsample import above, to_picture
from visioncli.models.yolo_detect import YoloDetector, anchor_points
from visioncli.results import Floats, Masks, Prediction

_OUTPUTS = ("boxes", "scores", "mask_coefficient", "protos")


class YoloSegmenter(YoloDetector):
    """A YOLO segmentation network; answers as `YOLO(...).predict(rect=True, retina_masks=True)` does."""

    task = "segment-instance"

    def network(self) -> Network:
        """As the detector's, with mask coefficients (N, M, A) and mask prototypes (N, M, h, w)."""
        return self._network(_OUTPUTS, "yolo-segment-2")

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """The detector's objects, less those whose mask has no pixel."""
        boxes, scores, coefficients, protos, *features = outputs
        height, width = batch.inputs[0].shape[1:3]
        anchors, steps = anchor_points(height, width, tuple(self._checkpoint.strides))
        predictions: list[Prediction] = []
        for i, fit in enumerate(batch.geometry):
            found, anchor = self._kept(boxes[i], scores[i], anchors, steps, fit, options)
            masks = mix(protos[i], coefficients[i][:, anchor], found.boxes, fit)
            looks = features[0][i][anchor] if features else None
            predictions.append(replace(found, masks=masks, features=looks)[masks.areas > 0])
        return predictions


def mix(protos: Floats, coefficients: Floats, boxes: Floats, fit: Letterbox) -> Masks:
    """The masks of K objects at the picture's resolution, cut off at their boxes (K, 4), px of the picture.

    `protos` (M, h, w) weighted by `coefficients` (M, K) are logits: upsampled, then compared with 0. YOLACT's
    way: https://arxiv.org/abs/1904.02689; the steps of the library's `process_mask_native`.
    """
    count, height, width = protos.shape
    logits = (coefficients.T @ protos.reshape(count, -1)).reshape(-1, height, width)
    # Upsampled as little as lets the padding be cut off at a whole pixel, as the library does it.
    scale = fit.shape[0] // height
    pads = fit.shape[0] - fit.inner[0], fit.shape[1] - fit.inner[1]
    factor = scale // math.gcd(scale, *pads, *(pad // 2 for pad in pads))
    rows, columns = to_picture(fit, (height, width), factor)
    starts = np.ceil(boxes[:, :2]).astype(np.int64)
    ends = np.maximum(np.ceil(boxes[:, 2:]).astype(np.int64), starts)
    placed = (
        (top, left, above(plane, rows[top:bottom], columns[left:right], 0))
        for plane, (left, top), (right, bottom) in zip(logits, starts.tolist(), ends.tolist(), strict=True)
    )
    return Masks.of((fit.height, fit.width), placed)
