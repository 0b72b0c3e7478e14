"""Compiled networks: kept and found again, without torch, exact, and never from a file that is not whole."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.build_weights import ROOT
from visioncli import cache
from visioncli.errors import ModelError, UsageError
from visioncli.models import Array, Network, Origin
from visioncli.runtime import make
from visioncli.runtime.openvino_runtime import OFTEN, OpenVinoRuntime, UnfitError
from visioncli.runtime.torch_runtime import TorchRuntime

SAMPLES = ROOT / "sample_media"


class Tiny(torch.nn.Module):
    """Two outputs: one as large as the input, one number a picture."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.second = torch.nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.second(self.first(pixels.permute(0, 3, 1, 2).float() / 255).relu())
        return x.flatten(2), x.mean((1, 2, 3))


class Baked(Tiny):
    """Its output has the size that it was traced at."""

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        large, mean = super().forward(pixels)
        return large[:, :, : int(np.prod(pixels.shape[1:3])) - 1], mean


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISION_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def network(build: Callable[[], torch.nn.Module] = Tiny, **more: Any) -> Network:
    return Network(lambda: build().eval(), ("large", "mean"), "tiny-1", compiles=True, **more)


def origin(folder: Path, name: str = "tiny", example: Callable[[Array], Array] | None = None) -> Origin:
    path = folder / "weights"
    path.write_bytes(b"weights")
    return Origin(name, path, "abc", name, lambda picture: ((example or (lambda p: p))(picture)[None],))


def pictures(*shape: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def untraceable(self: Any = None) -> torch.nn.Module:
    raise AssertionError("torch was asked, and what is kept would have done")


def test_answers_as_torch_and_is_kept(tmp_path: Path) -> None:
    said: list[str] = []
    made = OpenVinoRuntime(network(), origin(tmp_path), "fp32", say=said.append)
    reference = TorchRuntime(network(), "cpu", "fp32")
    for shape in [(1, 33, 65), (3, 96, 320), (2, 5, 7)]:
        for ours, theirs in zip(made([pictures(*shape)]), reference([pictures(*shape)]), strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert all("tiny" in line for line in said)
    again = OpenVinoRuntime(network(untraceable), origin(tmp_path), "fp32")
    np.testing.assert_array_equal(again([pictures(1, 33, 65)])[0], made([pictures(1, 33, 65)])[0])


def test_shapes_that_keep_coming_get_their_own(tmp_path: Path, kept: Path) -> None:
    made = OpenVinoRuntime(network(), origin(tmp_path), "fp32")
    first = made([pictures(1, 64, 64)])
    for _ in range(OFTEN + 1):
        last = made([pictures(1, 64, 64)])
    for one, other in zip(first, last, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    shapes = {e.about["shape"] for e in cache.entries() if e.kind == "compiled"}
    assert shapes == {"any", "1x64x64x3"}
    # The next process begins with it, and reads nothing else.
    again = OpenVinoRuntime(network(untraceable), origin(tmp_path), "fp32")
    for entry in list(cache.entries()):
        if entry.kind != "compiled" or entry.about["shape"] == "any":
            entry.path.unlink()
    np.testing.assert_allclose(again([pictures(1, 64, 64)])[0], first[0], atol=1e-5)


def test_one_shape_at_a_time_has_its_own(tmp_path: Path) -> None:
    made = OpenVinoRuntime(network(), origin(tmp_path), "fp32")

    def own() -> set[object]:
        return {shape for shape, _ in made._compiled if shape is not None}

    wide, tall = pictures(1, 32, 64), pictures(1, 64, 32)
    wanted = {a.shape: made([a])[0] for a in (wide, tall)}
    for _ in range(OFTEN + 1):
        made([wide])
    assert own() == {(wide.shape,)}
    for _ in range(2 * OFTEN):  # in turns: it keeps it
        made([tall])
        made([wide])
    assert own() == {(wide.shape,)}
    for _ in range(OFTEN + 1):  # a video of another size
        made([tall])
    assert own() == {(tall.shape,)}
    assert len(made._thread.requests) <= 2, "the old one is let go of"
    for picture in (wide, tall, wide):
        np.testing.assert_allclose(made([picture])[0], wanted[picture.shape], atol=1e-5)


def test_threads_that_share_answer_the_same(tmp_path: Path) -> None:
    made = OpenVinoRuntime(network(), origin(tmp_path), "fp32")
    alone = made([pictures(1, 40, 48)])
    answers: list[tuple[Array, ...]] = []

    def work() -> None:
        made.share()
        answers.extend(made([pictures(1, 40, 48)]) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 60
    for answer in answers:
        np.testing.assert_allclose(answer[0], alone[0], atol=1e-5)


def test_outputs_are_the_callers_own(tmp_path: Path) -> None:
    """The next batch does not write into the last one's outputs."""
    made = OpenVinoRuntime(network(), origin(tmp_path), "fp32")
    first = made([pictures(1, 32, 32)])
    before = first[0].copy()
    made([255 - pictures(1, 32, 32)])
    np.testing.assert_array_equal(first[0], before)


@pytest.mark.parametrize("kind", ["network", "compiled"])
@pytest.mark.parametrize("broken", [b"", b"{}\n", None], ids=["empty", "foreign", "flipped"])
def test_broken_files_are_rebuilt(tmp_path: Path, kept: Path, kind: str, broken: bytes | None) -> None:
    wanted = OpenVinoRuntime(network(), origin(tmp_path), "fp32")([pictures(1, 32, 32)])
    (file,) = kept.glob(f"{kind}-*")
    content = bytearray(file.read_bytes())
    content[-len(content) // 3] ^= 0xFF
    file.write_bytes(content if broken is None else broken)
    if kind == "network":  # what is compiled from it would do without it
        next(kept.glob("compiled-*")).unlink()
    again = OpenVinoRuntime(network(), origin(tmp_path), "fp32")([pictures(1, 32, 32)])
    np.testing.assert_array_equal(again[0], wanted[0])
    key = json.loads(file.read_bytes().split(b"\n")[0])["key"]
    assert cache.read(kind, key) is not None, "and kept again, whole"


def test_what_is_baked_in_is_found(tmp_path: Path) -> None:
    """A network that does not answer as torch on another shape is refused; `auto` gives it to torch."""
    with pytest.raises(UnfitError, match="does not convert"):
        OpenVinoRuntime(network(Baked), origin(tmp_path), "fp32")
    said: list[str] = []
    chosen = make(network(Baked), origin(tmp_path, "other"), device="cpu", say=said.append)
    assert chosen.name == "torch"
    assert "torch runs it" in said[-1]
    said.clear()
    assert make(network(Baked), origin(tmp_path, "other"), device="cpu", say=said.append).name == "torch"
    assert said == [], "tried once"


def test_what_decides_the_network_decides_the_file(tmp_path: Path) -> None:
    OpenVinoRuntime(network(), origin(tmp_path), "fp32")
    for other in (network(untraceable, fixed=True), network(untraceable, precise="x")):
        with pytest.raises((AssertionError, ModelError)):
            OpenVinoRuntime(other, origin(tmp_path), "fp32")
    with pytest.raises((AssertionError, ModelError)):
        OpenVinoRuntime(network(untraceable), origin(tmp_path, "another card"), "fp32")


def test_layers_kept_at_fp32(tmp_path: Path) -> None:
    """`precise` is heeded by the CPU plugin, and survives being kept."""
    if "BF16" not in _capabilities():
        pytest.skip("no bf16 on this CPU")
    for _ in range(2):
        made = OpenVinoRuntime(network(precise=r"second"), origin(tmp_path), "bf16")
        made([pictures(1, 64, 64)])
        (compiled,) = made._compiled.values()
        kinds = {}
        for layer in compiled.get_runtime_model().get_ordered_ops():
            info = layer.get_rt_info()
            if info["layerType"].astype(str) == "Convolution":
                kinds[layer.get_friendly_name()] = info["runtimePrecision"].astype(str)
        assert {("second" in name, kind) for name, kind in kinds.items()} == {(False, "bf16"), (True, "f32")}


def _capabilities() -> list[str]:
    from visioncli.runtime._openvino import core

    return list(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def test_choices(tmp_path: Path) -> None:
    where = origin(tmp_path)
    assert make(network(), where, device="cpu", precision="fp32").name == "openvino"
    assert make(network(), where, runtime="torch", device="cpu").name == "torch"
    assert make(network(), None, device="cpu").name == "torch", "nothing to keep it by"
    with pytest.raises(UsageError, match="does not run compiled"):
        make(Network(Tiny, ("a",), "v"), where, runtime="openvino")
    with pytest.raises(UsageError, match="CPU"):
        make(network(), where, runtime="openvino", device="cuda")
    for wrong in ("fp16", "int4"):
        with pytest.raises(UsageError):
            make(network(), where, device="cpu", runtime="openvino", precision=wrong)
    with pytest.raises(UsageError, match="fp32 only"):
        make(network(fp32_only=True), where, runtime="openvino", precision="bf16")
    assert make(network(fp32_only=True, bf16=True), where, runtime="openvino").precision == "fp32"


def test_few_pictures_are_compiled_for_the_second_time(tmp_path: Path) -> None:
    where = origin(tmp_path)
    assert make(network(), where, device="cpu", few=True).name == "torch"
    assert make(network(), where, device="cpu", few=True).name == "openvino"
    assert make(network(), origin(tmp_path, "other"), device="cpu").name == "openvino"


def test_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs all the same, and says that it will take the time again."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VISION_CACHE", str(tmp_path / "file" / "kept"))
    said: list[str] = []
    made = OpenVinoRuntime(network(), origin(tmp_path), "fp32", say=said.append)
    assert made([pictures(1, 32, 32)])[0].shape == (1, 4, 32 * 32)
    assert any("again next time" in line for line in said)


ALONE = """
import sys
from visioncli import load
model = load({model!r}, weights_dir={weights!r}, runtime="openvino", offline=True)
result = model({picture!r})
assert len(result.prediction), result
print(sorted(m for m in sys.modules if m in (
    "torch", "torchvision", "ultralytics", "openvino_telemetry", "openvino.tools.mo")))
"""


@pytest.mark.parametrize("model", ["yolo26n", "mobilenet_v2"])
def test_a_process_that_finds_its_network_imports_no_torch(
    model: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISION_CACHE", str(ROOT / "build" / "kept"))
    code = ALONE.format(model=model, weights=str(weights), picture=str(SAMPLES / "dog.jpg"))
    for attempt in range(2):
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        if attempt or ran.stdout.strip() == "[]":
            assert ran.stdout.strip() == "[]"
            return


def test_telemetry_is_kept_from_loading() -> None:
    code = (
        "import sys\nfrom visioncli.runtime._openvino import core\ncore()\n"
        "print(any(m and m.__name__.startswith('openvino_telemetry') for m in sys.modules.values()))\n"
        "import importlib.util\nprint('openvino_telemetry' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"], "neither it nor its place holder is left"
