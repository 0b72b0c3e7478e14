"""Batches too large for the memory: halved, remembered, said, and answered as the whole batch would be."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import mobilenet_backbone

from tests.build_weights import ROOT
from visioncli import load
from visioncli.errors import ModelError
from visioncli.models import Array, Network, Options
from visioncli.models.tv_networks import MaskRcnn
from visioncli.runtime import make
from visioncli.runtime.backoff import Halving
from visioncli.runtime.torch_runtime import TorchRuntime


class Narrow(torch.nn.Module):
    """A network for which no more than `most` pictures fit into the memory; `tried` are the sizes it met."""

    def __init__(self, module: torch.nn.Module, most: int) -> None:
        super().__init__()
        self.module, self.most = module, most
        self.tried: list[int] = []

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.tried.append(len(inputs[0]))
        if len(inputs[0]) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        outputs: tuple[torch.Tensor, ...] = self.module(*inputs)
        return outputs


class Means(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.mean((2, 3)), x.flatten(1).argmax(1)


def narrow(most: int, module: torch.nn.Module | None = None) -> tuple[Narrow, TorchRuntime, list[str]]:
    """Such a network, in torch on the CPU, and what it says."""
    network = Narrow(module or Means(), most)
    said: list[str] = []
    runtime = make(Network(lambda: network, (), "1"), device="cpu", precision="fp32", say=said.append)
    assert isinstance(runtime, TorchRuntime)
    return network, runtime, said


def pictures(count: int) -> Array:
    """(N, 3, 8, 8)."""
    return np.random.default_rng(0).random((count, 3, 8, 8), np.float32)


def equal(some: Sequence[Array], other: Sequence[Array]) -> bool:
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(some, other, strict=True))


@pytest.mark.parametrize(
    ("count", "most", "tried"),
    [
        (16, 16, [16]),
        (16, 8, [16, 8, 8]),
        (16, 5, [16, 8, 4, 4, 4, 4]),
        (5, 4, [5, 3, 2]),
        (3, 1, [3, 2, 1, 1, 1]),
    ],
)
def test_halved_until_it_fits(count: int, most: int, tried: list[int]) -> None:
    network, runtime, said = narrow(most)
    batch = pictures(count)
    assert equal(runtime((batch,)), narrow(count)[1]((batch,)))
    assert network.tried == tried
    fits = max(size for size in tried if size <= most)
    wanted = f"out of memory with a batch of {count} on cpu: going on with {fits}"
    assert said == ([] if count <= most else [wanted])


def test_what_fits_is_remembered() -> None:
    network, runtime, said = narrow(5)
    runtime((pictures(16),))
    network.tried.clear()
    batch = pictures(9)
    assert equal(runtime((batch,)), narrow(9)[1]((batch,)))
    runtime((pictures(3),))
    assert network.tried == [4, 4, 1, 3]
    assert len(said) == 1
    network.most = 2  # someone else has taken of the memory
    assert equal(runtime((batch,)), narrow(9)[1]((batch,)))
    assert said[1:] == ["out of memory with a batch of 4 on cpu: going on with 2"]


def test_a_single_picture_that_does_not_fit() -> None:
    network, runtime, said = narrow(0)
    with pytest.raises(ModelError, match=r"single picture on cpu .*--imgsz.*--device cpu") as caught:
        runtime((pictures(4),))
    assert caught.value.exit_code == 5
    assert network.tried == [4, 2, 1] and not said
    network.most = 4
    runtime((pictures(4),))
    assert network.tried[3:] == [4], "a size that failed with everything else is tried again"


def test_other_errors_are_not_ours() -> None:
    _, runtime, said = narrow(4)
    with pytest.raises(IndexError):
        runtime((pictures(4)[:, 0, 0],))
    assert not said


def test_a_real_network(weights: Path) -> None:
    model = load(str(weights / "mobilenet_v2.pth"), task="classify", runtime="torch", device="cpu")
    samples = sorted((ROOT / "sample_media").glob("*.jpg"))[:5]
    batch = model.adapter.prepare([np.asarray(Image.open(path).convert("RGB")) for path in samples])
    wanted = model.runtime(batch.inputs)
    network, runtime, _ = narrow(2, model.adapter.network().build())
    got = runtime(batch.inputs)
    assert network.tried == [5, 3, 2, 2, 1]
    assert np.abs(wanted[0]).max() > 5
    assert np.allclose(got[0], wanted[0], atol=1e-4)
    best = [one.classes.tolist() for one in model.adapter.finish(wanted, batch, Options())]
    assert [one.classes.tolist() for one in model.adapter.finish(got, batch, Options())] == best


def some(outputs: Sequence[Array], row: int, _: tuple[int, int], asked: Array) -> tuple[Array, Array, Array]:
    """The first so many proposals of a picture, as its last input asks for."""
    boxes = outputs[2][row, : int(asked[0])]
    return boxes, np.linspace(1, 0.5, len(boxes), dtype=np.float32), np.ones(len(boxes), np.int64)


def test_masks_whose_number_depends_on_the_batch() -> None:
    """Mask R-CNN's outputs have room for the most objects of a picture in a batch: parts may have less."""
    torch.manual_seed(0)
    backbone = mobilenet_backbone(backbone_name="mobilenet_v3_small", weights=None, fpn=True)
    sizes = tuple((32, 64, 128) for _ in range(3))
    anchors = torchvision.models.detection.anchor_utils.AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 3)
    model = MaskRCNN(backbone, num_classes=3, rpn_anchor_generator=anchors, rpn_post_nms_top_n_test=20)
    module = MaskRcnn(model, some).eval()
    inputs = (
        np.random.default_rng(0).random((4, 3, 96, 96), np.float32),
        np.full((4, 2), 96, np.int64),
        np.array([[2], [9], [0], [5]], np.float32),
    )
    wanted = narrow(4, module)[1](inputs)
    network, runtime, _ = narrow(2, module)
    got = runtime(inputs)
    assert network.tried == [4, 2, 2]
    assert [a.shape for a in got] == [a.shape for a in wanted]
    assert wanted[3].shape == (4, 9, 28, 28) and wanted[4].tolist() == [2, 9, 0, 5]
    for one, other in zip(got, wanted, strict=True):
        assert np.allclose(one, other, atol=1e-4)


def test_outputs_that_cannot_be_joined() -> None:
    class Summed(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (x.sum(0),)

    with pytest.raises(ModelError, match="batch of 4 in parts"):
        narrow(2, Summed())[1]((pictures(4),))


def test_the_memory_of_what_failed_is_free_before_it_goes_on() -> None:
    """The error's traceback would hold all that the network had made so far."""
    made: list[weakref.ref[torch.Tensor]] = []

    def run(inputs: Sequence[Array]) -> tuple[Array, ...]:
        assert not [1 for one in made if one() is not None]
        activations = torch.ones(3)
        made.append(weakref.ref(activations))
        if len(inputs[0]) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return (inputs[0],)

    assert len(Halving("cuda:0")(run, (pictures(4),))[0]) == 4
    assert len(made) == 6


def test_two_threads_that_meet_it_at_once_say_it_once() -> None:
    both = threading.Barrier(2)
    said: list[str] = []
    halving = Halving("cuda:1", said.append)

    def run(inputs: Sequence[Array]) -> tuple[Array, ...]:
        if len(inputs[0]) == 8:
            both.wait(10)
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return (inputs[0] + 1,)

    batch = pictures(8)
    with ThreadPoolExecutor(2) as pool:
        for outputs in pool.map(lambda _: halving(run, (batch,)), range(2)):
            assert equal(outputs, (batch + 1,))
    assert said == ["out of memory with a batch of 8 on cuda:1: going on with 4"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_real_memory_of_a_gpu() -> None:
    class Wide(torch.nn.Module):
        """Takes a fifth of what is free for each picture: 16 and 8 do not fit, 4 do."""

        share = torch.cuda.mem_get_info(0)[0] // 5

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            wide = torch.empty(len(x) * self.share, dtype=torch.uint8, device=x.device)
            wide[:1] = 0
            return (x.mean((2, 3)) + wide[0],)

    said: list[str] = []
    runtime = make(Network(Wide, ("mean",), "1"), device="cuda:0", precision="fp32", say=said.append)
    batch = pictures(16)
    for _ in range(2):
        assert np.allclose(runtime((batch,))[0], batch.mean((2, 3)), atol=1e-5)
    assert said == ["out of memory with a batch of 16 on cuda:0: going on with 4"]
