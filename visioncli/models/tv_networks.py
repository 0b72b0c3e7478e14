"""torchvision's networks with plain tensors as outputs. Imports torch: for use inside `Network.build`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from visioncli.models import Array


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
        return self.boxes(self.backbone(pictures), pictures, _shapes(sizes))

    def boxes(
        self, features: dict[str, Tensor], pictures: Tensor, shapes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What `forward` gives, from the backbone's features."""
        proposals, _ = self.rpn(ImageList(pictures, shapes), features)
        pooled = _pool(self.heads.box_roi_pool, features, proposals, shapes)
        logits, deltas = self.heads.box_predictor(self.heads.box_head(pooled))
        counts = [len(p) for p in proposals]
        padded = [_pad(parts, self.most) for parts in (logits.split(counts), deltas.split(counts), proposals)]
        return padded[0], padded[1], padded[2], torch.tensor(counts, device=pictures.device)


# The boxes (K, 4), scores (K,) and labels (K,) to keep of picture `row` of `TwoStage`'s outputs, given its
# (height, width) and what is asked of it.
Choose = Callable[[Sequence[Array], int, tuple[int, int], Array], tuple[Array, Array, Array]]


class MaskRcnn(TwoStage):
    """Mask R-CNN: the boxes that are kept, and the mask head's answer about each."""

    def __init__(self, model: Any, choose: Choose) -> None:
        super().__init__(model)
        self.choose = choose

    def forward(  # type: ignore[override]
        self, pictures: Tensor, sizes: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Boxes (N, K, 4), scores and labels (N, K), masks (N, K, h, w) in 0..1, and how many are real (N,).

        `pictures` and `sizes` as for `TwoStage`; `wanted` (N, …) goes to `choose`.
        """
        shapes = _shapes(sizes)
        features = self.backbone(pictures)
        raw = [output.float().cpu().numpy() for output in self.boxes(features, pictures, shapes)]
        asked = wanted.cpu().numpy()
        kept = [self.choose(raw, i, shape, asked[i]) for i, shape in enumerate(shapes)]
        boxes, scores, labels = (
            [torch.from_numpy(np.ascontiguousarray(one[part])).to(pictures.device) for one in kept]
            for part in range(3)
        )
        pooled = _pool(self.heads.mask_roi_pool, features, boxes, shapes)
        logits = self.heads.mask_predictor(self.heads.mask_head(pooled))
        masks = logits[torch.arange(len(logits), device=logits.device), torch.cat(labels)].sigmoid()
        counts = [len(b) for b in boxes]
        most = max(counts)
        parts = (boxes, scores, labels, masks.split(counts))
        padded = [_pad(part, most) for part in parts]
        return padded[0], padded[1], padded[2], padded[3], torch.tensor(counts, device=pictures.device)


def _shapes(sizes: Tensor) -> list[tuple[int, int]]:
    return [(int(height), int(width)) for height, width in sizes.tolist()]


def _pool(
    pool: Any, features: dict[str, Tensor], boxes: Sequence[Tensor], shapes: list[tuple[int, int]]
) -> Tensor:
    """Picture by picture, in a copy: the pooler keeps the scales that it makes up for the first it sees."""
    parts = []
    for i, (some, shape) in enumerate(zip(boxes, shapes, strict=True)):
        fresh = copy.copy(pool)
        fresh.scales = fresh.map_levels = None
        parts.append(fresh({k: v[i : i + 1] for k, v in features.items()}, [some], [shape]))
    return torch.cat(parts)


def _pad(parts: Sequence[Tensor], most: int) -> Tensor:
    """(k, …) tensors as one (N, most, …), zeros after the end of each."""
    empty = (0, 0) * (parts[0].dim() - 1)
    return torch.stack([torch.nn.functional.pad(p, (*empty, 0, most - len(p))) for p in parts])


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
        return heads["cls_logits"], heads["bbox_regression"], anchors.expand(pictures.shape[0], -1, -1)


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
        anchors = anchors.expand(pictures.shape[0], -1, -1)

        best, pairs = [], []
        start, per_cell = 0, scores.shape[1] // sum(cells)
        for count in (n * per_cell for n in cells):
            level = scores[:, start : start + count].flatten(1)
            # A tensor, not `min(…)`: that would become a constant where the network is traced.
            most = torch._shape_as_tensor(level)[1].clamp(max=self.most)
            values, indices = level.topk(most)  # type: ignore[arg-type]
            best.append(values)
            pairs.append(indices + start * classes)
            start += count
        pair = torch.cat(pairs, 1)
        where = (pair // classes)[..., None].expand(-1, -1, 4)
        boxes = heads["bbox_regression"].gather(1, where)
        return torch.cat(best, 1), pair % classes, boxes, anchors.gather(1, where)
