"""The figures: confusion, letterbox and the start network's known top-1."""

from pathlib import Path

import numpy as np
import pytest
import torch

from visioncli.train.mini.evaluate import coco_names, confusion, letterbox, miou


def test_confusion_leaves_255_out() -> None:
    truth, answer = np.array([[0, 1], [255, 1]]), np.array([[0, 1], [1, 0]])
    assert confusion(truth, answer, 2).tolist() == [[1, 0], [1, 1]]


def test_letterbox_keeps_the_shape_and_pads_below_and_right() -> None:
    picture = np.full((100, 200, 3), 7, np.uint8)
    out, scale = letterbox(picture, 320)
    assert out.shape == (160, 320, 3) and scale == 1.6
    out, _ = letterbox(picture[:90], 320)
    assert out.shape == (160, 320, 3) and (out[:144] == 7).all() and (out[144:] == 114).all()


def test_names_are_coco_order(data: Path) -> None:
    names = coco_names(data / "coco")
    assert len(names) == 80 and names[0] == "person" and names[79] == "toothbrush"


class Nothing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out = torch.zeros(1, 21, x.shape[2] // 4, x.shape[3] // 4)
        out[:, 0] = 1
        return out, out, out, out


@pytest.mark.slow
def test_all_background_is_one_class_of_many(data: Path) -> None:
    assert miou(Nothing(), data / "voc", 160) == pytest.approx(0.7 / 20, abs=0.01)
