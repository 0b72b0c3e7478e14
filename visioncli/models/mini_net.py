"""The network of `mini`: one light body, three heads (classify, detect, segment). Pure torch.

The body is EfficientNet-Lite0 (Tan and Le 2019; the Lite variant has no squeeze-excite and uses ReLU6) with
symmetric padding, which compiled networks run about three times as fast as TensorFlow's. On it: a small
path-aggregation neck, anchor-free heads whose box sides are distributions (Li et al. 2020, "Generalized Focal
Loss"), and a semantic head on strides 4 and 8 gated by the whole picture (after LR-ASPP, Howard et al. 2019).

Outputs are raw: nothing after the last convolution but pooling and reshaping, so that decoding is numpy's
and a compiled network has no shape of picture baked in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

MEAN, STD = 127 / 255, 128 / 255
BINS = 16
STRIDES = (8, 16, 32)
WIDTH = 96
TASKS = ("classify", "detect", "segment")

# kernel, stride, expansion, channels, repeats
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
TAPS = (1, 2, 4, 6)  # stages whose outputs have strides 4, 8, 16 and 32


class Unit(nn.Module):
    """Convolution, batch norm (folded into the convolution for use), activation.

    `frozen`: training with the norm's statistics held and folded into the weight on the fly, which costs
    nothing per pixel; scale and shift still learn. `depthwise`: what training convolves with where `groups`
    is not 1.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 1,
        s: int = 1,
        *,
        groups: int = 1,
        act: str = "silu",
        folded: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, groups=groups, bias=folded)
        self.norm = None if folded else nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03)
        self.act = {"silu": nn.SiLU(True), "relu6": nn.ReLU6(True), "none": nn.Identity()}[act]
        self.frozen = False
        self.depthwise: Callable[[Tensor, Tensor, Tensor | None, int], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, c1, H, W) to (N, c2, H/s, W/s)."""
        if self.norm is None:
            x = self.conv(x)
        elif self.frozen:
            x = self._convolve(x, *self.fold())
        else:
            x = self.norm(self._convolve(x, self.conv.weight, None))
        out: Tensor = self.act(x)
        return out

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        conv = self.conv
        if self.depthwise is None or conv.groups == 1:
            return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        return self.depthwise(x, weight, bias, conv.stride[0])

    def fold(self) -> tuple[Tensor, Tensor]:
        """The weight and bias that make the norm unnecessary."""
        norm = self.norm
        if norm is None or norm.running_mean is None or norm.running_var is None:
            raise ValueError("this unit is folded already")
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        return self.conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


class Inverted(nn.Module):
    """MobileNetV2's block: widen, depthwise, narrow; with the input added where the shapes agree."""

    def __init__(self, c1: int, c2: int, k: int, s: int, expand: int, *, folded: bool) -> None:
        super().__init__()
        c = c1 * expand
        wide = Unit(c1, c, act="relu6", folded=folded)
        self.units = nn.Sequential(
            *([wide] if expand > 1 else []),
            Unit(c, c, k, s, groups=c, act="relu6", folded=folded),
            Unit(c, c2, act="none", folded=folded),
        )
        self.add = s == 1 and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        """(N, c1, H, W) to (N, c2, H/s, W/s)."""
        out: Tensor = self.units(x)
        return x + out if self.add else out


class Body(nn.Module):
    """EfficientNet-Lite0 up to its last stage."""

    def __init__(self, *, folded: bool) -> None:
        super().__init__()
        self.stem = Unit(3, 32, 3, 2, act="relu6", folded=folded)
        stages, c = [], 32
        for k, s, expand, c2, repeats in STAGES:
            blocks = []
            for i in range(repeats):
                blocks.append(Inverted(c, c2, k, s if i == 0 else 1, expand, folded=folded))
                c = c2
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to features of 24, 40, 112 and 320 channels at strides 4, 8, 16 and 32."""
        taps = []
        x = self.stem(x)
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                taps.append(x)
        return taps


class Join(nn.Module):
    """Two maps of `WIDTH` channels to one: narrowed, then a residual pair of 3×3 convolutions."""

    def __init__(self, *, folded: bool) -> None:
        super().__init__()
        self.narrow = Unit(2 * WIDTH, WIDTH, folded=folded)
        self.pair = nn.Sequential(
            Unit(WIDTH, WIDTH // 2, 3, folded=folded), Unit(WIDTH // 2, WIDTH, 3, folded=folded)
        )

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, WIDTH, H, W) twice to one of the same shape."""
        x = self.narrow(torch.cat([a, b], 1))
        out: Tensor = x + self.pair(x)
        return out


class Neck(nn.Module):
    """Path aggregation (Liu et al. 2018): coarse to fine and back."""

    def __init__(self, *, folded: bool) -> None:
        super().__init__()
        self.lateral = nn.ModuleList([Unit(c, WIDTH, folded=folded) for c in (40, 112, 320)])
        self.up = nn.ModuleList([Join(folded=folded) for _ in range(2)])
        self.shrink = nn.ModuleList([Unit(WIDTH, WIDTH, 3, 2, groups=WIDTH, folded=folded) for _ in range(2)])
        self.down = nn.ModuleList([Join(folded=folded) for _ in range(2)])

    def forward(self, taps: Sequence[Tensor]) -> list[Tensor]:
        """Features at strides 8, 16 and 32 to maps of `WIDTH` channels at the same strides."""
        c3, c4, c5 = (lateral(t) for lateral, t in zip(self.lateral, taps, strict=True))
        p4 = self.up[0](c4, F.interpolate(c5, scale_factor=2.0))
        p3 = self.up[1](c3, F.interpolate(p4, scale_factor=2.0))
        n4 = self.down[0](p4, self.shrink[0](p3))
        n5 = self.down[1](c5, self.shrink[1](n4))
        return [p3, n4, n5]


class DetectHead(nn.Module):
    """Box sides and class scores of every cell, one pair of branches a stride."""

    def __init__(self, classes: int, *, folded: bool) -> None:
        super().__init__()
        c = 4 * BINS
        self.box = nn.ModuleList(
            nn.Sequential(Unit(WIDTH, c, 3, folded=folded), Unit(c, c, 3, folded=folded), nn.Conv2d(c, c, 1))
            for _ in STRIDES
        )
        self.score = nn.ModuleList(
            nn.Sequential(
                Unit(WIDTH, WIDTH, 3, groups=WIDTH, folded=folded),
                Unit(WIDTH, WIDTH, folded=folded),
                Unit(WIDTH, WIDTH, 3, groups=WIDTH, folded=folded),
                Unit(WIDTH, WIDTH, folded=folded),
                nn.Conv2d(WIDTH, classes, 1),
            )
            for _ in STRIDES
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Neck maps to side logits (N, 4·BINS, A) and class logits (N, classes, A), fine cells first."""
        boxes = [branch(m).flatten(2) for branch, m in zip(self.box, maps, strict=True)]
        scores = [branch(m).flatten(2) for branch, m in zip(self.score, maps, strict=True)]
        return torch.cat(boxes, 2), torch.cat(scores, 2)


class SegmentHead(nn.Module):
    """A class for every fourth pixel each way."""

    def __init__(self, classes: int, *, folded: bool) -> None:
        super().__init__()
        self.fine = Unit(24, 32, folded=folded)
        self.coarse = Unit(WIDTH, WIDTH, folded=folded)
        self.gate = nn.Conv2d(WIDTH, WIDTH, 1)
        self.mix = nn.Sequential(
            Unit(WIDTH + 32, WIDTH + 32, 3, groups=WIDTH + 32, folded=folded),
            Unit(WIDTH + 32, 64, folded=folded),
        )
        self.last = nn.Conv2d(64, classes, 1)

    def forward(self, tap: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """The stride-4 features and the neck's maps to class logits (N, classes, H/4, W/4)."""
        context = self.gate(maps[2].mean((2, 3), keepdim=True)).sigmoid()
        coarse = F.interpolate(self.coarse(maps[0]) * context, scale_factor=2.0, mode="bilinear")
        out: Tensor = self.last(self.mix(torch.cat([self.fine(tap), coarse], 1)))
        return out


class ClassifyHead(nn.Module):
    """EfficientNet's own: widen, pool, one linear layer."""

    def __init__(self, classes: int, *, folded: bool) -> None:
        super().__init__()
        self.widen = Unit(320, 1280, act="relu6", folded=folded)
        self.last = nn.Linear(1280, classes)

    def forward(self, tap: Tensor) -> Tensor:
        """Stride-32 features to class logits (N, classes)."""
        out: Tensor = self.last(self.widen(tap).mean((2, 3)))
        return out


class MiniNet(nn.Module):
    """The whole network, or as much of it as `tasks` need.

    `forward` takes RGB (N, 3, H, W) in 0..1, H and W multiples of 32, and returns, in this order and only for
    `tasks`: class logits (N, 1000); side logits (N, 64, A) and class logits (N, 80, A); mask logits
    (N, 21, H/4, W/4). `folded`: without batch norms, as shipped; training wants them.
    """

    def __init__(
        self,
        tasks: Sequence[str] = TASKS,
        *,
        classes: tuple[int, int, int] = (1000, 80, 21),
        folded: bool = True,
    ) -> None:
        super().__init__()
        self.tasks = frozenset(tasks)
        if not self.tasks or self.tasks - set(TASKS):
            raise ValueError(f"tasks are some of {', '.join(TASKS)}, not {', '.join(tasks) or 'none'}")
        self.body = Body(folded=folded)
        if "classify" in self.tasks:
            self.classify = ClassifyHead(classes[0], folded=folded)
        if self.tasks & {"detect", "segment"}:
            self.neck = Neck(folded=folded)
        if "detect" in self.tasks:
            self.detect = DetectHead(classes[1], folded=folded)
        if "segment" in self.tasks:
            self.segment = SegmentHead(classes[2], folded=folded)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        outputs: list[Tensor] = []
        taps = self.body((x - MEAN) / STD)
        if "classify" in self.tasks:
            outputs.append(self.classify(taps[3]))
        if self.tasks & {"detect", "segment"}:
            maps = self.neck(taps[1:])
        if "detect" in self.tasks:
            outputs.extend(self.detect(maps))
        if "segment" in self.tasks:
            outputs.append(self.segment(taps[0], maps))
        return tuple(outputs)


def folded_state(net: MiniNet) -> dict[str, Tensor]:
    """The state of the folded twin of a training network: what is shipped."""
    state = {k: v for k, v in net.state_dict().items() if ".norm." not in k}
    for name, module in net.named_modules():
        if isinstance(module, Unit) and module.norm is not None:
            state[f"{name}.conv.weight"], state[f"{name}.conv.bias"] = (t.detach() for t in module.fold())
    return state


def load_state(state: Mapping[str, Tensor], tasks: Sequence[str] = TASKS) -> MiniNet:
    """The folded network for `tasks`, fp32, evaluation mode, from a whole state with norms or without."""
    state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    if any(".norm." in k for k in state):
        whole = MiniNet(folded=False)
        whole.load_state_dict(state)
        state = folded_state(whole)
    net = MiniNet(tasks)
    net.load_state_dict({k: state[k] for k in net.state_dict()})
    return net.eval()


def load_mini(path: Path, tasks: Sequence[str] = TASKS) -> MiniNet:
    """The network in a file that `visioncli.train.mini.export` wrote."""
    from safetensors.torch import load_file

    return load_state(load_file(path), tasks)
