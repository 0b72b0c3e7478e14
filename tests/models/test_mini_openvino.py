"""`mini` in OpenVINO's operations is `mini` in torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from visioncli.models.mini import raw_head
from visioncli.models.mini_openvino import model
from visioncli.registry.weights import PACKAGED
from visioncli.runtime._openvino import core
from visioncli.train.mini.export import export

pytest.importorskip("openvino")
WEIGHTS = PACKAGED / "mini.safetensors"
SHAPES = {"detect": [(2, 96, 160), (1, 320, 224)], "segment": [(1, 160, 96)], "classify": [(3, 224, 224)]}


def pixels(shape: tuple[int, int, int]) -> np.ndarray:
    """Pictures with something in them: noise alone leaves the outputs flat."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (shape[0], shape[1] // 16, shape[2] // 16, 3), np.uint8)
    return coarse.repeat(16, 1).repeat(16, 2)


@pytest.mark.parametrize(
    ("head", "chosen", "norms"),
    [
        ("detect", None, True),
        ("detect", [0, 2, 16], False),
        ("segment", [0, 15], True),
        ("classify", None, False),
    ],
)
def test_the_same_outputs(head: str, chosen: list[int] | None, norms: bool, tmp_path: Path) -> None:
    """At fp32, at any shape, of all classes and of some, with batch norms in the file and without."""
    if norms:
        path = with_norms(tmp_path)
    else:
        export(WEIGHTS, path := tmp_path / "folded.safetensors")
    compiled = core().compile_model(model(path, head, chosen), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    wanted = raw_head(path, head, chosen)
    for shape in SHAPES[head]:
        picture = pixels(shape)
        with torch.inference_mode():
            outputs = wanted(torch.from_numpy(picture))
        got = list(compiled([picture]).values())
        assert len(got) == len(outputs) == (2 if head == "detect" else 1)
        for one, other in zip(got, outputs, strict=True):
            assert one.shape == tuple(other.shape)
            assert float(other.std()) > 0.1, "a flat output proves nothing"
            np.testing.assert_allclose(one, other, atol=2e-3)


def with_norms(folder: Path) -> Path:
    """A network with batch norms that do something, saved as an export that keeps them."""
    from safetensors.torch import save_file

    from visioncli.models.mini_net import MiniNet

    torch.manual_seed(0)
    net = MiniNet(folded=False)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.6)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.1, 0.6)  # type: ignore[arg-type]
    path = folder / "norms.safetensors"
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
    return path


def test_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from visioncli.models.mini_openvino import model\n"
        f"model(Path({str(WEIGHTS)!r}), 'detect', None)\n"
        "print(sorted({'torch', 'torchvision', 'ultralytics', 'openvino_telemetry'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
