"""The size of batch that `--batch auto` takes on a GPU, measured here with networks on the CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from visioncli import cache
from visioncli.models import Array, Network, Origin
from visioncli.runtime import make
from visioncli.runtime.tune import best_batch, measured, tuned


class Device(torch.nn.Module):
    """A device that takes `call` ms a batch and `each` ms a picture, and has room for `most` of them."""

    def __init__(self, call: float, each: float, most: int = 1000) -> None:
        super().__init__()
        self.call, self.each, self.most = call, each, most
        self.sizes: list[int] = []

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor]:
        if len(pixels) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        self.sizes.append(len(pixels))
        time.sleep((self.call + self.each * len(pixels)) / 1000)
        return (pixels.float().mean((1, 2, 3)),)


ONE = (np.zeros((1, 4, 4, 3), np.uint8),)


@pytest.mark.parametrize(
    ("call", "each", "most", "best"),
    [(0.0, 100.0, 1000, (1,)), (40.0, 1.0, 1000, (16, 32)), (40.0, 1.0, 8, (8,))],
)
def test_the_smallest_that_hardly_another_beats(
    call: float, each: float, most: int, best: Sequence[int]
) -> None:
    network = Network(lambda: Device(call, each, most), (), "1")
    runtime = make(network, device="cpu", runtime="torch")
    assert best_batch(runtime, ONE, seconds=0.1) in best


def test_one_that_takes_long_is_the_last() -> None:
    device = Device(1100.0, 0.0)
    runtime = make(Network(lambda: device, (), "1"), device="cpu", runtime="torch")
    assert best_batch(runtime, ONE, seconds=0.05) == 1
    assert set(device.sizes) == {1}


def test_the_rate_is_that_of_all_threads() -> None:
    runtime = make(Network(lambda: Device(20.0, 0.0), (), "1"), device="cpu", runtime="torch")
    rate, longest = measured(runtime, ONE, 0.3)
    assert rate <= runtime.parallel * 50
    assert longest >= 0.02


def test_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_CACHE", str(tmp_path))
    device = Device(0.0, 100.0)
    network = Network(lambda: device, (), "1")
    runtime = make(network, device="cpu", runtime="torch")

    def example(picture: Array) -> tuple[Array, ...]:
        return (picture[None, :4, :4],)

    origin = Origin("a", tmp_path / "a.pt", "00", "card", example)
    assert tuned(runtime, network, origin, "Some GPU") == 1
    count = len(device.sizes)
    assert count
    assert tuned(runtime, network, origin, "Some GPU") == 1
    assert len(device.sizes) == count, "not measured again"
    tuned(runtime, network, origin, "Another GPU")
    assert len(device.sizes) > count

    (kept, _) = list(cache.entries())
    kept.path.write_bytes(kept.path.read_bytes()[:-1] + b"x")
    assert tuned(runtime, network, origin, str(kept.key["device"])) == 1, "a damaged file is not used"


@pytest.mark.gpu
def test_on_a_gpu(weights: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from visioncli import load

    assert load("yolo26n", weights_dir=weights, device="cuda").runtime.batch >= 4
