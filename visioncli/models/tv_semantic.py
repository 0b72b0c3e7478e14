"""torchvision's semantic segmenters: FCN, DeepLabV3 and LR-ASPP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visioncli.models import Array, Batch, Network, Options
from visioncli.models._torchvision import TorchvisionAdapter, input_numbers
from visioncli.models.geometry import resize_to
from visioncli.models.semantic import regions
from visioncli.models.upsample import through
from visioncli.results import Image, Prediction

if TYPE_CHECKING:
    import torch

    from visioncli.registry.cards import Card

# Of a picture that is longer than this many times its width the network sees a shortened copy: a 1 × 50,000
# one would need more memory than machines have.
MAX_ASPECT = 16


class TorchvisionSemantic(TorchvisionAdapter):
    """A torchvision network that gives each pixel a class.

    Answers as `model(weights.transforms()(picture))["out"]`, resized to the picture, then the largest.
    """

    task = "segment-semantic"

    def __init__(
        self, card: Card, weights: Path, *, imgsz: tuple[int, int] | None = None, trust: bool = False
    ) -> None:
        super().__init__(card, weights, trust=trust)
        numbers = input_numbers(card, weights)
        self._mean, self._std = tuple(numbers["mean"]), tuple(numbers["std"])
        self._interpolation = numbers["interpolation"]
        self._size = imgsz or (int(numbers["resize"]), int(numbers["resize"]))

    @property
    def _classes_in(self) -> str:
        return (
            "classifier.low_classifier.bias"
            if self._card.factory.startswith("lraspp")
            else "classifier.4.bias"
        )

    def prepare(self, images: Sequence[Image]) -> Batch:
        """Resized copies, uint8 (N, H, W, 3): the shorter side, or with two numbers both, as asked for."""
        small = [resize_to(image, self._inner(*image.shape[:2]), self._interpolation) for image in images]
        return Batch((np.stack(small),), tuple(image.shape[:2] for image in images))

    def _inner(self, height: int, width: int) -> tuple[int, int]:
        if self._size[0] != self._size[1]:
            return self._size
        side, (short, long) = self._size[0], sorted((height, width))
        longer = min(int(side * long / short), side * MAX_ASPECT)
        return (side, longer) if height <= width else (longer, side)

    def network(self) -> Network:
        """Logits (N, C, h, w) before the library upsamples them to its input's size."""
        return Network(self._build, ("logits",), "tv-semantic-1", compiles=True)

    def _make(self, classes: int) -> torch.nn.Module:
        import torchvision

        # The auxiliary head is for training only, but the published files have it.
        extra = {"aux_loss": True} if any(key.startswith("aux_classifier") for key in self._state) else {}
        model: torch.nn.Module = torchvision.models.get_model(
            self._card.factory, weights=None, weights_backbone=None, num_classes=classes, **extra
        )
        return model

    def _build(self) -> torch.nn.Module:
        from visioncli.models.tv_networks import Semantic

        return Semantic(self._trained(), self._mean, self._std).eval()

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """A class for every pixel: logits upsampled as the library does it, then to the picture's size."""
        inner, small = batch.inputs[0].shape[1:3], outputs[0].shape[2:]
        predictions: list[Prediction] = []
        for logits, size in zip(outputs[0], batch.geometry, strict=True):
            rows, columns = (through(*axis) for axis in zip(small, inner, size, strict=True))
            predictions.append(regions(logits, rows, columns, options))
        return predictions
