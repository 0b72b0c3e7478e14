"""One network on several devices: a copy and a thread for each, the same answers in the same order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.build_weights import ROOT
from tests.conftest import Run
from visioncli.api import Model, load
from visioncli.errors import UsageError
from visioncli.media.sources import find
from visioncli.models import Network, Options
from visioncli.pipeline import Answer, Settings, run
from visioncli.runtime import Runtime, make
from visioncli.runtime.several import SeveralRuntime, pick_devices
from visioncli.runtime.torch_runtime import TorchRuntime

SAMPLES = ROOT / "sample_media"
NO_GPU = not torch.cuda.is_available()


class Which(torch.nn.Module):
    """Says, beside a mean, which copy of it answered and how many threads of torch it had."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        told = torch.tensor([[id(self), torch.get_num_threads()]]).expand(len(x), -1)
        return (x.float() * self.weight).mean(1), told


WHICH = Network(Which, ("mean", "told"), "1")
X = np.arange(12, dtype=np.uint8).reshape(4, 3)


def told(runtime: Runtime) -> tuple[int, int]:
    """Which copy answers this thread, with how many threads."""
    mean, told = runtime((X,))
    assert np.allclose(mean, X.mean(1))
    return int(told[0, 0]), int(told[0, 1])


def lanes(runtime: Runtime, count: int, do: Callable[[], tuple[int, int]]) -> list[tuple[int, int]]:
    """What `do` gives in so many threads that are there at once and have called `share`."""
    together = threading.Barrier(count)

    def lane(_: int) -> tuple[int, int]:
        together.wait(10)
        return do()

    with ThreadPoolExecutor(count, initializer=runtime.share) as pool:
        return list(pool.map(lane, range(count)))


def test_each_thread_has_a_device_of_its_own() -> None:
    runtime = SeveralRuntime(WHICH, ["cpu"] * 3)
    assert (runtime.name, runtime.device, runtime.precision) == ("torch", "cpu,cpu,cpu", "fp32")
    assert (runtime.parallel, runtime.batch) == (3, TorchRuntime(WHICH, "cpu").batch)
    first = told(runtime)[0]
    for count in (3, 1, 3, 2, 3):  # whichever was the last one's in the run before
        used = [copy for copy, _ in lanes(runtime, count, lambda: told(runtime))]
        assert len(set(used)) == count
    assert told(runtime)[0] == first, "a thread that has not called share uses the first"


def test_threads_share_the_cores() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        runtime = SeveralRuntime(WHICH, ["cpu", "cpu"])
        assert [threads for _, threads in lanes(runtime, 2, lambda: told(runtime))] == [2, 2]
        assert told(runtime)[1] == torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_copies_of_a_module_that_is_built_once() -> None:
    """An adapter may give the same module each time, and moving it would take it from the first device."""
    built = Which()
    calls = []
    runtime = SeveralRuntime(Network(lambda: calls.append(1) or built, (), "1"), ["cpu", "cpu"])
    assert len(calls) == 1
    used = {copy for copy, _ in lanes(runtime, 2, lambda: told(runtime))}
    assert len(used | {id(built)}) == 3


def test_a_device_that_is_short_of_memory_halves_its_batches_alone() -> None:
    class Short(Which):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            if len(x) > 2 and threading.current_thread() is not threading.main_thread():
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return super().forward(x)

    said: list[str] = []
    runtime = SeveralRuntime(Network(Short, (), "1"), ["cpu", "cpu"], say=said.append)
    lanes(runtime, 2, lambda: told(runtime))
    assert said == ["out of memory with a batch of 4 on cpu: going on with 2"] * 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cpu,cpu", "unknown devices 'cpu,cpu'"),
        ("cuda:0,cpu", "unknown devices"),
        ("0,1", "unknown devices"),
        ("cuda:0,", "unknown devices"),
        ("cuda:0,x", "unknown devices"),
        ("cuda:0,0", "twice"),
        ("cuda,cuda:0", "twice"),
        ("cuda:1,cuda:0,01", "twice"),
        ("cuda:98,99", "CUDA device|cuda:98"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make(WHICH, device=text)


def test_written_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """How they are written, on a machine that is said to have four."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    for text in ("cuda:0,2", "cuda:0,cuda:2", "cuda,2"):
        assert pick_devices(text) == ["cuda:0", "cuda:2"]
    with pytest.raises(UsageError, match="there is no device cuda:4"):
        pick_devices("cuda:3,4")


def test_refused_on_the_command_line(vision: Run) -> None:
    done = vision("detect", SAMPLES / "cat.jpg", "--model", "mini", "--device", "cpu,cpu", "--no-media")
    assert done.returncode == 2 and b"cpu,cpu" in done.stderr and not done.stdout


def answers(model: Model, runtime: Runtime, batch: int) -> list[Answer]:
    settings = Settings(batch, Options(conf=0.2))
    events = run(find([str(SAMPLES / "*.jpg")]), model.adapter, runtime, settings)
    return [event for event in events if isinstance(event, Answer)]


@pytest.mark.parametrize("batch", [1, 3])
def test_a_run_answers_as_on_one_device_and_in_order(batch: int) -> None:
    model = load("mini", task="detect", runtime="torch", device="cpu", precision="fp32", imgsz=320)
    wanted = answers(model, model.runtime, 1)
    got = answers(model, SeveralRuntime(model.adapter.network(), ["cpu", "cpu"], "fp32"), batch)
    assert [a.input.source for a in got] == [a.input.source for a in wanted] and len(got) > 5
    assert sum(len(a.result.labels) for a in wanted) > 5
    for one, other in zip(got, wanted, strict=True):
        assert list(one.result.labels) == list(other.result.labels)
        assert np.allclose(one.result.boxes, other.result.boxes, atol=0.01)


def test_a_yolo_of_ultralytics(weights: Path) -> None:
    """Its adapter gives the one module of the checkpoint whenever it is asked to build."""
    model = load(str(weights / "yolo26n.pt"), runtime="torch", device="cpu", precision="fp32", imgsz=160)
    picture = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    inputs = model.adapter.prepare([picture]).inputs
    wanted = model.runtime(inputs)
    runtime = SeveralRuntime(model.adapter.network(), ["cpu", "cpu"], "fp32")
    together = threading.Barrier(2)

    def lane(_: int) -> None:
        together.wait(10)
        for got, one in zip(runtime(inputs), wanted, strict=True):
            assert np.allclose(got, one, atol=1e-4)

    with ThreadPoolExecutor(2, initializer=runtime.share) as pool:
        list(pool.map(lane, range(2)))


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_on_gpus(precision: str) -> None:
    """Two lanes: on two GPUs where there are two, else both on the one."""
    names = ["cuda:0", f"cuda:{min(torch.cuda.device_count() - 1, 1)}"]
    model = load("mini", task="detect", runtime="torch", device="cpu", precision="fp32", imgsz=320)
    wanted = answers(model, model.runtime, 1)
    runtime = SeveralRuntime(model.adapter.network(), names, precision)
    assert runtime.device == ",".join(names)
    before = torch.backends.cudnn.allow_tf32, torch.cuda.current_device()
    got = answers(model, runtime, 4)
    assert (torch.backends.cudnn.allow_tf32, torch.cuda.current_device()) == before
    assert [a.input.source for a in got] == [a.input.source for a in wanted]
    if precision == "fp32":
        for one, other in zip(got, wanted, strict=True):
            assert list(one.result.labels) == list(other.result.labels)
            assert np.allclose(one.result.boxes, other.result.boxes, atol=0.5)
