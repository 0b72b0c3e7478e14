"""What torchvision's detectors do between their heads and non-maximum suppression, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from visioncli.models import Array
from visioncli.models.geometry import clip_boxes, decode_boxes, decode_distances, softmax
from visioncli.results import Floats, Ints

# What the box deltas of these heads are divided by.
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
MIN_SIDE = np.float32(1e-2)  # two-stage: boxes thinner than this are dropped


class Candidates(NamedTuple):
    """Boxes (K, 4) in pixels of the network's picture, scores (K,) and labels (K,), before suppression."""

    boxes: Floats
    scores: Floats
    labels: Ints


def two_stage(outputs: Sequence[Array], row: int, size: tuple[int, int], conf: float) -> Candidates:
    """Picture `row` of `tv_networks.TwoStage`: every class of every proposal is a candidate of its own."""
    logits, deltas, proposals, counts = outputs
    count = int(counts[row])
    scores = softmax(logits[row, :count])
    proposal, label = np.nonzero(scores[:, 1:] > np.float64(conf))
    label += 1  # 0 is the background
    chosen = deltas[row, :count].reshape(*scores.shape, 4)[proposal, label]
    boxes = clip_boxes(decode_boxes(chosen, proposals[row, proposal], BOX_WEIGHTS), *size)
    wide = (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE).all(axis=1)
    return Candidates(boxes[wide], scores[proposal, label][wide], label[wide])


def ssd(outputs: Sequence[Array], row: int, size: tuple[int, int], conf: float, most: int) -> Candidates:
    """Picture `row` of `tv_networks.Ssd`: the `most` best anchors of each class."""
    logits, deltas, anchors = outputs
    scores = softmax(logits[row])
    anchor, label = np.nonzero(scores[:, 1:] > np.float64(conf))
    label += 1
    score = scores[anchor, label]
    # By class, best first within each; then the rank within the class.
    order = np.lexsort((-score, label))
    anchor, label, score = anchor[order], label[order], score[order]
    rank = np.arange(len(label)) - np.searchsorted(label, label)
    best = rank < most
    anchor, label, score = anchor[best], label[best], score[best]
    boxes = clip_boxes(decode_boxes(deltas[row, anchor], anchors[row, anchor], BOX_WEIGHTS), *size)
    return Candidates(boxes, score, label)


def retinanet(outputs: Sequence[Array], row: int, size: tuple[int, int], conf: float) -> Candidates:
    """Picture `row` of `tv_networks.Dense` for RetinaNet: deltas from anchors."""
    scores, labels, deltas, anchors = (a[row] for a in outputs)
    good = scores > np.float64(conf)
    boxes = decode_boxes(deltas[good], anchors[good], (1.0, 1.0, 1.0, 1.0))
    return Candidates(clip_boxes(boxes, *size), scores[good], labels[good])


def fcos(outputs: Sequence[Array], row: int, size: tuple[int, int], conf: float) -> Candidates:
    """Picture `row` of `tv_networks.Dense` for FCOS: distances from the centres of the anchors."""
    scores, labels, distances, anchors = (a[row] for a in outputs)
    good = scores > np.float64(conf)
    boxes = decode_distances(distances[good], anchors[good])
    return Candidates(clip_boxes(boxes, *size), scores[good], labels[good])
