"""What is known of a model before it is loaded: cards, read from the TOML files beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TASKS = ("classify", "detect", "segment-instance", "segment-semantic")
COMMANDS = {
    "classify": "classify",
    "detect": "detect",
    "segment-instance": "segment",
    "segment-semantic": "segment",
}
"""The `vision` command that runs a task."""

_WEIGHTS_KEYS = frozenset(
    {
        "name", "file", "url", "sha256", "bytes", "licence", "page", "input", "params", "gmacs", "unfit",
        "packaged",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weights:
    """One set of trained weights of a model.

    `sha256`: the full digest, or the 8 digits of it that torchvision puts into its file names, or None
    where the publisher gives none. `bytes` is rounded to the kilobyte where the publisher rounds, computed
    (`measured`) where it gives none. `metrics`: `top1`, `top5`, `map`, `map50`, `mask_map`, `miou`,
    `pixel_acc`, in per cent, as published on `page`. `input`, `params`, `gflops` are None unless they
    differ from the card's. `unfit` says why a variant cannot be run although it is published. `packaged`: the
    file comes with `visioncli` itself.
    """

    name: str
    filename: str
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    licence: str = "unknown"
    metrics: Mapping[str, float] = field(default_factory=dict)
    page: str | None = None
    input: Mapping[str, Any] | None = None
    params: int | None = None
    gflops: float | None = None
    activations_mb: float | None = None
    unfit: str | None = None
    packaged: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A model: who owns it, how to build it, what it takes and which weights there are.

    `adapter` is a key of `visioncli.models.ADAPTERS` or, from a plugin, `module:Class`. `factory` is the
    builder's name in torchvision or the name of Ultralytics' YAML. `params` is a count; `gflops` counts
    multiplications and additions apart, at the card's input size; `activations_mb` is the peak of live
    activations at batch 1, fp32, in MB (10^6 bytes). `names` is a label set of `labels()`; a checkpoint
    that carries its own labels overrules it. `siblings` are the cards of the same name for other tasks.
    """

    name: str
    task: str
    family: str
    library: str
    adapter: str
    factory: str
    weights: tuple[Weights, ...] = ()
    default: str = ""
    params: int | None = None
    gflops: float | None = None
    activations_mb: float | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    names: str | tuple[str, ...] = ""
    plugin: str | None = None
    siblings: tuple[Card, ...] = ()

    @property
    def every(self) -> tuple[Card, ...]:
        """This card and its siblings: one a task."""
        return (self, *self.siblings)

    @property
    def default_weights(self) -> Weights | None:
        """The variant that the bare name means, else the first; None where there are no weights."""
        return self.variant(self.default or self.weights[0].name) if self.weights else None

    def variant(self, name: str) -> Weights | None:
        """The weights of that name, in any case; `DEFAULT` is the default's; None where there are none."""
        wanted = self.default if name.upper() == "DEFAULT" else name
        return next((w for w in self.weights if w.name.upper() == wanted.upper()), None)

    def input_for(self, weights: Weights | None) -> Mapping[str, Any]:
        """The input of one variant: the card's, overruled by the variant's own."""
        return {**self.input, **weights.input} if weights and weights.input else self.input

    def labels(self) -> tuple[str, ...]:
        """The class names, in order; empty where only the checkpoint knows them."""
        return labels(self.names) if isinstance(self.names, str) else self.names


@cache
def labels(name: str) -> tuple[str, ...]:
    """A label set by name: `imagenet` (1000), `coco` (80), `coco91`, `voc` (21), `cityscapes` (19)."""
    if not name:
        return ()
    return tuple((HERE / "names" / f"{name}.txt").read_text(encoding="utf-8").splitlines())


@cache
def builtin() -> Mapping[str, Card]:
    """All cards that come with the tool, by name, in the order of the files.

    A name that stands for several tasks has the first one's card, with the others as its siblings.
    """
    measured = tomllib.loads((HERE / "data" / "measured.toml").read_text(encoding="utf-8"))
    cards: dict[str, Card] = {}
    for file in ("mini", "torchvision", "ultralytics"):
        tables = tomllib.loads((HERE / "data" / f"{file}.toml").read_text(encoding="utf-8"))
        for group in tables["group"]:
            models = group.pop("model")
            for name, table in models.items():
                table["input"] = {**group.get("input", {}), **table.get("input", {})}
                card = _card(name, {**group, **table}, measured.get(name, {}))
                first = cards.get(name)
                cards[name] = replace(first, siblings=(*first.siblings, card)) if first else card
    return cards


def _card(name: str, table: dict[str, Any], measured: dict[str, Any]) -> Card:
    weights = tuple(_weights(name, row, table, measured) for row in table["weights"])
    return Card(
        name=name,
        task=table["task"],
        family=table["family"],
        library=table["library"],
        adapter=table["adapter"],
        factory=table.get("factory", name),
        weights=weights,
        default=table.get("default", weights[0].name),
        params=table.get("params", measured.get("params")),
        gflops=_gflops(table) or measured.get("gflops"),
        activations_mb=table.get("activations_mb", measured.get("activations_mb")),
        input=table["input"],
        names=table["names"],
    )


def _weights(name: str, row: dict[str, Any], table: dict[str, Any], measured: dict[str, Any]) -> Weights:
    filename = row.get("file") or f"{name}.pt"
    return Weights(
        name=row["name"],
        filename=filename,
        url=table["base"] + filename if "base" in table else None,
        sha256=row.get("sha256"),
        bytes=row.get("bytes", measured.get("bytes")),
        licence=row.get("licence", table["licence"]),
        metrics={k: v for k, v in row.items() if k not in _WEIGHTS_KEYS},
        page=row.get("page", table["page"]),
        input=row.get("input"),
        params=row.get("params"),
        gflops=_gflops(row),
        activations_mb=measured.get("variants", {}).get(row["name"]),
        unfit=row.get("unfit"),
        packaged=row.get("packaged", False),
    )


def _gflops(row: dict[str, Any]) -> float | None:
    """torchvision publishes multiply-add pairs (`gmacs`), Ultralytics single operations (`gflops`)."""
    gmacs: float | None = row.get("gmacs")
    if gmacs is not None:
        return round(2 * gmacs, 3)
    gflops: float | None = row.get("gflops")
    return gflops
