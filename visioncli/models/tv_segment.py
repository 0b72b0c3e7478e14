"""torchvision's Mask R-CNN: the detector's boxes, and a small mask for each that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from visioncli.models import Array, Batch, Network, Options
from visioncli.models.geometry import scale_boxes
from visioncli.models.tv_candidates import Candidates
from visioncli.models.tv_detect import TorchvisionDetector
from visioncli.models.upsample import above, identity, stretch
from visioncli.results import Detections, Floats, Image, Mask, Masks, Prediction

if TYPE_CHECKING:
    import torch

THRESHOLD = 0.5  # of a pixel's probability, as the library's documentation has it


class TorchvisionSegmenter(TorchvisionDetector):
    """Mask R-CNN; answers as `model([picture])` does with the same thresholds, masks above 0.5.

    The mask head looks at the boxes that are kept and at no others, so the network has to know the options:
    they are its third input (see `ask`).
    """

    task = "segment-instance"

    def prepare(self, images: Sequence[Image]) -> Batch:
        """As the detector's, with the default options."""
        return self.ask(super().prepare(images), Options())

    def ask(self, batch: Batch, options: Options) -> Batch:
        """The batch with what is asked of it: conf, iou, max_det, agnostic_nms, and 1 for a wanted class."""
        wanted = np.full(len(self.names), options.classes is None, np.float32)
        wanted[list(options.classes or ())] = 1
        iou = np.nan if options.iou is None else options.iou
        row = np.array([options.conf, iou, options.max_det, options.agnostic_nms, *wanted], np.float32)
        return replace(batch, inputs=(*batch.inputs[:2], np.tile(row, (len(batch), 1))))

    def network(self) -> Network:
        """The whole network: the boxes that are kept, and a mask of 28 pixels a side for each."""
        return Network(self._build, self._kind.outputs, "tv-segment-1", fp32_only=True)

    def _build(self) -> torch.nn.Module:
        from visioncli.models.tv_networks import MaskRcnn

        return MaskRcnn(self._trained(), self._asked).eval()

    def _asked(self, outputs: Sequence[Array], row: int, size: tuple[int, int], asked: Array) -> Candidates:
        """The boxes to keep, by what `ask` wrote."""
        conf, iou, max_det, agnostic = asked[:4].tolist()
        wanted = frozenset(np.flatnonzero(asked[4:]).tolist())
        options = Options(
            conf, None if np.isnan(iou) else iou, int(max_det), wanted, agnostic_nms=bool(agnostic)
        )
        return self._kept(outputs, row, size, options)

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """Back to the picture: boxes, and masks pasted into them."""
        boxes, scores, labels, masks, counts = outputs
        predictions: list[Prediction] = []
        for i, fit in enumerate(batch.geometry):
            n = int(counts[i])
            placed = scale_boxes(boxes[i, :n], fit.inner, fit.size)
            cut = paste(masks[i, :n], placed, fit.size)
            predictions.append(Detections(placed, scores[i, :n], labels[i, :n], cut))
        return predictions


def paste(masks: Floats, boxes: Floats, size: tuple[int, int]) -> Masks:
    """Probabilities (K, m, m) of what is in each box (K, 4) as masks of a picture of `size` (height, width).

    With a border of zeros, stretched over the box widened by as much, as the library's
    `paste_masks_in_image`.
    """
    side = masks.shape[-1]
    half = (boxes[:, 2:] - boxes[:, :2]) * np.float32(0.5) * np.float32((side + 2) / side)
    centre = (boxes[:, 2:] + boxes[:, :2]) * np.float32(0.5)
    starts = (centre - half).astype(np.int64)[:, ::-1]
    ends = (centre + half).astype(np.int64)[:, ::-1]
    lengths = np.maximum(ends - starts + 1, 1)
    first = np.clip(starts, 0, size)
    last = np.clip(ends + 1, first, size)

    def crop(i: int) -> tuple[int, int, Mask]:
        rows, columns = (
            stretch(identity(side + 2), int(lengths[i, axis]))[
                first[i, axis] - starts[i, axis] : last[i, axis] - starts[i, axis]
            ]
            for axis in (0, 1)
        )
        top, left = first[i].tolist()
        return top, left, above(np.pad(masks[i], 1), rows, columns, THRESHOLD)

    return Masks.of(size, map(crop, range(len(masks))))
