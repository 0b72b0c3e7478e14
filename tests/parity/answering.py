"""Networks with seeded weights that answer: a parity test of boxes proves nothing where there are none.

Batch norms take their statistics from real pictures; then the last layers are scaled, channel by channel, so
that their outputs have a chosen mean and spread on these pictures: every class gets its chance, scores reach
from nothing to nearly one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from visioncli.results import Detections

# Layers to scale in one pass, by name, and the mean and the standard deviation that they shall get.
Stage = dict[str, tuple[float, float]]
MIN_BOXES, MIN_LABELS = 20, 3
# Fewer values than this of a channel say nothing about its spread: then all channels share one.
FEW = 16

# In the order of the forward pass: what the second stage of Faster R-CNN sees depends on the first.
TORCHVISION_STAGES: dict[str, list[Stage]] = {
    "fasterrcnn": [
        {"rpn.head.cls_logits": (0.0, 2.0), "rpn.head.bbox_pred": (0.0, 0.3)},
        {"roi_heads.box_predictor.cls_score": (0.0, 3.5), "roi_heads.box_predictor.bbox_pred": (0.0, 1.0)},
    ],
    "maskrcnn": [
        {"rpn.head.cls_logits": (0.0, 2.0), "rpn.head.bbox_pred": (0.0, 0.3)},
        {"roi_heads.box_predictor.cls_score": (0.0, 3.5), "roi_heads.box_predictor.bbox_pred": (0.0, 1.0)},
        {"roi_heads.mask_predictor": (0.0, 2.0)},
    ],
    "ssd": [
        {"head.classification_head.module_list": (0.0, 3.0), "head.regression_head.module_list": (0.0, 1.0)}
    ],
    "retinanet": [
        {"head.classification_head.cls_logits": (-7.0, 2.0), "head.regression_head.bbox_reg": (0.0, 0.3)}
    ],
    "fcos": [
        {
            "head.classification_head.cls_logits": (-7.0, 2.0),
            "head.regression_head.bbox_reg": (2.0, 1.0),
            "head.regression_head.bbox_ctrness": (0.0, 1.0),
        }
    ],
}


def make_answer(model: nn.Module, run: Callable[[], object], stages: Sequence[Stage]) -> nn.Module:
    """`model` in evaluation mode, its norms calibrated and its heads scaled on what `run()` feeds it.

    A name that is a list or a sequence of layers means the last convolution or linear layer of each.
    """
    model.eval().requires_grad_(False)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
    with _hooks([m.register_forward_pre_hook(_Calibrate()) for m in norms]), torch.no_grad():
        run()
    for stage in stages:
        layers = [(layer, goal) for name, goal in stage.items() for layer in _last(model.get_submodule(name))]
        looks = [_Look() for _ in layers]
        with (
            _hooks([m.register_forward_hook(look) for (m, _), look in zip(layers, looks, strict=True)]),
            torch.no_grad(),
        ):
            run()
        for (layer, (mean, std)), look in zip(layers, looks, strict=True):
            _scale(layer, look.seen, mean, std)
    return model


@contextmanager
def _hooks(handles: list[RemovableHandle]) -> Iterator[None]:
    yield
    for handle in handles:
        handle.remove()


class _Calibrate:
    """Before a norm runs: its statistics become the mean of those of all it has been given."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, norm: nn.Module, inputs: tuple[Tensor]) -> None:
        if not len(inputs[0]):
            return
        values = inputs[0].transpose(0, 1).flatten(1)
        self.count += 1
        mean = values.mean(1)
        norm.running_mean.lerp_(mean, 1 / self.count)
        norm.running_var.lerp_(_spread(values, mean) ** 2, 1 / self.count)


class _Look:
    """Keeps what a layer says, channels first."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, _: nn.Module, __: object, output: Tensor) -> None:
        channels_first = output.transpose(0, 1) if output.dim() == 4 else output.movedim(-1, 0)
        self.seen.append(channels_first.flatten(1))


def _last(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, nn.ModuleList):
        return [layer for child in module for layer in _last(child)]
    return [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)][-1:]


def _spread(values: Tensor, mean: Tensor) -> Tensor:
    """Root mean square distance from `mean` (C,) of each channel of (C, n) values."""
    squares = (values - mean[:, None]) ** 2
    return squares.mean(1).sqrt() if values.shape[1] >= FEW else squares.mean().sqrt().expand(len(mean))


def _scale(layer: nn.Module, seen: list[Tensor], mean: float, std: float) -> None:
    """Give each channel of a layer that said (C, n) values this mean, and at most this deviation.

    A head that works on several levels says more on some than on others: the loudest one decides, or its
    scores would all be one.
    """
    means = torch.cat(seen, 1).mean(1)
    gain = std / torch.stack([_spread(values, means) for values in seen]).amax(0).clamp(min=1e-6)
    layer.weight.data *= gain.reshape(-1, *[1] * (layer.weight.dim() - 1))
    layer.bias.data = mean + (layer.bias.data - means) * gain


def torchvision_answer(model: nn.Module, factory: str, pictures: Sequence[np.ndarray]) -> nn.Module:
    """torchvision's detector `factory` made to answer on `pictures` (H, W, 3) uint8."""
    tensors = [to_tensor(p) for p in pictures]
    stages = next(stages for name, stages in TORCHVISION_STAGES.items() if factory.startswith(name))

    def run() -> None:  # one after the other: the library pads a list to a common size
        for tensor in tensors:
            model([tensor])

    if factory.startswith("maskrcnn"):  # the mask head sees nothing before there are boxes
        make_answer(model, run, stages[:-1])
        stages = stages[-1:]
    return make_answer(model, run, stages)


def to_tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W) in 0..1, as torchvision's detectors take it."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255


def assert_answers(scores: np.ndarray, labels: np.ndarray) -> None:
    """The reference says enough for a comparison to mean something."""
    assert len(scores) >= MIN_BOXES, f"only {len(scores)} boxes"
    assert len(np.unique(labels)) >= MIN_LABELS, f"only {len(np.unique(labels))} labels"
    assert len(np.unique(scores)) == len(scores), "equal scores: the order is left to chance"


@dataclass(frozen=True)
class Difference:
    """How far apart two answers with the same labels are: pixels, and scores."""

    boxes: float
    scores: float


def compare(ours: Detections, theirs: Detections) -> Difference:
    """Pairs boxes of the same label, nearest first; AssertionError where counts or labels differ.

    Order is not compared: scores that are equal but for rounding may swap places.
    """
    assert len(ours) == len(theirs), f"{len(ours)} boxes, theirs {len(theirs)}"
    assert sorted(ours.classes) == sorted(theirs.classes)
    boxes, scores = 0.0, 0.0
    for label in np.unique(ours.classes):
        a, b = ours[ours.classes == label], theirs[theirs.classes == label]
        distance = np.abs(a.boxes[:, None] - b.boxes[None]).max(-1)
        for _ in range(len(a)):
            i, j = np.unravel_index(np.argmin(distance), distance.shape)
            boxes = max(boxes, float(distance[i, j]))
            scores = max(scores, float(abs(a.scores[i] - b.scores[j])))
            distance[i], distance[:, j] = np.inf, np.inf
    return Difference(boxes, scores)


def clear_threshold(scores: np.ndarray, *others: np.ndarray) -> float:
    """A threshold that leaves 25 to 60 of `scores`, in the widest gap between those and `others` there.

    Seeded networks see hundreds of overlapping objects; with all of them, rounding decides somewhere which of
    two equal boxes suppresses the other.
    """
    best = np.sort(scores)[::-1][MIN_BOXES + 4 : 60]
    assert len(best) > 1, f"only {len(scores)} scores"
    every = np.sort(np.concatenate((scores, *others)))
    every = every[(every >= best[-1]) & (every <= best[0])]
    gap = int(np.argmax(np.diff(every)))
    return float(every[gap] + every[gap + 1]) / 2


def read_pictures(folder: Path, count: int, side: int | None = None) -> list[np.ndarray]:
    """The first `count` pictures of a folder as (H, W, 3) uint8, the longer side at most `side`."""
    from PIL import Image

    pictures = []
    for path in sorted(folder.iterdir())[:count]:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
            if side is not None:
                rgb.thumbnail((side, side))
            pictures.append(np.asarray(rgb))
    return pictures
