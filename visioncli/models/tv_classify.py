"""torchvision's classifiers, with the numbers of their own `weights.transforms()`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visioncli.errors import UsageError
from visioncli.models import Array, Batch, Network, Options
from visioncli.models._torchvision import TorchvisionAdapter, input_numbers
from visioncli.models.geometry import resize_and_crop, softmax, top_k
from visioncli.results import Image, Prediction

if TYPE_CHECKING:
    import torch

    from visioncli.registry.cards import Card

# Their position embeddings are tables of one size.
FIXED_SIZE = ("vit_", "maxvit_")


class TorchvisionClassifier(TorchvisionAdapter):
    """A torchvision classification network; answers as `model(weights.transforms()(picture))` does."""

    task = "classify"

    def __init__(
        self, card: Card, weights: Path, *, imgsz: tuple[int, int] | None = None, trust: bool = False
    ) -> None:
        super().__init__(card, weights, trust=trust)
        numbers = input_numbers(card, weights)
        self._resize, self._crop = int(numbers["resize"]), int(numbers["crop"])
        self._interpolation = numbers["interpolation"]
        self._mean, self._std = tuple(numbers["mean"]), tuple(numbers["std"])
        if imgsz is not None and imgsz != (self._crop, self._crop):
            self._resize, self._crop = self._other_size(imgsz)

    def _other_size(self, imgsz: tuple[int, int]) -> tuple[int, int]:
        """(resize, crop) for another crop than the card's, in the card's proportion."""
        if imgsz[0] != imgsz[1]:
            raise UsageError(f"{self._card.name} takes square pictures", hint="give --imgsz one number")
        if self._card.factory.startswith(FIXED_SIZE):
            raise UsageError(
                f"{self._card.name} takes pictures of {self._crop} pixels only", hint="leave --imgsz out"
            )
        return round(imgsz[0] * self._resize / self._crop), imgsz[0]

    @property
    def shorter_side(self) -> int:
        """What a picture's shorter side is shrunk to (px)."""
        return self._resize

    def prepare(self, images: Sequence[Image]) -> Batch:
        """Centre crops, uint8 (N, H, W, 3)."""
        crop = (self._crop, self._crop)
        crops = [resize_and_crop(image, self._resize, crop, self._interpolation) for image in images]
        return Batch((np.stack(crops),), (None,) * len(crops))

    def network(self) -> Network:
        """Class logits (N, C)."""
        # Not bf16: MobileNetV2's top-1 on data/imagenet was 0.820 with it, 0.835 in fp32.
        return Network(self._build, ("logits",), "tv-classify-1", compiles=True, fixed=True)

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """The k best classes."""
        return [top_k(row, options.top_k) for row in softmax(outputs[0])]

    def _make(self, classes: int) -> torch.nn.Module:
        import torchvision

        arguments: dict[str, Any] = {"num_classes": classes}
        if self._card.factory in ("googlenet", "inception_v3"):
            # As the library builds them for its published weights. Auxiliary heads are for training only.
            arguments |= {"transform_input": True, "init_weights": False}
            arguments["aux_logits"] = any(key.lower().startswith("aux") for key in self._state)
        model: torch.nn.Module = torchvision.models.get_model(self._card.factory, weights=None, **arguments)
        return model

    def _build(self) -> torch.nn.Module:
        from visioncli.models.tv_networks import Classifier

        return Classifier(self._trained(), self._mean, self._std).eval()
