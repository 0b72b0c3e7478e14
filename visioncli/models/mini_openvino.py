"""The network of `mini` in OpenVINO's operations: the same as `mini_net.py`, without torch.

So the first run on a machine needs neither torch's import nor a conversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visioncli.results import Floats
from visioncli.runtime._openvino import openvino

MEAN, STD = 127 / 255, 128 / 255
STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)
TAPS = (1, 2, 4, 6)  # stages whose outputs have strides 4, 8, 16 and 32
EPSILON = 1e-3  # of the batch norms, where the file still has them
# The last layer of each head: its rows are the classes.
LAST = {"classify": ("last",), "detect": ("score.0.4", "score.1.4", "score.2.4"), "segment": ("last",)}


def model(path: Path, head: str, chosen: Sequence[int] | None) -> Any:
    """The `openvino.Model` of one head, for uint8 (N, H, W, 3); of its classes only the `chosen`."""
    from safetensors.numpy import load_file

    state = load_file(path)
    if chosen is not None:
        for name in (f"{head}.{last}.{part}" for last in LAST[head] for part in ("weight", "bias")):
            state[name] = state[name][list(chosen)]
    ov = openvino()
    from openvino import op, opset13

    network = _Network(opset13, op.Constant, state)
    pixels = opset13.parameter(ov.PartialShape([-1, -1, -1, 3]), ov.Type.u8, "pixels")
    return ov.Model(network.outputs(pixels, head), [pixels], f"mini-{head}")


class _Network:
    """Methods are named as the modules of `mini_net.py`, and take the weights of the same names."""

    def __init__(self, op: Any, constant: Any, state: dict[str, Floats]) -> None:
        self._op, self._state = op, state
        self._constant = constant  # as it is; an array handed to an operation would become a list first

    def outputs(self, pixels: Any, head: str) -> list[Any]:
        """What `MiniNet((head,))` returns."""
        op = self._op
        x = op.divide(op.convert(pixels, "f32"), np.float32(255))
        x = op.divide(op.subtract(x, np.float32(MEAN)), np.float32(STD))
        x = op.transpose(x, np.array([0, 3, 1, 2]))  # last: no work then
        taps = self._body(x)
        if head == "classify":
            return [self._classify(taps[3])]
        maps = self._neck(taps[1:])
        return self._detect(maps) if head == "detect" else [self._segment(taps[0], maps)]

    def _body(self, x: Any) -> list[Any]:
        x = self._unit("body.stem", x, "relu6", stride=2)
        outputs = []
        for i, stride in enumerate(STAGE_STRIDES):
            for block in range(self._count(f"body.stages.{i}.")):
                x = self._inverted(f"body.stages.{i}.{block}.units", x, 1 if block else stride)
            outputs.append(x)
        return [outputs[i] for i in TAPS]

    def _inverted(self, name: str, x: Any, stride: int) -> Any:
        last = self._count(f"{name}.") - 1
        out = x
        for i in range(last):  # the second last is the depthwise one
            out = self._unit(f"{name}.{i}", out, "relu6", stride=stride if i == last - 1 else 1)
        out = self._unit(f"{name}.{last}", out, "none")
        same = stride == 1 and _channels(x) == _channels(out)
        return self._op.add(x, out) if same else out

    def _neck(self, taps: Sequence[Any]) -> list[Any]:
        c3, c4, c5 = (self._unit(f"neck.lateral.{i}", tap) for i, tap in enumerate(taps))
        p4 = self._join("neck.up.0", c4, self._twice(c5, "nearest"))
        p3 = self._join("neck.up.1", c3, self._twice(p4, "nearest"))
        n4 = self._join("neck.down.0", p4, self._unit("neck.shrink.0", p3, stride=2))
        n5 = self._join("neck.down.1", c5, self._unit("neck.shrink.1", n4, stride=2))
        return [p3, n4, n5]

    def _join(self, name: str, a: Any, b: Any) -> Any:
        x = self._unit(f"{name}.narrow", self._op.concat([a, b], 1))
        return self._op.add(x, self._unit(f"{name}.pair.1", self._unit(f"{name}.pair.0", x)))

    def _detect(self, maps: Sequence[Any]) -> list[Any]:
        op, outputs = self._op, []
        for branch, units in (("box", 2), ("score", 4)):
            levels = []
            for level, x in enumerate(maps):
                for i in range(units):
                    x = self._unit(f"detect.{branch}.{level}.{i}", x)
                x = self._convolve(f"detect.{branch}.{level}.{units}", x)
                levels.append(op.reshape(x, np.array([0, 0, -1]), special_zero=True))
            outputs.append(op.concat(levels, 2))
        return outputs

    def _segment(self, tap: Any, maps: Sequence[Any]) -> Any:
        op = self._op
        context = op.sigmoid(self._convolve("segment.gate", self._mean(maps[2], keep=True)))
        coarse = self._twice(op.multiply(self._unit("segment.coarse", maps[0]), context), "linear_onnx")
        x = op.concat([self._unit("segment.fine", tap), coarse], 1)
        x = self._unit("segment.mix.1", self._unit("segment.mix.0", x))
        return self._convolve("segment.last", x)

    def _classify(self, tap: Any) -> Any:
        op = self._op
        x = self._mean(self._unit("classify.widen", tap, "relu6"), keep=False)
        weight, bias = (self._constant(self._values(f"classify.last.{part}")) for part in ("weight", "bias"))
        return op.add(op.matmul(x, weight, False, True), bias)

    def _unit(self, name: str, x: Any, act: str = "silu", *, stride: int = 1) -> Any:
        x = self._convolve(f"{name}.conv", x, f"{name}.norm", stride)
        if act == "none":
            return x
        return self._op.clamp(x, 0, 6) if act == "relu6" else self._op.swish(x)

    def _convolve(self, name: str, x: Any, norm: str = "", stride: int = 1) -> Any:
        """A convolution of odd size, padded to keep its input's; one input channel means depthwise."""
        op, weight = self._op, self._values(f"{name}.weight")
        if f"{norm}.weight" in self._state:
            kept = {k: self._values(f"{norm}.{k}") for k in ("weight", "bias", "running_mean", "running_var")}
            scale = kept["weight"] / np.sqrt(kept["running_var"] + np.float32(EPSILON))
            weight, bias = weight * scale[:, None, None, None], kept["bias"] - kept["running_mean"] * scale
        else:
            bias = self._values(f"{name}.bias")
        pad, one = [weight.shape[2] // 2] * 2, [1, 1]
        if weight.shape[1] == 1:
            x = op.group_convolution(x, self._constant(weight[:, None]), [stride] * 2, pad, pad, one)
        else:
            x = op.convolution(x, self._constant(weight), [stride] * 2, pad, pad, one)
        return op.add(x, self._constant(bias[:, None, None]))

    def _twice(self, x: Any, mode: str) -> Any:
        return self._op.interpolate(
            x, np.array([2, 2], np.float32), mode, "scales", axes=np.array([2, 3]), nearest_mode="floor",
            coordinate_transformation_mode="asymmetric" if mode == "nearest" else "half_pixel",
        )  # fmt: skip

    def _mean(self, x: Any, *, keep: bool) -> Any:
        return self._op.reduce_mean(x, np.array([2, 3]), keep_dims=keep)

    def _values(self, name: str) -> Floats:
        return self._state[name].astype(np.float32)

    def _count(self, prefix: str) -> int:
        """How many modules are numbered after `prefix`."""
        numbers = {name[len(prefix) :].partition(".")[0] for name in self._state if name.startswith(prefix)}
        return len(numbers)


def _channels(x: Any) -> int:
    return int(x.get_output_partial_shape(0)[1].get_length())
