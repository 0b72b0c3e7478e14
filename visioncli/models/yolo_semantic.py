"""Ultralytics' semantic segmenters (YOLO26 `-sem`): letterbox, logits, a class for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from visioncli.models import Array, Batch, Network, Options
from visioncli.models._checkpoint import from_pixels
from visioncli.models.semantic import regions
from visioncli.models.upsample import to_picture
from visioncli.models.yolo_detect import Letterboxed
from visioncli.results import Prediction

if TYPE_CHECKING:
    import torch


class YoloSemantic(Letterboxed):
    """A YOLO network that gives each pixel a class; answers as `YOLO(...).predict(rect=True)` does."""

    task = "segment-semantic"

    def network(self) -> Network:
        """Logits (N, C, h, w)."""
        return Network(self._build, ("logits",), "yolo-semantic-2", compiles=True)

    def _build(self) -> torch.nn.Module:
        return from_pixels(self._checkpoint.fused(), lambda raw: (raw,))

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """Logits upsampled to the network's input, without its padding to the picture, then the largest."""
        height, width = outputs[0].shape[2:]
        factor = batch.inputs[0].shape[1] // height
        return [
            regions(logits, *to_picture(fit, (height, width), factor), options)
            for logits, fit in zip(outputs[0], batch.geometry, strict=True)
        ]
