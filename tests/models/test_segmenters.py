"""Segmenters: no torch around the network, every published one builds, masks lie where the library's do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torchvision.models.detection.roi_heads import paste_masks_in_image

from tests.models.test_tv_classify import HYGIENE
from visioncli.errors import ModelError
from visioncli.models import Options, adapter_class, prepare
from visioncli.models.letterbox import Letterbox
from visioncli.models.tv_segment import TorchvisionSegmenter, paste
from visioncli.models.tv_semantic import TorchvisionSemantic
from visioncli.models.tv_weights import Unset
from visioncli.models.yolo_segment import mix
from visioncli.registry.cards import builtin

SEMANTIC = sorted(n for n, c in builtin().items() if c.adapter == "torchvision-semantic")
MASK_RCNN = sorted(n for n, c in builtin().items() if c.adapter == "torchvision-segment")
FINISH = {
    "lraspp_mobilenet_v3_large": "adapter.finish([np.zeros((1, 21, 9, 9), np.float32)], batch, Options())",
    "maskrcnn_resnet50_fpn": "ones = [np.ones((1, 2, *n), np.float32) for n in ((4,), (), (), (28, 28))];"
    "adapter.finish([*ones, np.array([2])], batch, Options())",
}


@pytest.mark.parametrize("name", FINISH)
def test_only_building_the_network_imports_torch(name: str) -> None:
    code = HYGIENE.format(name=name, finish=FINISH[name])
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SEMANTIC, *MASK_RCNN])
def test_every_segmenter_builds(name: str, tmp_path: Path) -> None:
    """A state dict of the library's own goes in, with the auxiliary head that published files have."""
    card = builtin()[name]
    auxiliary = {"aux_loss": True} if name.startswith(("fcn", "deeplab")) else {}
    with Unset():
        model = torchvision.models.get_model(name, weights=None, weights_backbone=None, **auxiliary)
    # Of any size, yet one number each in the file.
    state = {k: torch.zeros((), dtype=v.dtype).expand(v.shape) for k, v in model.state_dict().items()}
    file = tmp_path / "zeros.pth"
    torch.save(state, file)
    adapter = adapter_class(card.adapter)(card, file)
    network = adapter.network().build()
    assert not [k for k, v in (*network.named_parameters(), *network.named_buffers()) if v.is_meta]
    assert len(adapter.names) == (21 if name in SEMANTIC else 91)


def test_another_number_of_classes(tmp_path: Path) -> None:
    model = torchvision.models.get_model(
        "lraspp_mobilenet_v3_large", weights=None, weights_backbone=None, num_classes=5
    )
    file = tmp_path / "mine.pth"
    torch.save(model.state_dict(), file)
    card = builtin()["lraspp_mobilenet_v3_large"]
    adapter = TorchvisionSemantic(card, file)
    assert adapter.names == tuple(f"class {i}" for i in range(5))
    adapter.network().build()
    with pytest.raises(ModelError, match="not weights of"):
        TorchvisionSemantic(builtin()["fcn_resnet50"], file).network().build()


@pytest.mark.parametrize("size", [(480, 640), (37, 50)])
def test_pasted_as_the_library_pastes(size: tuple[int, int]) -> None:
    """Also over the picture's edges, and boxes of no size."""
    random = np.random.default_rng(0)
    height, width = size
    corners = random.uniform(-0.1, 1.1, (40, 2, 2)) * (width, height)
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1).clip(0, (width, height) * 2)
    boxes = np.concatenate([boxes, [[0, 0, width, height], [5, 5, 5, 5], [3, 4, 3.2, 30]]]).astype(np.float32)
    small = random.random((len(boxes), 7, 7), np.float32).repeat(4, 1).repeat(4, 2)
    theirs = paste_masks_in_image(torch.from_numpy(small)[:, None], torch.from_numpy(boxes), size)[:, 0]
    ours = paste(small, boxes, size)
    assert len(ours) == len(boxes)
    for i, mask in enumerate(theirs.numpy()):
        clear = np.abs(mask - 0.5) > 1e-4
        assert np.array_equal(ours.full(i)[clear], (mask > 0.5)[clear]), i


def test_yolo_masks_end_at_their_boxes() -> None:
    fit = Letterbox(480, 640, (480, 640), (480, 640), 0, 0)
    protos = np.ones((2, 120, 160), np.float32)
    boxes = np.array([[10.4, 20, 30, 40.2], [0, 0, 640, 480], [7, 7, 7, 7]], np.float32)
    masks = mix(protos, np.array([[1, 1, 1], [0, -2, 0]], np.float32), boxes, fit)
    assert masks.areas.tolist() == [19 * 21, 0, 0]
    assert masks.corners[0].tolist() == [20, 11]


def test_what_is_asked_goes_into_the_batch() -> None:
    card = builtin()["maskrcnn_resnet50_fpn"]
    adapter = TorchvisionSegmenter(card, Path(card.weights[0].filename))
    picture = np.zeros((30, 40, 3), np.uint8)
    asked = Options(0.3, 0.4, 7, frozenset({2}), agnostic_nms=True)
    batch = prepare(adapter, [picture], asked)
    np.testing.assert_allclose(batch.inputs[2][0, :4], [0.3, 0.4, 7, 1])
    assert np.flatnonzero(batch.inputs[2][0, 4:]).tolist() == [2]
    (defaults,) = adapter.prepare([picture]).inputs[2]
    assert np.isnan(defaults[1]) and (defaults[4:] == 1).all()
