"""An adapter in full: one box around what is brighter than a threshold that the weights file holds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visioncli.models import Array, Batch, Network, Options
from visioncli.registry.cards import Card
from visioncli.registry.checkpoints import load
from visioncli.results import Detections, Image, Prediction


class BlobDetector:
    """Finds the box around the bright pixels of a picture."""

    task = "detect"

    def __init__(
        self, card: Card, weights: Path, *, imgsz: tuple[int, int] | None = None, trust: bool = False
    ) -> None:
        self.names = card.labels()
        self._weights, self._trust = weights, trust

    def prepare(self, images: Sequence[Image]) -> Batch:
        """(N, H, W, 3) uint8, as the pictures are."""
        return Batch((np.stack(images),), tuple(i.shape[:2] for i in images))

    def network(self) -> Network:
        """Brightness minus the threshold, (N, H, W) float32."""
        return Network(self._build, ("excess",), version="1")

    def _build(self) -> "torch.nn.Module":  # noqa: F821
        import torch

        threshold = load(self._weights, trust=self._trust)["threshold"].float()

        class Excess(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.threshold = torch.nn.Parameter(threshold, requires_grad=False)

            def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor]:
                return (pictures.float().mean(-1) - self.threshold,)

        return Excess().eval()

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """One box a picture, where anything is bright."""
        return [self._box(excess) for excess in outputs[0]]

    def _box(self, excess: Array) -> Prediction:
        rows, columns = np.nonzero(excess > 0)
        if not len(rows):
            return Detections.empty()
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        return Detections(np.array([box], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int64))
