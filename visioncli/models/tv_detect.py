"""torchvision's detectors: Faster R-CNN, SSD, SSDlite, RetinaNet and FCOS.

Class numbers are the library's labels: 0 is the background, 1 a person, and a few of the 91 are never used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visioncli.errors import ModelError, UsageError
from visioncli.models import Array, Batch, Network, Options
from visioncli.models import tv_candidates as candidates
from visioncli.models._torchvision import TorchvisionAdapter, input_numbers
from visioncli.models.geometry import resize_normalised, scale_boxes
from visioncli.models.nms import nms, torchvision_batched_nms
from visioncli.results import Detections, Floats, Image, Prediction

if TYPE_CHECKING:
    import torch

    from visioncli.registry.cards import Card

Find = Callable[[Sequence[Array], int, tuple[int, int], float], candidates.Candidates]


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the families, with the values of the library's constructors.

    `iou` is `nms_thresh`; `module` the class in `tv_networks`; `classes` the parameter whose size tells the
    number of classes; `exact_norm`: published weights want batch norms with an epsilon of zero.
    """

    iou: float
    find: Find
    module: str
    outputs: tuple[str, ...]
    classes: str
    exact_norm: bool = False


_TWO_STAGE = ("logits", "deltas", "proposals", "counts")
_MASKS = ("boxes", "scores", "labels", "masks", "counts")
_DENSE = ("scores", "labels", "regression", "anchors")
_SSD = ("logits", "deltas", "anchors")
_RCNN_CLASSES = "roi_heads.box_predictor.cls_score.bias"
_SSD_CLASSES = "head.classification_head.module_list.0."
_DENSE_CLASSES = "head.classification_head.cls_logits.bias"

KINDS = {
    "fasterrcnn_resnet50_fpn": Kind(0.5, candidates.two_stage, "TwoStage", _TWO_STAGE, _RCNN_CLASSES, True),
    "fasterrcnn_": Kind(0.5, candidates.two_stage, "TwoStage", _TWO_STAGE, _RCNN_CLASSES),
    "maskrcnn_resnet50_fpn": Kind(0.5, candidates.two_stage, "MaskRcnn", _MASKS, _RCNN_CLASSES, True),
    "maskrcnn_": Kind(0.5, candidates.two_stage, "MaskRcnn", _MASKS, _RCNN_CLASSES),
    "ssd300_": Kind(0.45, partial(candidates.ssd, most=400), "Ssd", _SSD, _SSD_CLASSES + "bias"),
    "ssdlite320_": Kind(0.55, partial(candidates.ssd, most=300), "Ssd", _SSD, _SSD_CLASSES + "1.bias"),
    "retinanet_resnet50_fpn": Kind(0.5, candidates.retinanet, "Dense", _DENSE, _DENSE_CLASSES, True),
    "retinanet_": Kind(0.5, candidates.retinanet, "Dense", _DENSE, _DENSE_CLASSES),
    "fcos_": Kind(0.6, candidates.fcos, "Dense", _DENSE, _DENSE_CLASSES),
}


def _kind(factory: str) -> Kind:
    kind = KINDS.get(factory) or next((k for name, k in KINDS.items() if factory.startswith(name)), None)
    if kind is None:
        raise ModelError(f"{factory}: no detector that is known here", hint=f"known: {', '.join(KINDS)}")
    return kind


@dataclass(frozen=True, slots=True)
class Fit:
    """A picture's own (height, width), and that of its resized copy at the top left of the input."""

    size: tuple[int, int]
    inner: tuple[int, int]


class TorchvisionDetector(TorchvisionAdapter):
    """A torchvision detector; answers as `model([picture])` does with the same thresholds."""

    task = "detect"

    def __init__(
        self, card: Card, weights: Path, *, imgsz: tuple[int, int] | None = None, trust: bool = False
    ) -> None:
        super().__init__(card, weights, trust=trust)
        self._kind = _kind(card.factory)
        numbers = input_numbers(card, weights)
        self._mean, self._std = tuple(numbers["mean"]), tuple(numbers["std"])
        self._fixed = tuple(numbers["fixed"]) if "fixed" in numbers else None
        if self._fixed and imgsz is not None and imgsz != self._fixed:
            raise UsageError(
                f"{card.name} takes pictures of {self._fixed[0]} pixels only", hint="leave --imgsz out"
            )
        self._sides = None if self._fixed else _sides(imgsz, numbers["min"], numbers["max"])

    @property
    def _classes_in(self) -> str:
        return self._kind.classes

    def prepare(self, images: Sequence[Image]) -> Batch:
        """float32 (N, 3, H, W), normalised, resized and padded; for Faster R-CNN also the sizes (N, 2).

        As the library's `GeneralizedRCNNTransform`, each picture padded as if it were alone, so that its
        neighbours in a batch make no difference.
        """
        fits = [Fit((image.shape[0], image.shape[1]), self._inner(*image.shape[:2])) for image in images]
        inputs = np.stack([self._padded(image, fit) for image, fit in zip(images, fits, strict=True)])
        if "counts" not in self._kind.outputs:
            return Batch((inputs,), tuple(fits))
        return Batch((inputs, np.array([fit.inner for fit in fits], np.int64)), tuple(fits))

    def _inner(self, height: int, width: int) -> tuple[int, int]:
        if self._fixed:
            return self._fixed[0], self._fixed[1]
        assert self._sides is not None
        scale = min(self._sides[0] / min(height, width), self._sides[1] / max(height, width))
        return max(math.floor(height * scale), 1), max(math.floor(width * scale), 1)

    def _padded(self, image: Image, fit: Fit) -> Floats:
        picture = resize_normalised(image, fit.inner, self._mean, self._std)
        if self._fixed:
            return picture
        below, right = (-side % 32 for side in fit.inner)
        return np.pad(picture, ((0, 0), (0, below), (0, right)))

    def network(self) -> Network:
        """The network up to (for RetinaNet and FCOS including) the choice of candidates."""
        kind = self._kind
        # Anchors and proposals are pixel coordinates: half precision has no digits for them.
        return Network(
            self._build,
            kind.outputs,
            f"tv-detect-{kind.module}-1",
            fp32_only=True,
            compiles=kind.module != "TwoStage",  # which proposals there are decides its shapes
            fixed=self._fixed is not None,
            ranked=kind.module == "Dense",
        )

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """The objects of each picture: candidates, suppression, back to the picture's pixels."""
        return [self._detections(outputs, i, fit, options) for i, fit in enumerate(batch.geometry)]

    def _detections(self, outputs: Sequence[Array], row: int, fit: Fit, options: Options) -> Detections:
        boxes, scores, labels = self._kept(outputs, row, fit.inner, options)
        return Detections(scale_boxes(boxes, fit.inner, fit.size), scores, labels)

    def _kept(
        self, outputs: Sequence[Array], row: int, size: tuple[int, int], options: Options
    ) -> candidates.Candidates:
        """What is left of one picture's candidates, in pixels of the network's picture of `size`."""
        boxes, scores, labels = self._kind.find(outputs, row, size, options.conf)
        if options.classes is not None:
            wanted = np.isin(labels, list(options.classes))
            boxes, scores, labels = boxes[wanted], scores[wanted], labels[wanted]
        iou = self._kind.iou if options.iou is None else options.iou
        if options.agnostic_nms:
            kept = nms(boxes, scores, None, iou, options.max_det)
        else:
            kept = torchvision_batched_nms(boxes, scores, labels, iou, options.max_det)
        return candidates.Candidates(boxes[kept], scores[kept], labels[kept])

    def _make(self, classes: int) -> torch.nn.Module:
        import torchvision

        model: torch.nn.Module = torchvision.models.get_model(
            self._card.factory, weights=None, weights_backbone=None, num_classes=classes
        )
        return model

    def _build(self) -> torch.nn.Module:
        from visioncli.models import tv_networks

        network: torch.nn.Module = getattr(tv_networks, self._kind.module)(self._trained())
        return network.eval()

    def _trained(self) -> torch.nn.Module:
        from torch.nn import BatchNorm2d

        from visioncli.models.tv_weights import frozen

        exact = self._kind.exact_norm and frozen(self._state)
        model = super()._trained()
        if exact:
            for module in model.modules():
                if isinstance(module, BatchNorm2d):
                    module.eps = 0.0
        return model


def _sides(imgsz: tuple[int, int] | None, shorter: int, longer: int) -> tuple[int, int]:
    """(shorter, longer) side limits; one number for both stands for the shorter, in the card's proportion."""
    if imgsz is None:
        return shorter, longer
    if imgsz[0] == imgsz[1]:
        return imgsz[0], round(imgsz[0] * longer / shorter)
    return min(imgsz), max(imgsz)
