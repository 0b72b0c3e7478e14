"""What training minimises: boxes and classes with task-aligned assignment, masks, and agreement with the
start network.

Assignment: Feng et al. 2021, "TOOD" (score^a · IoU^b, the best `TOP` cells inside a box). Boxes: complete
IoU (Zheng et al. 2020) and distribution focal loss (Li et al. 2020). Weights of the parts as in
Ultralytics' YOLO: 7.5, 0.5, 1.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from visioncli.models.mini_net import BINS
from visioncli.train.mini.evaluate import decode, points

TOP = 10
SCORE_POWER, IOU_POWER = 0.5, 6.0


def pair_iou(a: Tensor, b: Tensor, *, complete: bool = False) -> Tensor:
    """IoU of boxes (..., 4), broadcast; `complete`: less the terms for distance and aspect (CIoU)."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    side_a, side_b = (a[..., 2:] - a[..., :2]).clamp(min=0), (b[..., 2:] - b[..., :2]).clamp(min=0)
    iou = inter / (side_a.prod(-1) + side_b.prod(-1) - inter + 1e-7)
    if not complete:
        return iou
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) ** 2).sum(-1) / 4
    angle = (4 / math.pi**2) * (
        torch.atan(side_b[..., 0] / (side_b[..., 1] + 1e-7))
        - torch.atan(side_a[..., 0] / (side_a[..., 1] + 1e-7))
    ) ** 2
    with torch.no_grad():
        alpha = angle / (angle - iou + 1 + 1e-7)
    return iou - apart / ((hull**2).sum(-1) + 1e-7) - alpha * angle


@dataclass
class Assigned:
    """One picture's `cells` (P,), their boxes `targets` (P, 4), `classes` (P,), soft `scores` (P,)."""

    cells: Tensor
    targets: Tensor
    classes: Tensor
    scores: Tensor


def assign(scores: Tensor, boxes: Tensor, truth: Tensor, centres: Tensor, strides: Tensor) -> Assigned:
    """Which cells answer for which of `truth` (G, 5), by scores (A, C) and boxes (A, 4) as they are now."""
    classes, target = truth[:, 0].long(), truth[:, 1:]
    # a box smaller than a cell still holds the nearest cell's centre
    middle, half = (target[:, :2] + target[:, 2:]) / 2, (target[:, 2:] - target[:, :2]) / 2
    reach = half.clamp(min=float(strides.min()) / 2)[:, None]
    inside = ((centres[None] - middle[:, None]).abs() < reach).all(-1)  # (G, A)
    iou = pair_iou(target[:, None], boxes[None])
    metric = scores[:, classes].T ** SCORE_POWER * iou**IOU_POWER * inside
    # before anything overlaps, the nearest cells: a little for being near the middle
    near = (centres[None] - middle[:, None]).norm(dim=-1) / strides
    metric = metric + inside * 1e-9 / (1 + near)
    top, index = metric.topk(min(TOP, metric.shape[1]), dim=1)
    chosen = torch.zeros_like(metric).scatter_(1, index, (top > 0).to(metric.dtype)) * inside
    owner = (chosen * (iou + 1e-6)).argmax(0)
    cells = torch.nonzero(chosen.any(0)).flatten()
    owner = owner[cells]
    kept = torch.zeros_like(metric)
    kept[owner, cells] = metric[owner, cells]
    best_metric, best_iou = kept.amax(1), (iou * (kept > 0)).amax(1)
    soft = metric[owner, cells] / (best_metric[owner] + 1e-12) * best_iou[owner]
    return Assigned(cells, target[owner], classes[owner], soft)


def ignored(rows: Tensor, centres: Tensor, classes: int) -> Tensor:
    """(A, classes) bool: cells in ignored boxes (I, 5), for the box's class (-1: every class)."""
    out = torch.zeros(len(centres), classes, dtype=torch.bool, device=centres.device)
    for row in rows:
        inside = ((centres >= row[1:3]) & (centres <= row[3:])).all(1)
        c = int(row[0])
        if c < 0:
            out[inside] = True
        else:
            out[inside, c] = True
    return out


def detection_loss(
    sides: Tensor, logits: Tensor, boxes: list[Tensor], ignore: list[Tensor], shape: tuple[int, int]
) -> dict[str, Tensor]:
    """The weighted parts box, cls and dfl for side logits (N, 64, A) and class logits (N, C, A)."""
    centres, strides = points(*shape, device=sides.device)
    sides, logits = sides.float(), logits.float().transpose(1, 2)
    found = decode(sides, centres, strides)
    target = torch.zeros_like(logits)
    weight = torch.ones_like(logits)
    pick, want, share = [], [], []
    with torch.no_grad():
        scores = logits.sigmoid()
        for n, (truth, doubt) in enumerate(zip(boxes, ignore, strict=True)):
            if len(doubt):
                weight[n][ignored(doubt, centres, logits.shape[2])] = 0
            if not len(truth):
                continue
            a = assign(scores[n], found[n], truth, centres, strides)
            target[n, a.cells, a.classes] = a.scores
            weight[n, a.cells, a.classes] = 1
            pick.append(torch.stack([torch.full_like(a.cells, n), a.cells]))
            want.append(a.targets)
            share.append(a.scores)
    total = target.sum().clamp(min=1)
    cls = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).sum() / total
    if not pick:
        zero = sides.sum() * 0
        return {"box": zero, "cls": 0.5 * cls, "dfl": zero}
    (picture, cell), wanted, shares = torch.cat(pick, 1), torch.cat(want), torch.cat(share)
    box = ((1 - pair_iou(found[picture, cell], wanted, complete=True)) * shares).sum() / total
    centre, stride = centres[cell], strides[cell, None]
    distance = torch.cat([centre - wanted[:, :2], wanted[:, 2:] - centre], 1) / stride
    distance = distance.clamp(0, BINS - 1 - 0.01)
    low = distance.floor()
    rest = distance - low
    side = sides[picture, :, cell].view(-1, 4, BINS).log_softmax(-1)
    at_low = side.gather(2, low.long()[..., None])[..., 0]
    at_high = side.gather(2, low.long()[..., None] + 1)[..., 0]
    dfl = (-(at_low * (1 - rest) + at_high * rest).mean(1) * shares).sum() / total
    return {"box": 7.5 * box, "cls": 0.5 * cls, "dfl": 1.5 * dfl}


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy of mask logits (N, 21, h, w) with classes (N, h, w), 255 left out, background halved."""
    classes = logits.shape[1]
    weight = torch.full((classes,), 1.0, device=logits.device)
    weight[0] = 0.5  # background is most of every picture
    known = (masks != 255).sum()
    if known == 0:
        return logits.sum() * 0
    return F.cross_entropy(logits.float(), masks, weight=weight, ignore_index=255)


def answer_loss(logits: Tensor, answers: Tensor, temperature: float = 2.0) -> Tensor:
    """Divergence from the start network's answers, both (N, 1000) logits (Hinton et al. 2015)."""
    ours = (logits.float() / temperature).log_softmax(1)
    theirs = (answers / temperature).log_softmax(1)
    return F.kl_div(ours, theirs, log_target=True, reduction="batchmean") * temperature**2
