"""`mini`, the model that comes in the box: one file, three heads, an adapter for each.

Pictures are fitted into the input at its top left, as in training. The file's own metadata may say
which of COCO's and of VOC's classes it answers (`visioncli.registry.header`); else it is all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from visioncli.errors import ModelError, UsageError
from visioncli.models import Array, Batch, Network, Options
from visioncli.models.geometry import Interpolation, resize_and_crop, softmax, top_k
from visioncli.models.letterbox import PAD_VALUE, Letterbox, whole_strides
from visioncli.models.semantic import regions
from visioncli.models.upsample import identity, stretch
from visioncli.models.yolo_detect import anchor_points, kept
from visioncli.registry.header import answered
from visioncli.results import Floats, Image, Prediction

if TYPE_CHECKING:
    import torch

    from visioncli.registry.cards import Card

STRIDES = (8, 16, 32)
IOU = 0.6


class _Mini:
    """What the three have in common: the file and what it says of itself."""

    task: str
    head: str

    def __init__(
        self, card: Card, weights: Path, *, imgsz: tuple[int, int] | None = None, trust: bool = False
    ) -> None:
        self._card, self._path, self._imgsz = card, weights, imgsz

    @cached_property
    def names(self) -> Sequence[str]:
        """Labels by class index: those of the card that the file says it answers."""
        return answered(self._path, self.task, self._card.labels())

    def network(self) -> Network:
        """The raw logits of one head; see `visioncli.models.mini_net.MiniNet`."""
        outputs = ("sides", "scores") if self.head == "detect" else ("logits",)
        return Network(
            self._build, outputs, f"mini-{self.head}-2", compiles=True, bf16=True, graph=self._graph
        )

    @property
    def _chosen(self) -> Sequence[int] | None:
        """Which of the head's classes are answered; None: all of them."""
        labels = self._card.labels()
        chosen = [i for i, label in enumerate(labels) if label in set(self.names)]
        return None if len(chosen) == len(labels) else chosen

    def _build(self) -> torch.nn.Module:
        return raw_head(self._path, self.head, self._chosen)

    def _graph(self) -> Any:
        from visioncli.models.mini_openvino import model

        return model(self._path, self.head, self._chosen)


class _Fitted(_Mini):
    """A head that looks at the whole picture, fitted into its input."""

    @cached_property
    def size(self) -> tuple[int, int]:
        """The (height, width) that pictures are fitted into."""
        side = int(self._card.input["imgsz"])
        return whole_strides(self._imgsz or (side, side), STRIDES[-1])

    def prepare(self, images: Sequence[Image]) -> Batch:
        """uint8 (N, H, W, 3), padded at the right and below."""
        fitted = [fit(image, self.size) for image in images]
        return Batch((np.stack([f[0] for f in fitted]),), tuple(f[1] for f in fitted))


class MiniDetector(_Fitted):
    """Boxes of everyday things."""

    task = head = "detect"

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """Threshold, decode what is left, NMS, back to the picture."""
        sides, scores = outputs
        height, width = batch.inputs[0].shape[1:3]
        anchors, steps = anchor_points(height, width, STRIDES)
        rows = zip(sides, scores, batch.geometry, strict=True)
        return [kept(side, score, anchors, steps, box, options, iou=IOU)[0] for side, score, box in rows]


class MiniSegmenter(_Fitted):
    """A class for every pixel."""

    task, head = "segment-semantic", "segment"

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """Logits enlarged to the picture's own pixels, then the best class of each."""
        return [
            regions(logits, *axes(logits.shape[1:], box), options)
            for logits, box in zip(outputs[0], batch.geometry, strict=True)
        ]


class MiniClassifier(_Mini):
    """ImageNet's classes."""

    task = head = "classify"

    @cached_property
    def _numbers(self) -> tuple[int, int, Interpolation]:
        """Shorter side, crop and interpolation; another size keeps the card's proportion."""
        resize, crop = int(self._card.input["resize"]), int(self._card.input["crop"])
        height, width = self._imgsz or (crop, crop)
        if height != width:
            raise UsageError(f"{self._card.name} takes square pictures", hint="give --imgsz one number")
        return round(height * resize / crop), height, self._card.input["interpolation"]

    @property
    def shorter_side(self) -> int:
        """What a picture's shorter side is shrunk to (px)."""
        return self._numbers[0]

    def prepare(self, images: Sequence[Image]) -> Batch:
        """Centre crops, uint8 (N, H, W, 3)."""
        resize, crop, interpolation = self._numbers
        crops = [resize_and_crop(image, resize, (crop, crop), interpolation) for image in images]
        return Batch((np.stack(crops),), (None,) * len(crops))

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """The k best classes."""
        return [top_k(row, options.top_k) for row in softmax(outputs[0])]


def raw_head(path: Path, head: str, chosen: Sequence[int] | None) -> torch.nn.Module:
    """One head of the network in `path`, taking uint8 (N, H, W, 3); of its classes only the `chosen`."""
    import torch
    from safetensors import SafetensorError

    from visioncli.models.mini_net import load_mini

    class RawMini(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net = net
            self.register_buffer("chosen", None if chosen is None else torch.tensor(chosen), persistent=False)

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            *sides, logits = self.net(pixels.permute(0, 3, 1, 2).float() / 255)
            if self.chosen is not None:
                logits = logits.index_select(1, self.chosen)
            return (*(s.float() for s in sides), logits.float())

    try:
        net = load_mini(path, (head,))
    except (SafetensorError, KeyError, RuntimeError) as e:
        raise ModelError(f"{path}: does not hold the weights of mini: {e}") from e
    return RawMini(net).eval().requires_grad_(False)


def fit(image: Image, size: tuple[int, int]) -> tuple[Image, Letterbox]:
    """Scale (H, W, 3) into `size` (height, width), padded at the right and below to multiples of 32."""
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inner = max(round(height * scale), 1), max(round(width * scale), 1)
    shape = whole_strides(inner, STRIDES[-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out = np.full((*shape, 3), PAD_VALUE, np.uint8)
    out[: inner[0], : inner[1]] = cv2.resize(image, (inner[1], inner[0]), interpolation=how)
    return out, Letterbox(height, width, shape, inner, 0, 0)


def axes(size: Sequence[int], box: Letterbox) -> tuple[Floats, Floats]:
    """The matrices of rows (H, h) and columns (W, w) that take logits of `size` to the picture's pixels.

    Through the padded input, as in training, whose padding is cut off.
    """
    sides = zip(size, box.shape, box.inner, (box.height, box.width), strict=True)
    rows, columns = (stretch(stretch(identity(n), whole)[:inner], out) for n, whole, inner, out in sides)
    return rows, columns
