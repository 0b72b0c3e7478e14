"""torchvision's networks with plain tensors as outputs. Imports torch: for use inside `Network.build`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList


class _Normalised(torch.nn.Module):
    """A network that takes uint8 (N, H, W, 3), normalised as `transforms.functional.normalize` does."""

    def __init__(self, model: torch.nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model: Any = model
        self.mean, self.std = mean, std

    def normalised(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) in the network's precision."""
        x = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
        mean, std = (torch.tensor(v, device=x.device)[:, None, None] for v in (self.mean, self.std))
        # Normalised in fp32 whatever the network computes in.
        return ((x - mean) / std).to(next(self.model.parameters()).dtype)


class Classifier(_Normalised):
    """Logits (N, C)."""

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        """(logits,)."""
        return (self.model(self.normalised(pixels)).float(),)


class Semantic(_Normalised):
    """Logits (N, C, h, w) at the resolution of the last layer: FCN and DeepLabV3, and LR-ASPP."""

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        """(logits,)."""
        features = self.model.backbone(self.normalised(pixels))
        logits = self.model.classifier(features.get("out", features))
        return (logits.float(),)


class TwoStage(torch.nn.Module):
    """Faster R-CNN up to the box head: normalised pictures to proposals and what is in them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone: Any = model.backbone
        self.rpn: Any = model.rpn
        self.heads: Any = model.roi_heads
        self.most: int = model.rpn.post_nms_top_n()

    def forward(self, pictures: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (N, P, C), box deltas (N, P, 4 C), proposals (N, P, 4), and how many of the P are real (N,).

        `pictures` (N, 3, H, W) padded right and below, `sizes` (N, 2) their true height and width.
        """
        shapes = [(int(height), int(width)) for height, width in sizes.tolist()]
        features = self.backbone(pictures)
        proposals, _ = self.rpn(ImageList(pictures, shapes), features)
        logits, deltas = self.heads.box_predictor(
            self.heads.box_head(self._pool(features, proposals, shapes))
        )

        counts = [len(p) for p in proposals]
        padded = [self._pad(parts) for parts in (logits.split(counts), deltas.split(counts), proposals)]
        return padded[0], padded[1], padded[2], torch.tensor(counts, device=pictures.device)

    def _pool(
        self, features: dict[str, Tensor], proposals: list[Tensor], shapes: list[tuple[int, int]]
    ) -> Tensor:
        """Picture by picture: the pooler keeps the scales that it makes up for the first one it sees."""
        pool = self.heads.box_roi_pool
        parts = []
        for i, (boxes, shape) in enumerate(zip(proposals, shapes, strict=True)):
            pool.scales = pool.map_levels = None
            parts.append(pool({k: v[i : i + 1] for k, v in features.items()}, [boxes], [shape]))
        return torch.cat(parts)

    def _pad(self, parts: list[Tensor]) -> Tensor:
        return torch.stack([torch.nn.functional.pad(p, (0, 0, 0, self.most - len(p))) for p in parts])


class OneStage(torch.nn.Module):
    """Backbone, heads and anchors of SSD, RetinaNet and FCOS."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone: Any = model.backbone
        self.head: Any = model.head
        self.anchor_generator: Any = model.anchor_generator

    def outputs(self, pictures: Tensor) -> tuple[dict[str, Tensor], Tensor, list[int]]:
        """The heads' outputs (N, A, …), the anchors (A, 4), and how many cells each level of features has."""
        features = list(self.backbone(pictures).values())
        anchors = self.anchor_generator(ImageList(pictures, [(0, 0)]), features)[0]
        return self.head(features), anchors, [f.shape[-2] * f.shape[-1] for f in features]


class Ssd(OneStage):
    """SSD and SSDlite: everything the heads say."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N, A, C), box deltas (N, A, 4), anchors (N, A, 4)."""
        heads, anchors, _ = self.outputs(pictures)
        return heads["cls_logits"], heads["bbox_regression"], anchors.expand(len(pictures), -1, -1)


class Dense(OneStage):
    """RetinaNet and FCOS: of each level the best (anchor, class) pairs, which is all the library looks at.

    Cut here and not at the heads because those say 11 million numbers about a 800 × 1066 picture.
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.most: int = model.topk_candidates

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores (N, K), labels (N, K), regression (N, K, 4), anchors (N, K, 4); the shape decides K."""
        heads, anchors, cells = self.outputs(pictures)
        scores = heads["cls_logits"].sigmoid_()
        if "bbox_ctrness" in heads:
            scores = scores.mul_(heads["bbox_ctrness"].sigmoid()).sqrt_()
        classes = scores.shape[-1]
        anchors = anchors.expand(len(pictures), -1, -1)

        best, pairs = [], []
        start, per_cell = 0, scores.shape[1] // sum(cells)
        for count in (n * per_cell for n in cells):
            level = scores[:, start : start + count].flatten(1)
            values, indices = level.topk(min(self.most, level.shape[1]))
            best.append(values)
            pairs.append(indices + start * classes)
            start += count
        pair = torch.cat(pairs, 1)
        where = (pair // classes)[..., None].expand(-1, -1, 4)
        boxes = heads["bbox_regression"].gather(1, where)
        return torch.cat(best, 1), pair % classes, boxes, anchors.gather(1, where)
