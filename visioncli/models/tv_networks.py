"""torchvision's networks with plain tensors as outputs. Imports torch: only for use inside `Network.build`."""

from __future__ import annotations

import torch
from torch import Tensor


class Classifier(torch.nn.Module):
    """uint8 (N, H, W, 3) to logits (N, C), normalised as `transforms.functional.normalize` does."""

    def __init__(self, model: torch.nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        self.mean, self.std = mean, std

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        """(logits,)."""
        x = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
        mean, std = (torch.tensor(v, device=x.device)[:, None, None] for v in (self.mean, self.std))
        # Normalised in fp32 whatever the network computes in.
        x = ((x - mean) / std).to(next(self.model.parameters()).dtype)
        return (self.model(x).float(),)
