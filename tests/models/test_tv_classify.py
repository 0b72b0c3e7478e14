"""torchvision's classifiers: sizes, weights that do not fit, labels, and what gets imported when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from visioncli.errors import ModelError, UsageError
from visioncli.models import Batch, Options, adapter_class
from visioncli.models.tv_classify import TorchvisionClassifier
from visioncli.models.tv_weights import Unset
from visioncli.registry.cards import builtin

PICTURE = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)


def saved(folder: Path, classes: int = 1000) -> Path:
    torch.manual_seed(0)
    state = torchvision.models.mobilenet_v3_small(num_classes=classes).state_dict()
    file = folder / "own.pth"
    torch.save(state, file)
    return file


def answer(adapter: TorchvisionClassifier, k: int = 5) -> list[int]:
    batch = adapter.prepare([PICTURE])
    with torch.inference_mode():
        outputs = [o.numpy() for o in adapter.network().build()(*map(torch.from_numpy, batch.inputs))]
    (classes,) = adapter.finish(outputs, batch, Options(top_k=k))
    return classes.classes.tolist()


def test_imgsz_keeps_the_cards_proportion(tmp_path: Path) -> None:
    card = builtin()["mobilenet_v3_small"]
    file = saved(tmp_path)
    adapter = TorchvisionClassifier(card, file, imgsz=(112, 112))
    assert adapter.prepare([PICTURE, PICTURE]).shape == ((112, 112, 3),)
    assert adapter._resize == 128
    assert TorchvisionClassifier(card, file).prepare([PICTURE]).inputs[0].shape == (1, 224, 224, 3)


@pytest.mark.parametrize(
    ("name", "imgsz"), [("vit_b_16", (128, 128)), ("maxvit_t", (256, 256)), ("resnet18", (224, 320))]
)
def test_sizes_that_a_network_cannot_take(name: str, imgsz: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=name):
        TorchvisionClassifier(builtin()[name], tmp_path / "none.pth", imgsz=imgsz)


def test_weights_of_another_model_are_refused_by_name(tmp_path: Path) -> None:
    adapter = TorchvisionClassifier(builtin()["resnet18"], saved(tmp_path))
    with pytest.raises(ModelError, match=r"own\.pth: these are not weights of resnet18: \d+ missing"):
        adapter.network().build()


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "wide.pth"
    torch.save(torchvision.models.mobilenet_v3_large(num_classes=10).state_dict(), file)
    adapter = TorchvisionClassifier(builtin()["mobilenet_v3_small"], file)
    with pytest.raises(ModelError, match="not weights of mobilenet_v3_small"):
        adapter.network().build()


def test_a_file_that_is_no_state_dict(tmp_path: Path) -> None:
    file = tmp_path / "odd.pth"
    torch.save({"epoch": 3}, file)
    with pytest.raises(ModelError, match="holds no torchvision state dict"):
        TorchvisionClassifier(builtin()["mobilenet_v3_small"], file).network().build()


def test_own_classes_get_numbers_for_names(tmp_path: Path) -> None:
    adapter = TorchvisionClassifier(builtin()["mobilenet_v3_small"], saved(tmp_path, classes=7))
    assert list(adapter.names) == [f"class {i}" for i in range(7)]
    assert sorted(answer(adapter)) != []
    assert len(answer(adapter, k=9)) == 7


def test_names_of_published_weights_need_no_file() -> None:
    card = builtin()["mobilenet_v3_small"]
    adapter = TorchvisionClassifier(card, Path("/nowhere") / card.weights[0].filename)
    assert len(adapter.names) == 1000


def test_what_training_scripts_and_safetensors_write(tmp_path: Path) -> None:
    card = builtin()["mobilenet_v3_small"]
    plain = saved(tmp_path, classes=20)
    expected = answer(TorchvisionClassifier(card, plain))
    state = torch.load(plain, weights_only=True)
    wrapped = tmp_path / "checkpoint.pth"
    torch.save({"epoch": 1, "model": {f"module.{k}": v for k, v in state.items()}}, wrapped)
    assert answer(TorchvisionClassifier(card, wrapped)) == expected
    sorted_by_name = tmp_path / "own.safetensors"
    save_file({k: v.contiguous() for k, v in state.items()}, sorted_by_name)
    assert answer(TorchvisionClassifier(card, sorted_by_name)) == expected


HYGIENE = """
import sys, numpy as np
from pathlib import Path
from visioncli.models import adapter_class, Options, Batch
from visioncli.registry.cards import builtin
card = builtin()[{name!r}]
adapter = adapter_class(card.adapter)(card, Path(card.weights[0].filename))
batch = adapter.prepare([np.zeros((40, 60, 3), np.uint8)])
len(adapter.names), adapter.network()
{finish}
heavy = sorted({{"torch", "torchvision", "ultralytics"}} & set(sys.modules))
assert not heavy, heavy
"""


def test_only_building_the_network_imports_torch() -> None:
    finish = "adapter.finish([np.zeros((1, 1000), np.float32)], batch, Options())"
    code = HYGIENE.format(name="mobilenet_v2", finish=finish)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted(n for n, c in builtin().items() if c.adapter == "torchvision-classify")
)
def test_every_classifier_builds(name: str, tmp_path: Path) -> None:
    """A state dict of the library's own goes in, key by key, and nothing stays without a value."""
    card = builtin()[name]
    with Unset():
        model = torchvision.models.get_model(card.factory, weights=None)
    # Of any size, yet one number each in the file.
    state = {k: torch.zeros((), dtype=v.dtype).expand(v.shape) for k, v in model.state_dict().items()}
    file = tmp_path / "zeros.pth"
    torch.save(state, file)
    adapter = adapter_class(card.adapter)(card, file)
    network = adapter.network().build()
    left = [k for k, v in (*network.named_parameters(), *network.named_buffers()) if v.is_meta]
    assert not left
    assert len(adapter.names) == 1000
    assert isinstance(adapter.prepare([PICTURE]), Batch)
