"""torchvision's detectors: what goes in, and what the options make of what comes out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from tests.models.test_tv_classify import HYGIENE
from visioncli.errors import ModelError, UsageError
from visioncli.models import Batch, Options
from visioncli.models.tv_detect import TorchvisionDetector
from visioncli.registry.cards import builtin

DETECTORS = sorted(n for n, c in builtin().items() if c.adapter == "torchvision-detect")
RETINANET = builtin()["retinanet_resnet50_fpn"]


def detector(name: str, imgsz: tuple[int, int] | None = None) -> TorchvisionDetector:
    card = builtin()[name]
    return TorchvisionDetector(card, Path(card.weights[0].filename), imgsz=imgsz)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", DETECTORS)
def test_what_goes_in_is_the_librarys(name: str) -> None:
    """Size, padding, normalisation, and where the picture lies in it."""
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    transform: GeneralizedRCNNTransform = model.transform
    for shape in [(48, 64), (90, 41), (2, 30)]:
        source = picture(*shape)
        theirs, _ = transform([torch.from_numpy(source).permute(2, 0, 1).float() / 255])
        batch = detector(name).prepare([source])
        assert batch.inputs[0].shape == theirs.tensors.shape
        # Of values up to 150 in SSD's case.
        margin = 1e-6 * max(float(theirs.tensors.abs().max()), 3)
        assert np.abs(batch.inputs[0] - theirs.tensors.numpy()).max() < margin
        assert [fit.inner for fit in batch.geometry] == theirs.image_sizes
        if name.startswith("fasterrcnn"):
            assert batch.inputs[1].tolist() == [list(size) for size in theirs.image_sizes]


def test_imgsz() -> None:
    shape = (480, 640)
    assert detector("fcos_resnet50_fpn", (400, 400)).prepare([picture(*shape)]).geometry[0].inner == (
        400,
        533,
    )
    assert detector("fcos_resnet50_fpn", (400, 450)).prepare([picture(*shape)]).geometry[0].inner == (
        337,
        450,
    )
    assert detector("ssd300_vgg16", (300, 300)).prepare([picture(*shape)]).inputs[0].shape == (1, 3, 300, 300)
    with pytest.raises(UsageError, match="300 pixels only"):
        detector("ssd300_vgg16", (512, 512))


def test_a_thread_of_a_picture_keeps_a_pixel() -> None:
    batch = detector("fasterrcnn_mobilenet_v3_large_320_fpn").prepare([picture(1, 5000)])
    assert batch.inputs[0].shape == (1, 3, 32, 640)
    assert batch.geometry[0].inner == (1, 640)


def outputs(rows: list[tuple[float, int, tuple[float, float, float, float]]]) -> list[np.ndarray]:
    """What RetinaNet's network says when its boxes are these: (score, label, box)."""
    scores, labels, boxes = zip(*rows, strict=True)
    return [
        np.array([scores], np.float32), np.array([labels], np.int64),
        np.zeros((1, len(rows), 4), np.float32), np.array([boxes], np.float32),
    ]  # fmt: skip


ROWS = [
    (0.9, 1, (10.0, 10.0, 110.0, 110.0)),
    (0.8, 1, (12.0, 10.0, 112.0, 110.0)),  # IoU 0.96 with the first
    (0.7, 3, (10.0, 12.0, 110.0, 112.0)),
    (0.6, 3, (400.0, 300.0, 450.0, 390.0)),
    (0.3, 17, (500.0, 10.0, 900.0, 90.0)),  # beyond the right edge
]


def finish(**options: object) -> list[tuple[int, float]]:
    adapter = detector("retinanet_resnet50_fpn", (480, 480))
    batch = adapter.prepare([picture(240, 320)])  # doubled: 480 by 640
    (found,) = adapter.finish(outputs(ROWS), batch, Options(**options))  # type: ignore[arg-type]
    return [(int(c), round(float(s), 2)) for c, s in zip(found.classes, found.scores, strict=True)]


def test_options() -> None:
    assert finish() == [(1, 0.9), (3, 0.7), (3, 0.6), (17, 0.3)]
    assert finish(conf=0.5) == [(1, 0.9), (3, 0.7), (3, 0.6)]
    assert finish(iou=0.99) == [(1, 0.9), (1, 0.8), (3, 0.7), (3, 0.6), (17, 0.3)]
    assert finish(max_det=2) == [(1, 0.9), (3, 0.7)]
    assert finish(agnostic_nms=True) == [(1, 0.9), (3, 0.6), (17, 0.3)]
    assert finish(classes=frozenset({3, 17}), max_det=2) == [(3, 0.7), (3, 0.6)]
    # As in Ultralytics: a class that is not asked for suppresses nothing.
    assert finish(classes=frozenset({3}), agnostic_nms=True) == [(3, 0.7), (3, 0.6)]
    assert finish(conf=0.95) == []


def test_boxes_come_back_in_the_pictures_own_pixels() -> None:
    adapter = detector("retinanet_resnet50_fpn", (480, 480))
    batch = adapter.prepare([picture(240, 320)])
    (found,) = adapter.finish(outputs(ROWS), batch, Options())
    assert found.boxes[0].tolist() == [5, 5, 55, 55]
    assert found.boxes[-1].tolist() == [250, 5, 320, 45]
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.classes.dtype == np.int64


def test_labels_are_the_librarys_numbers() -> None:
    names = detector("retinanet_resnet50_fpn").names
    assert list(names) == torchvision.models.get_model_weights(RETINANET.factory).DEFAULT.meta["categories"]


@pytest.mark.parametrize("name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large"])
def test_own_classes_are_counted(name: str, tmp_path: Path) -> None:
    file = tmp_path / "own.pth"
    torch.save(torchvision.models.get_model(name, weights_backbone=None, num_classes=5).state_dict(), file)
    adapter = TorchvisionDetector(builtin()[name], file)
    assert list(adapter.names) == [f"class {i}" for i in range(5)]
    batch = adapter.prepare([picture(60, 80)])
    with torch.inference_mode():
        out = [o.numpy() for o in adapter.network().build()(*map(torch.from_numpy, batch.inputs))]
    assert out[0].shape[-1] == 5
    (found,) = adapter.finish(out, batch, Options(conf=0.0, max_det=10))
    assert set(found.classes.tolist()) <= {1, 2, 3, 4}
    other = TorchvisionDetector(builtin()["fcos_resnet50_fpn"], file)
    with pytest.raises(ModelError, match="not weights of fcos_resnet50_fpn"):
        other.network().build()


def test_what_is_no_detector_says_so() -> None:
    card = replace(RETINANET, factory="keypointrcnn_resnet50_fpn")
    with pytest.raises(ModelError, match="keypointrcnn_resnet50_fpn: no detector that is known"):
        TorchvisionDetector(card, Path("none.pth"))


def test_no_proposal_is_no_object() -> None:
    adapter = detector("fasterrcnn_mobilenet_v3_large_320_fpn")
    batch = adapter.prepare([picture(60, 80)])
    shapes = [(1, 150, 91), (1, 150, 364), (1, 150, 4)]
    empty = [*(np.zeros(s, np.float32) for s in shapes), np.zeros(1, np.int64)]
    assert [len(d) for d in adapter.finish(empty, batch, Options(conf=0.001))] == [0]


def test_pictures_join_only_where_their_shapes_agree() -> None:
    adapter = detector("fasterrcnn_mobilenet_v3_large_320_fpn")
    one, other, tall = (adapter.prepare([picture(*s)]) for s in [(240, 319), (240, 318), (320, 240)])
    assert one.shape == other.shape != tall.shape
    assert len(Batch.join([one, other])) == 2


def test_only_building_the_network_imports_torch() -> None:
    finish = (
        "adapter.finish([np.zeros((1, 9, 91)), np.zeros((1, 9, 4)), np.zeros((1, 9, 4))], batch, Options())"
    )
    code = HYGIENE.format(name="ssd300_vgg16", finish=finish)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
