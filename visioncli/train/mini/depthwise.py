"""Depthwise convolutions whose gradients are quick on a CPU.

oneDNN's reduced-precision gradients of 5×5 and of strided depthwise convolutions take a slow reference path
(three quarters of a training step of this body). Both are rebuilt here from cases that are quick: the
gradient of a 5×5 kernel from four 3×3 ones over shifted inputs (their taps overlap in the middle row and
column), and the gradient of a strided convolution's input as a plain convolution of the gradient spread out
with zeros.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


class Depthwise(torch.autograd.Function):
    """`F.conv2d(x, weight, bias, stride, k // 2, groups=channels)` with other gradient code."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        """(N, C, H, W) and (C, 1, k, k) to (N, C, H/stride, W/stride)."""
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, bias, stride, weight.shape[2] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of input, weight and bias."""
        x, weight = ctx.saved_tensors
        stride = ctx.stride
        grad = grad.contiguous(memory_format=torch.channels_last)
        gx = _input_gradient(grad, x, weight, stride) if ctx.needs_input_grad[0] else None
        gw = _weight_gradient(grad, x, weight, stride) if ctx.needs_input_grad[1] else None
        gb = grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return gx, gw, gb, None


def _plain(grad: Tensor, x: Tensor, weight: Tensor, stride: int, pad: int, mask: list[bool]) -> Any:
    return torch.ops.aten.convolution_backward(
        grad, x, weight, [0], [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], len(weight), mask
    )


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    k = weight.shape[2]
    if stride == 1:
        out: Tensor = _plain(grad, x, weight, 1, k // 2, [True, False, False])[0]
        return out
    spread = torch.zeros_like(x)
    spread[:, :, ::stride, ::stride] = grad
    return F.conv2d(spread, weight.flip(2, 3).contiguous(), None, 1, k // 2, groups=len(weight))


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    k = weight.shape[2]
    if k == 3:
        out: Tensor = _plain(grad, x, weight, stride, 1, [False, True, False])[1]
        return out
    padded = F.pad(x, (2, 2, 2, 2))
    height, width = (stride * (n - 1) + 3 for n in grad.shape[2:])
    result = torch.empty_like(weight)
    small = weight[:, :, :3, :3].contiguous()
    for top in (0, 2):
        for left in (0, 2):
            window = padded[:, :, top : top + height, left : left + width]
            window = window.contiguous(memory_format=torch.channels_last)
            result[:, :, top : top + 3, left : left + 3] = _plain(
                grad, window, small, stride, 0, [False, True, False]
            )[1]
    return result


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """A depthwise convolution (odd k up to 5, padding k // 2) in autocast's precision, differentiable."""
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    out: Tensor = Depthwise.apply(x, weight, bias, stride)
    return out
