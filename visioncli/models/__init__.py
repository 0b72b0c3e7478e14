"""The protocol that every model family keeps, and the table of adapters.

An adapter turns pictures into a network's input (`prepare`), describes the network (`network`) and turns its
outputs into predictions (`finish`). `prepare` and `finish` are numpy only: a runtime that needs no torch can
sit between them. Adding a family is one file here and one line in `ADAPTERS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visioncli.results import Detections, Image, Prediction

if TYPE_CHECKING:
    import torch

    from visioncli.registry.cards import Card

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller wants of the answers; the same meaning for every model that has use for it.

    `iou` None means the owning library's default for that model; `classes` None means all of them.
    `thresholds` has a lowest score for each class; `conf` is the least of them then, and `kept` applies them.
    """

    conf: float = 0.25
    iou: float | None = None
    max_det: int = 300
    classes: frozenset[int] | None = None
    agnostic_nms: bool = False
    top_k: int = 5
    thresholds: tuple[float, ...] | None = None

    def kept(self, prediction: Prediction) -> Prediction:
        """A prediction without the objects that are below their class's threshold."""
        if self.thresholds is None or not isinstance(prediction, Detections):
            return prediction
        return prediction[prediction.scores >= np.array(self.thresholds, np.float32)[prediction.classes]]


@dataclass(frozen=True, slots=True)
class Batch:
    """N pictures as a network takes them: `inputs` (arrays with N first), and how to get back to pixels.

    `geometry` has one entry a picture, whatever its adapter's `finish` needs.
    """

    inputs: tuple[Array, ...]
    geometry: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.geometry)

    @property
    def shape(self) -> tuple[tuple[int, ...], ...]:
        """What two batches must share to be joined."""
        return tuple(a.shape[1:] for a in self.inputs)

    @staticmethod
    def join(batches: Sequence[Batch]) -> Batch:
        """One batch of several with equal `shape`."""
        if len(batches) == 1:
            return batches[0]
        inputs = tuple(np.concatenate(parts) for parts in zip(*(b.inputs for b in batches), strict=True))
        return Batch(inputs, tuple(g for b in batches for g in b.geometry))


@dataclass(frozen=True, slots=True)
class Network:
    """What to run between `prepare` and `finish`.

    `build()` imports torch and returns the module in evaluation mode, fp32, on the CPU; its `forward` takes
    `Batch.inputs` as tensors and returns a tuple of tensors, N first unless the adapter says otherwise.
    `version` changes whenever the module's outputs change meaning. `fp32_only`: reduced precision breaks it.

    `compiles`: it also runs compiled, without torch, where a runtime can do that. `fixed`: its inputs always
    have the same height and width. `bf16`: it bears that, as exactly as `--precision auto` must be, with the
    layers whose name fits the pattern `precise` kept at fp32. `graph()` makes the `openvino.Model`
    itself, for an adapter that can do so without torch; else `build()` is traced. `ranked`: the first output
    is scores, best first, and the others are in that order.
    """

    build: Callable[[], torch.nn.Module]
    outputs: tuple[str, ...]
    version: str
    fp32_only: bool = False
    compiles: bool = False
    fixed: bool = False
    bf16: bool = False
    precise: str = ""
    graph: Callable[[], Any] | None = None
    ranked: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a network comes from, by which what is made of it can be kept.

    `name` is for people; `card` says what else than the weights decides the network; `example(picture)` gives
    `Batch.inputs`.
    """

    name: str
    weights: Path
    sha256: str
    card: str
    example: Callable[[Image], tuple[Array, ...]]


class Adapter(Protocol):
    """A model of one library and task. Nothing outside it knows which library it is.

    An adapter whose network has to know the options (its second stage works on what is kept) also has
    `ask(batch, options) -> Batch`, which puts them into the batch's inputs; see `prepare` below. One that
    shrinks pictures with antialiasing has `shorter_side` (px): to what.
    """

    task: str
    names: Sequence[str]

    def prepare(self, images: Sequence[Image]) -> Batch:
        """(H, W, 3) uint8 RGB pictures of one network shape to a batch. Called from several threads."""

    def network(self) -> Network:
        """The network to run."""

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """The network's outputs as numpy arrays to one prediction a picture, in its own pixels."""


def prepare(adapter: Adapter, images: Sequence[Image], options: Options) -> Batch:
    """What the adapter prepares, with the options in it where its network has to know them."""
    batch = adapter.prepare(images)
    ask: Callable[[Batch, Options], Batch] | None = getattr(adapter, "ask", None)
    return batch if ask is None else ask(batch, options)


class Factory(Protocol):
    """Makes an adapter: `card` says what it is, `weights` is an existing file, `imgsz` overrides the size."""

    def __call__(
        self, card: Card, weights: Path, *, imgsz: tuple[int, int] | None = None, trust: bool = False
    ) -> Adapter: ...


# What a card's `adapter` names -> where the class is.
ADAPTERS = {
    "ultralytics-detect": "visioncli.models.yolo_detect:YoloDetector",
    "ultralytics-rtdetr": "visioncli.models.rtdetr:RtDetr",
    "ultralytics-segment": "visioncli.models.yolo_segment:YoloSegmenter",
    "ultralytics-semantic": "visioncli.models.yolo_semantic:YoloSemantic",
    "ultralytics-classify": "visioncli.models.yolo_classify:YoloClassifier",
    "torchvision-classify": "visioncli.models.tv_classify:TorchvisionClassifier",
    "torchvision-detect": "visioncli.models.tv_detect:TorchvisionDetector",
    "torchvision-segment": "visioncli.models.tv_segment:TorchvisionSegmenter",
    "torchvision-semantic": "visioncli.models.tv_semantic:TorchvisionSemantic",
    "mini-detect": "visioncli.models.mini:MiniDetector",
    "mini-classify": "visioncli.models.mini:MiniClassifier",
    "mini-segment": "visioncli.models.mini:MiniSegmenter",
}


def adapter_class(name: str) -> Factory:
    """The class for a card's `adapter`: a name of `ADAPTERS`, or `module:Class` from a plugin's card."""
    module, _, attribute = ADAPTERS.get(name, name).partition(":")
    factory: Factory = getattr(importlib.import_module(module), attribute)
    return factory
