"""Assignment and losses: a perfect answer costs next to nothing, ignored cells cost nothing."""

import math

import pytest
import torch

from visioncli.models.mini_net import BINS
from visioncli.train.mini.evaluate import decode, points
from visioncli.train.mini.losses import answer_loss, assign, detection_loss, mask_loss, pair_iou

SHAPE = (64, 96)
BOX = torch.tensor([[3.0, 20.0, 10.0, 70.0, 50.0]])  # class 3


def perfect(truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that say exactly `truth` (one box) in every cell inside it."""
    centres, strides = points(*SHAPE)
    inside = ((centres > truth[0, 1:3]) & (centres < truth[0, 3:])).all(1)
    sides = torch.zeros(1, 4 * BINS, len(centres))
    distance = torch.cat([centres - truth[0, 1:3], truth[0, 3:] - centres], 1) / strides[:, None]
    for a in torch.nonzero(inside).flatten().tolist():
        for k in range(4):
            d = min(max(float(distance[a, k]), 0.0), BINS - 1.01)
            low = math.floor(d)
            sides[0, k * BINS : (k + 1) * BINS, a] = -30
            sides[0, k * BINS + low, a] = math.log(max(1 - d + low, 1e-9))
            sides[0, k * BINS + low + 1, a] = math.log(max(d - low, 1e-9))
    logits = torch.full((1, 80, len(centres)), -12.0)
    logits[0, 3, inside] = 12
    return sides, logits


def test_decode_inverts_the_sides() -> None:
    sides, logits = perfect(BOX)
    boxes = decode(sides, *points(*SHAPE))[0]
    reachable = logits[0, 3] > 0
    reachable[:96] &= (
        False  # stride 8 cells reach 15 strides: all of this box, but keep to the coarser ones here
    )
    assert torch.allclose(boxes[reachable], BOX[0, 1:].expand(int(reachable.sum()), 4), atol=0.05)


def test_assignment_takes_cells_inside_and_prefers_good_boxes() -> None:
    sides, logits = perfect(BOX)
    centres, strides = points(*SHAPE)
    a = assign(logits[0].T.sigmoid(), decode(sides, centres, strides)[0], BOX, centres, strides)
    assert 0 < len(a.cells) <= 10
    assert ((centres[a.cells] > BOX[0, 1:3]) & (centres[a.cells] < BOX[0, 3:])).all()
    assert (a.classes == 3).all() and float(a.scores.max()) == pytest.approx(1.0, abs=0.02)


def test_before_anything_is_learnt_every_box_has_cells_and_each_cell_one_box() -> None:
    centres, strides = points(*SHAPE)
    truth = torch.tensor([[0, 10, 10, 14, 13], [1, 20, 10, 60, 60], [2, 40, 12, 88, 58.0]])
    a = assign(torch.full((len(centres), 80), 0.01), torch.zeros(len(centres), 4), truth, centres, strides)
    assert set(a.classes.tolist()) == {0, 1, 2}
    assert len(set(a.cells.tolist())) == len(a.cells)


def test_a_perfect_answer_costs_little_and_a_wrong_one_much() -> None:
    sides, logits = perfect(BOX)
    good = detection_loss(sides, logits, [BOX], [BOX[:0]], SHAPE)
    moved = BOX.clone()
    moved[:, 1:] += 12
    bad = detection_loss(sides, logits, [moved], [BOX[:0]], SHAPE)
    assert float(good["box"]) < 0.1
    assert float(bad["box"]) > 10 * float(good["box"])


def test_ignored_boxes_cost_nothing_for_their_class_only() -> None:
    sides, logits = perfect(BOX)
    none = BOX[:0]
    punished = detection_loss(sides, logits, [none], [none], SHAPE)["cls"]
    ignored = detection_loss(sides, logits, [none], [BOX], SHAPE)["cls"]
    other = BOX.clone()
    other[:, 0] = 4
    still = detection_loss(sides, logits, [none], [other], SHAPE)["cls"]
    assert float(ignored) < 0.1 < float(punished)
    assert float(still) == pytest.approx(float(punished), rel=1e-3)
    other[:, 0] = -1
    assert float(detection_loss(sides, logits, [none], [other], SHAPE)["cls"]) < 0.1


def test_complete_iou() -> None:
    a = torch.tensor([0.0, 0, 10, 10])
    assert float(pair_iou(a, a, complete=True)) == pytest.approx(1.0, abs=1e-5)
    assert float(pair_iou(a, a + 20, complete=True)) < 0  # apart: still a slope


def test_mask_loss_leaves_the_unknown_out() -> None:
    logits = torch.zeros(1, 21, 2, 2)
    logits[0, 5, 0, 0] = 50
    masks = torch.tensor([[[5, 255], [255, 255]]])
    assert float(mask_loss(logits, masks)) < 1e-6
    assert float(mask_loss(logits, torch.full_like(masks, 255))) == 0


def test_answer_loss_is_zero_for_the_same_answer() -> None:
    x = torch.randn(3, 1000)
    assert float(answer_loss(x, x)) == pytest.approx(0, abs=1e-5)
    assert float(answer_loss(x, x.flip(1))) > 0.1
