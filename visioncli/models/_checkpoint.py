"""An Ultralytics checkpoint as the adapters need it, and what those adapters share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visioncli import cache
from visioncli.errors import ModelError
from visioncli.models import _ultralytics
from visioncli.registry.weights import sha256

if TYPE_CHECKING:
    import torch

    from visioncli.registry.cards import Card


class UltralyticsCheckpoint:
    """A `.pt` file, read when first needed; `ModelError` where it is not what its card says."""

    def __init__(self, path: Path, card: Card, *, trust: bool) -> None:
        self.path, self._card, self._trust = path, card, trust

    @cached_property
    def _content(self) -> dict[str, Any]:
        from visioncli.registry.checkpoints import load

        content = load(self.path, trust=self._trust)
        if not isinstance(content, dict):
            raise ModelError(f"{self.path}: not an Ultralytics checkpoint")
        return content

    @cached_property
    def model(self) -> torch.nn.Module:
        """The network in fp32, in evaluation mode, not fused. EMA weights first, as the library does."""
        import torch

        tasks = _ultralytics.tasks()
        found = self._content.get("ema") or self._content.get("model")
        if not isinstance(found, tasks.BaseModel):
            raise ModelError(
                f"{self.path}: holds no Ultralytics network", hint="is it a torchvision state dict?"
            )
        model: torch.nn.Module = found.float().eval()
        if not hasattr(model, "stride"):
            model.stride = torch.tensor([32.0])
        module: Any
        for module in model.modules():
            # What old checkpoints lack or have too much of, as the library mends it on loading.
            if hasattr(module, "inplace"):
                module.inplace = True
            elif isinstance(module, torch.nn.Upsample) and not hasattr(module, "recompute_scale_factor"):
                module.recompute_scale_factor = None
        return model

    def fused(self) -> torch.nn.Module:
        """The network with batch norms folded into the convolutions, for inference.

        The head keeps its one-to-many branch, which the library's predict runs by default in every family.
        """
        import torch

        with torch.no_grad():
            fused: torch.nn.Module = self.model.fuse(verbose=False)  # type: ignore[operator]
        return fused.requires_grad_(False)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """`names`, `strides` and the `imgsz` it was trained at; kept: a compiled run unpickles nothing."""
        return cache.facts(sha256(self.path), "ultralytics-1", self._read)

    def _read(self) -> dict[str, Any]:
        names = getattr(self.model, "names", None) or []
        return {
            "names": [
                str(names[i]) for i in (sorted(names) if isinstance(names, dict) else range(len(names)))
            ],
            "strides": [int(s) for s in self.model.stride],  # type: ignore[union-attr]
            "imgsz": (self._content.get("train_args") or {}).get("imgsz"),
        }

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride of each level of the head."""
        return tuple(self.facts["strides"])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Labels by class index, from the checkpoint itself."""
        if not self.facts["names"]:
            raise ModelError(f"{self.path}: the checkpoint names no classes")
        return tuple(self.facts["names"])

    @property
    def imgsz(self) -> tuple[int, int]:
        """The size it was trained at (height, width): its own record, else its card's."""
        size = self.facts["imgsz"] or self._card.input.get("imgsz", 640)
        return (size, size) if isinstance(size, int) else (int(size[0]), int(size[-1]))


class UltralyticsAdapter:
    """What the adapters of Ultralytics' networks have in common: a checkpoint and its names."""

    def __init__(
        self, card: Card, weights: Path, *, imgsz: tuple[int, int] | None = None, trust: bool = False
    ) -> None:
        self._checkpoint = UltralyticsCheckpoint(weights, card, trust=trust)
        self._imgsz = imgsz

    @property
    def names(self) -> Sequence[str]:
        """Labels by class index."""
        return self._checkpoint.names


def from_pixels(
    model: torch.nn.Module, outputs: Callable[[Any], tuple[torch.Tensor, ...]]
) -> torch.nn.Module:
    """The network taking uint8 (N, H, W, 3); `outputs` picks from what its `predict` gives."""
    import torch

    class FromPixels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            # Permuted last: compiled, that is then no work at all (2 of YOLO26n's 60 ms otherwise).
            picture = (pixels.float() / 255).permute(0, 3, 1, 2)
            return tuple(o.float() for o in outputs(self.model.predict(picture)))  # type: ignore[operator]

    return FromPixels().eval()
