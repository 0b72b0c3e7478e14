"""What the adapters of torchvision's networks share: a file of weights, its labels, what goes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visioncli import cache
from visioncli.registry.weights import sha256

if TYPE_CHECKING:
    import torch

    from visioncli.models.tv_weights import State
    from visioncli.registry.cards import Card


class TorchvisionAdapter:
    """A card and a file with a state dict for it, which is read when first needed."""

    def __init__(self, card: Card, weights: Path, *, trust: bool = False) -> None:
        self._card, self._path, self._trust = card, weights, trust

    @cached_property
    def names(self) -> Sequence[str]:
        """Labels by class index: the card's, or `class 0`, … where the weights are for another number."""
        labels = self._card.labels()
        if any(w.filename == self._path.name for w in self._card.weights):
            return labels
        count = self._class_count
        return labels if count == len(labels) else tuple(f"class {i}" for i in range(count))

    @property
    def _classes_in(self) -> str | None:
        """The parameter whose size tells the number of classes; None: the last one."""
        return None

    def _make(self, classes: int) -> torch.nn.Module:
        """The library's network for so many classes, without weights."""
        raise NotImplementedError

    @cached_property
    def _state(self) -> State:
        from visioncli.models.tv_weights import read_state

        return read_state(self._path, trust=self._trust)

    @cached_property
    def _class_count(self) -> int:
        version = f"torchvision-1 {self._card.factory} {len(self._card.labels())}"
        return int(cache.facts(sha256(self._path), version, self._count)["classes"])

    def _count(self) -> dict[str, int]:
        from visioncli.models.tv_weights import class_count

        return {"classes": class_count(self._make, self._state, len(self._card.labels()), self._classes_in)}

    def _trained(self) -> torch.nn.Module:
        """The library's network with the weights in it, which are let go of here."""
        from visioncli.models.tv_weights import fit

        model = fit(lambda: self._make(self._class_count), self._state, self._path, self._card.factory)
        self.__dict__.pop("_state", None)  # the network holds the tensors now
        return model


def input_numbers(card: Card, weights: Path) -> Mapping[str, Any]:
    """What a file of weights takes: its own variant's numbers, else those of the card's default."""
    variant = next((w for w in card.weights if w.filename == weights.name), card.default_weights)
    return card.input_for(variant)
