"""Training pictures: labels stay on their objects, and a step is always the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from visioncli.train.mini.data import Batches, Recipe, Source

PLAIN = Recipe(colour=0.0)


def check_boxes(picture: np.ndarray, boxes: np.ndarray, ignore: np.ndarray) -> int:
    """Each object's extent, found by colour, is its box within two pixels (if nothing is beside it)."""
    seen = 0
    for i, row in enumerate(boxes):
        x1, y1, x2, y2 = row[1:]
        if min(x1, y1) < 3 or x2 > picture.shape[1] - 3 or y2 > picture.shape[0] - 3:
            continue
        others = np.concatenate([np.delete(boxes, i, 0), ignore])[:, 1:]
        apart = (
            (others[:, 0] > x2 + 4)
            | (others[:, 2] < x1 - 4)
            | (others[:, 1] > y2 + 4)
            | (others[:, 3] < y1 - 4)
        )
        if not apart.all():
            continue
        part = picture[int(y1) - 3 : int(y2) + 3, int(x1) - 3 : int(x2) + 3].astype(int)
        hit = part[..., 0] - part[..., 2] > 60 if row[0] == 0 else part[..., 2] - part[..., 0] > 60
        ys, xs = np.nonzero(hit)
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        found += np.array([int(x1) - 3, int(y1) - 3] * 2)
        assert np.abs(found - row[1:]).max() < 2.5
        seen += 1
    return seen


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_boxes_stay_on_their_objects(packed: Path, mosaic: float) -> None:
    source, rng, seen = Source(packed), np.random.default_rng(1), 0
    for i in range(30):
        s = source.sample(i % len(source), 256, 320, rng, Recipe(colour=0.0, mosaic=mosaic))
        assert s.picture.shape == (256, 320, 3) and s.mask.shape == (64, 80)
        boxes = s.boxes[:, 1:]
        assert (boxes >= 0).all() and (boxes <= [320, 256, 320, 256]).all()
        seen += check_boxes(s.picture, s.boxes, s.ignore)
    assert seen > 20


def test_masks_lie_on_their_objects(packed: Path) -> None:
    source, rng = Source(packed), np.random.default_rng(2)
    for i in range(0, 12, 2):
        s = source.piece(i, 256, 320, rng, PLAIN)
        small = s.picture[2::4, 2::4].astype(int)
        red, blue = small[..., 0] - small[..., 2] > 60, small[..., 2] - small[..., 0] > 60
        assert (s.mask[red] == 15).mean() > 0.9 and (s.mask[blue] == 7).mean() > 0.9


def test_what_is_cut_off_is_ignored_not_absent(packed: Path) -> None:
    source, rng = Source(packed), np.random.default_rng(3)
    cut = 0
    for _ in range(40):
        s = source.piece(0, 64, 64, rng, Recipe(zoom=(3.0, 4.0), keep=0.9))
        cut += len(s.ignore)
    assert cut > 5


def make(packed: Path, step: int, steps: int) -> Batches:
    return Batches(packed, size=160, batch=2, crops=2, step=step, steps=steps, seed=5, recipe=Recipe())


def test_a_step_sees_the_same_wherever_the_run_began(packed: Path) -> None:
    whole, later = list(make(packed, 0, 9)), list(make(packed, 6, 9))
    for a, b in zip(whole[6:], later, strict=True):
        assert (
            torch.equal(a.pictures, b.pictures)
            and torch.equal(a.masks, b.masks)
            and torch.equal(a.crops, b.crops)
        )
        assert all(torch.equal(p, q) for p, q in zip(a.boxes, b.boxes, strict=True))


def test_parts_make_the_whole(packed: Path) -> None:
    whole = next(iter(make(packed, 2, 3)))
    for place in range(2):
        part = make(packed, 2, 3)
        part.part = slice(place, None, 2)
        half = next(iter(part))
        assert torch.equal(half.pictures, whole.pictures[place : place + 1])
        assert torch.equal(half.crops, whole.crops[place : place + 1])


def test_workers_do_not_change_the_order(packed: Path) -> None:
    alone = list(torch.utils.data.DataLoader(make(packed, 3, 8), batch_size=None))
    shared = list(torch.utils.data.DataLoader(make(packed, 3, 8), batch_size=None, num_workers=2))
    assert len(alone) == len(shared) == 5
    assert all(torch.equal(a.pictures, b.pictures) for a, b in zip(alone, shared, strict=True))


def test_a_pass_uses_each_photograph_once(packed: Path) -> None:
    source = Source(packed)
    rows = [i for _, rows in make(packed, 0, 1).plan(source, 0) for i in rows]
    assert len(rows) == len(set(rows)) == 12
    assert sorted(source.rows(2)) == sorted([*range(12)] * 2)  # all of them are labelled completely
