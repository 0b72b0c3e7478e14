"""Ultralytics' YOLO classifiers: shortest side to the size, centre crop, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from visioncli.models import Array, Batch, Network, Options
from visioncli.models._checkpoint import UltralyticsAdapter, from_pixels
from visioncli.models.geometry import resize_and_crop, softmax, top_k
from visioncli.results import Image, Prediction

if TYPE_CHECKING:
    import torch


class YoloClassifier(UltralyticsAdapter):
    """A YOLO classification network; answers as `YOLO(...).predict()` does."""

    task = "classify"

    @cached_property
    def size(self) -> tuple[int, int]:
        """The (height, width) of the crop."""
        return self._imgsz or self._checkpoint.imgsz

    @property
    def shorter_side(self) -> int:
        """What a picture's shorter side is shrunk to (px), or the longer side of a crop that is no square."""
        return max(self.size)

    def prepare(self, images: Sequence[Image]) -> Batch:
        """Centre crops, uint8 (N, H, W, 3)."""
        side = self.size[0] if self.size[0] == self.size[1] else self.size
        crops = [resize_and_crop(image, side, self.size, "bilinear") for image in images]
        return Batch((np.stack(crops),), (None,) * len(crops))

    def network(self) -> Network:
        """Class logits (N, C)."""
        # Not bf16: YOLO11n-cls's top-1 on data/imagenet was 0.735 with it, 0.745 in fp32.
        return Network(self._build, ("logits",), "yolo-classify-2", compiles=True, fixed=True)

    def _build(self) -> torch.nn.Module:
        return from_pixels(self._checkpoint.fused(), lambda raw: (raw[1],))

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """The k best classes."""
        return [top_k(row, options.top_k) for row in softmax(outputs[0])]
