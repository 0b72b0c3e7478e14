"""The torch runtime: arrays in and out, precisions, devices, and the process left as it was."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

from visioncli.errors import UsageError
from visioncli.models import Network
from visioncli.runtime import make
from visioncli.runtime.torch_runtime import NO_TF32, TorchRuntime, pick_device, pick_precision

CPU = torch.device("cpu")


class Small(torch.nn.Module):
    """A convolution and an argmax: a float and an integer output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.drop(self.convolution(x))
        return y.mean((2, 3)), y.flatten(2).argmax(2)


def small(**options: bool) -> Network:
    return Network(Small, ("mean", "where"), "1", **options)


@pytest.fixture
def pictures() -> np.ndarray:
    """(5, 3, 12, 10)."""
    return np.random.default_rng(0).random((5, 3, 12, 10), np.float32)


def test_arrays(pictures: np.ndarray) -> None:
    runtime = make(small(), device="cpu", precision="fp32")
    mean, where = runtime((pictures,))
    assert (mean.shape, mean.dtype) == ((5, 8), np.float32)
    assert (where.shape, where.dtype) == ((5, 8), np.int64)
    with torch.no_grad():
        wanted = Small().eval()(torch.from_numpy(pictures))[0].numpy()
    assert np.allclose(mean, wanted, atol=1e-5)
    assert np.array_equal(runtime((pictures,))[0], mean), "in evaluation mode: no dropout"
    alone = np.concatenate([runtime((pictures[i : i + 1],))[0] for i in range(5)])
    assert np.allclose(alone, mean, atol=1e-5)


def test_a_frozen_or_odd_array_is_taken(pictures: np.ndarray) -> None:
    runtime = make(small(), device="cpu", precision="fp32")
    wanted = runtime((pictures,))[0]
    strided = np.asfortranarray(pictures)
    assert np.allclose(runtime((strided,))[0], wanted, atol=1e-6)
    assert np.allclose(runtime((pictures[:, ::-1].copy()[:, ::-1],))[0], wanted, atol=1e-6)
    before = pictures.copy()
    pictures.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(runtime((pictures,))[0], wanted)
    assert np.array_equal(pictures, before)


def test_reduced_precision(pictures: np.ndarray) -> None:
    full = make(small(), device="cpu", precision="fp32")((pictures,))[0]
    reduced = make(small(), device="cpu", precision="bf16")
    assert reduced.precision == "bf16"
    got = reduced((pictures,))[0]
    assert got.dtype == np.float32
    assert 0 < np.abs(got - full).max() < 0.02


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: pick_precision("int4", CPU, False), "int4"),
        (lambda: pick_precision("fp16", CPU, False), "bf16"),
        (lambda: pick_precision("bf16", CPU, True), "fp32 only"),
        (lambda: pick_device("tpu"), "tpu"),
        (lambda: pick_device("cpu:1"), "cpu:1"),
        (lambda: pick_device("cuda:x"), "cuda:x"),
        (lambda: pick_device("cuda:99"), "CUDA device|cuda:99"),
        (lambda: pick_device(""), "unknown device"),
        (lambda: make(small(), runtime="tensorflow"), "tensorflow"),
    ],
)
def test_refused(call: Callable[[], object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()


def test_choices() -> None:
    assert pick_device("cpu") == CPU
    assert pick_precision("auto", CPU, False) == "fp32"
    assert pick_precision("fp32", CPU, True) == "fp32"
    assert pick_precision("auto", torch.device("cuda:0"), False) == "fp16"
    assert pick_precision("auto", torch.device("cuda:0"), True) == "fp32"


def test_nothing_global(pictures: np.ndarray) -> None:
    """Gradients, autocast and cuDNN's switches are those of the caller afterwards, also after an error."""

    def state() -> tuple[object, ...]:
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.backends.cudnn.allow_tf32,
            torch.get_num_threads(),
            torch.get_default_dtype(),
        )

    before = state()
    runtime = TorchRuntime(small(), "cpu", "bf16")
    runtime((pictures,))
    with pytest.raises(RuntimeError):
        runtime((pictures[:, :2],))
    assert state() == before


def test_tf32_is_off_until_the_last_thread_is_out() -> None:
    """cuDNN's switch is one for all threads: the first to leave must not turn it on under the other."""
    before = torch.backends.cudnn.allow_tf32
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with NO_TF32:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    try:
        torch.backends.cudnn.allow_tf32 = True
        with NO_TF32:
            thread.start()
            assert inside.wait(10)
        assert not torch.backends.cudnn.allow_tf32
        leave.set()
        thread.join()
        assert torch.backends.cudnn.allow_tf32
    finally:
        leave.set()
        torch.backends.cudnn.allow_tf32 = before


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.gpu
@needs_gpu
def test_fp32_on_a_gpu_is_fp32() -> None:
    """TF32 is off: a sum that it would round stays exact to 1e-5."""
    pictures = np.random.default_rng(0).random((4, 3, 64, 64), np.float32)
    here = make(small(), device="cpu", precision="fp32")((pictures,))[0]
    there = make(small(), device="cuda", precision="fp32")
    assert there.device == "cuda:0"
    assert np.abs(there((pictures,))[0] - here).max() < 1e-5
    half = make(small(), device="cuda")
    assert half.precision == "fp16"
    assert np.abs(half((pictures,))[0] - here).max() < 0.02


class Odd(torch.nn.Module):
    """uint8 pictures in; outputs that are strided, expanded, and of whole numbers."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x.permute(0, 3, 1, 2).float() / 255
        return y, y.mean((1, 2, 3))[:, None].expand(-1, 5), x.flatten(1).long().sum(1)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_copies_through_pinned_memory(precision: str) -> None:
    """What came out stays as it was while later batches go through the same pinned memory."""
    network = Network(Odd, ("strided", "expanded", "whole"), "1")
    there = TorchRuntime(network, "cuda", precision)
    here = TorchRuntime(network, "cpu", "fp32")
    random = np.random.default_rng(0)
    batches = [random.integers(0, 256, (4, 33, 47, 3), np.uint8) for _ in range(8)]
    for batch in batches[::2]:
        batch.setflags(write=False)
    answers = [there((batch,)) for batch in batches]
    for batch, answer in zip(batches, answers, strict=True):
        for got, wanted in zip(answer, here((batch,)), strict=True):
            assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
            assert np.allclose(got, wanted, atol=1e-3)
