"""A small Mask R-CNN as a plugin of `vision`: mobilenet_v2 with a pyramid, narrow mask head."""

from __future__ import annotations

from typing import Any

import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import mobilenet_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads, MaskRCNNPredictor

from visioncli.models.tv_segment import TorchvisionSegmenter
from visioncli.registry.cards import Card

NAME = "overfit_maskrcnn"
NAMES = ("__background__", "teddy bear", "bed", "cat", "keyboard", "zebra", "laptop", "tv")
SHORTER, LONGER = 240, 400  # px
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def card() -> Card:
    """The entry point."""
    numbers = {"min": SHORTER, "max": LONGER, "mean": MEAN, "std": STD}
    return Card(
        NAME, "segment-instance", "Mask R-CNN", "tests", "tests.overfit.plugin:Small", "maskrcnn_small",
        input=numbers, names=NAMES,
    )  # fmt: skip


def network(classes: int, **options: Any) -> MaskRCNN:
    """The network without weights; `options` are those of the library's `MaskRCNN`."""
    backbone = mobilenet_backbone(
        backbone_name="mobilenet_v2", weights=None, fpn=True, trainable_layers=2, returned_layers=[2, 3, 5]
    )
    return MaskRCNN(
        backbone,
        min_size=SHORTER,
        max_size=LONGER,
        rpn_anchor_generator=AnchorGenerator(((32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 4),
        box_head=TwoMLPHead(256 * 7 * 7, 256),
        box_predictor=FastRCNNPredictor(256, classes),
        mask_head=MaskRCNNHeads(256, (64, 64), 1),
        mask_predictor=MaskRCNNPredictor(64, 64, classes),
        **options,
    )


class Small(TorchvisionSegmenter):
    """The library's adapter around that network."""

    def _make(self, classes: int) -> torch.nn.Module:
        return network(classes)
