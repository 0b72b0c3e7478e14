"""The quick gradients are the true ones."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from visioncli.train.mini.depthwise import depthwise


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(12, 16), (8, 10), (6, 6)])
def test_gradients(k: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, *size, requires_grad=True)
    weight, bias = torch.randn(8, 1, k, k, requires_grad=True), torch.randn(8, requires_grad=True)
    want = F.conv2d(x, weight, bias, stride, k // 2, groups=8)
    got = depthwise(x, weight, bias, stride)
    torch.testing.assert_close(got, want)
    grad = torch.randn_like(want)
    for a, b in zip(
        torch.autograd.grad(got, (x, weight, bias), grad),
        torch.autograd.grad(want, (x, weight, bias), grad),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
