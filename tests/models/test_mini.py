"""`mini`: the answers of the network as training evaluates it, and the classes that a file names."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate
from torchvision.ops import batched_nms

from tests.build_weights import ROOT
from visioncli.errors import ModelError, UsageError
from visioncli.models import Adapter, Array, Options
from visioncli.models.mini import IOU, MiniClassifier, MiniDetector, MiniSegmenter
from visioncli.models.mini_net import MiniNet, load_mini
from visioncli.models.yolo_detect import anchor_points, decode
from visioncli.registry.lookup import resolve
from visioncli.registry.weights import PACKAGED
from visioncli.results import Detections, Image, Prediction, Regions
from visioncli.train.mini import evaluate
from visioncli.train.mini.export import export

WEIGHTS = PACKAGED / "mini.safetensors"
SIZE = 416  # long side, the card's
SAMPLES = [ROOT / "sample_media" / name for name in ("bus.jpg", "dog.jpg")]
BUILT: dict[Adapter, torch.nn.Module] = {}
MAKERS = {"detect": MiniDetector, "classify": MiniClassifier, "segment": MiniSegmenter}


@functools.cache
def adapter(task: str, path: Path = WEIGHTS, imgsz: tuple[int, int] | None = None) -> Adapter:
    return MAKERS[task](resolve("mini", task).card, path, imgsz=imgsz)


def built(one: Adapter) -> torch.nn.Module:
    """Its network, built once."""
    if one not in BUILT:
        BUILT[one] = one.network().build()
    return BUILT[one]


def run(one: Adapter, images: Sequence[Image], options: Options | None = None) -> list[Prediction]:
    """Pictures of one network shape through the adapter and torch, as one batch."""
    batch = one.prepare(images)
    with torch.inference_mode():
        outputs = built(one)(*map(torch.from_numpy, batch.inputs))
    return one.finish([o.numpy() for o in outputs], batch, options or Options())


@pytest.fixture(scope="module")
def net() -> MiniNet:
    return load_mini(WEIGHTS)


def test_decoded_as_in_training() -> None:
    rng = np.random.default_rng(1)
    sides = rng.normal(0, 3, (64, 10 * 7 * 16 + 10 * 7 * 4 + 10 * 7)).astype(np.float32)
    wanted = evaluate.decode(torch.from_numpy(sides)[None], *evaluate.points(320, 224))[0]
    np.testing.assert_allclose(decode(sides, *anchor_points(320, 224, (8, 16, 32))), wanted, atol=2e-3)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_boxes_of_the_evaluated_network(path: Path, net: MiniNet) -> None:
    """The same picture in, the same boxes out: decoded by torch, suppressed by torchvision."""
    picture = evaluate.read(path)
    canvas, scale = evaluate.letterbox(picture, SIZE)
    with torch.inference_mode():
        sides, logits = net(evaluate.tensor(canvas))[1:3]
    boxes = evaluate.decode(sides, *evaluate.points(*canvas.shape[:2]))[0]
    labels = resolve("mini", "detect").card.labels()
    scores, classes = logits[0, [labels.index(name) for name in adapter("detect").names]].sigmoid().max(0)
    sure = scores > 0.05
    boxes, scores, classes = boxes[sure], scores[sure], classes[sure]
    keep = batched_nms(boxes, scores, classes, IOU)
    limit = torch.tensor([picture.shape[1], picture.shape[0]] * 2)
    (ours,) = run(adapter("detect"), [picture], Options(conf=0.05))
    assert isinstance(ours, Detections)
    assert len(ours) == len(keep) > 1
    assert ours.classes.tolist() == classes[keep].tolist()
    np.testing.assert_allclose(ours.scores, scores[keep], atol=1e-4)
    np.testing.assert_allclose(ours.boxes, (boxes[keep] / scale).clamp(min=0).minimum(limit), atol=1.5)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_map_of_the_evaluated_network(path: Path, net: MiniNet) -> None:
    picture = evaluate.read(path)
    canvas, scale = evaluate.letterbox(picture, SIZE)
    height, width = (round(side * scale) for side in picture.shape[:2])
    with torch.inference_mode():
        logits = interpolate(net(evaluate.tensor(canvas))[3], canvas.shape[:2], mode="bilinear")
        logits = interpolate(logits[:, :, :height, :width], picture.shape[:2], mode="bilinear")
    labels = resolve("mini", "segment").card.labels()
    names = list(adapter("segment").names)
    wanted = logits[0, [labels.index(name) for name in names]].argmax(0).numpy()
    (ours,) = run(adapter("segment"), [picture])
    assert isinstance(ours, Regions)
    assert len(ours) >= 2
    assert (ours.map == wanted).mean() > 0.999


def test_classes_of_real_pictures() -> None:
    one = adapter("classify")
    pictures = [evaluate.read(ROOT / "sample_media" / name) for name in ("cat.jpg", "coffee.jpg")]
    best = [one.names[prediction.classes[0]] for prediction in run(one, pictures)]
    assert "cat" in best[0]
    assert best[1] in ("espresso", "cup")


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_one_answer_in_any_batch(task: str) -> None:
    one = adapter(task)
    picture = evaluate.read(SAMPLES[0])
    pictures = [picture, picture[:, ::-1].copy(), 255 - picture]
    together = run(one, pictures, Options(conf=0.1))
    for picture, prediction in zip(pictures, together, strict=True):
        (alone,) = run(one, [picture], Options(conf=0.1))
        assert alone.classes.tolist() == prediction.classes.tolist()
        if isinstance(alone, Detections) and isinstance(prediction, Detections):
            np.testing.assert_allclose(alone.boxes, prediction.boxes, atol=0.5)


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (700, 3), (33, 31), (480, 640)])
def test_any_shape(size: tuple[int, int]) -> None:
    """Boxes inside the picture, a class for each of its pixels."""
    picture = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    (found,) = run(adapter("detect"), [picture], Options(conf=0.01))
    assert isinstance(found, Detections)
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [size[1], size[0]] * 2).all()
    (regions,) = run(adapter("segment"), [picture])
    assert isinstance(regions, Regions)
    assert regions.map.shape == size
    assert regions.areas.sum() == size[0] * size[1]
    (classes,) = run(adapter("classify"), [picture], Options(top_k=3))
    assert len(classes) == 3


def test_sizes() -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    shapes = {
        imgsz: adapter("detect", imgsz=imgsz).prepare([picture]).inputs[0].shape[1:3]
        for imgsz in [None, (320, 320), (256, 600)]
    }
    assert shapes == {None: (320, 416), (320, 320): (256, 320), (256, 600): (256, 352)}
    assert adapter("classify", imgsz=(160, 160)).prepare([picture]).inputs[0].shape == (1, 160, 160, 3)
    with pytest.raises(UsageError, match="square"):
        adapter("classify", imgsz=(160, 192)).prepare([picture])


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that ships, made to answer a few classes only."""
    path = tmp_path_factory.mktemp("some") / "mini.safetensors"
    export(WEIGHTS, path, answers={"detects": "person,bus", "segments": "__background__,person"})
    return path


def test_a_file_that_answers_some_classes(some: Path) -> None:
    picture = evaluate.read(SAMPLES[0])
    one, other = adapter("detect", some), adapter("segment", some)
    assert (one.names, other.names) == (("person", "bus"), ("__background__", "person"))
    (found,) = run(one, [picture])
    (regions,) = run(other, [picture])
    assert set(found.classes.tolist()) == {0, 1}
    assert set(regions.classes.tolist()) == {0, 1}
    with torch.inference_mode():
        scores = built(one)(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))[1]
    assert scores.shape[1] == 2
    assert len(adapter("classify", some).names) == 1000


def test_maps_of_wanted_classes_only(some: Path) -> None:
    picture = evaluate.read(SAMPLES[0])
    (regions,) = run(adapter("segment", some), [picture], Options(classes=frozenset([1])))
    assert isinstance(regions, Regions)
    assert set(np.unique(regions.map).tolist()) == {1, 255}


def test_unknown_classes_are_refused(tmp_path: Path) -> None:
    export(WEIGHTS, tmp_path / "mini.safetensors", answers={"detects": "person,unicorn"})
    with pytest.raises(ModelError, match="unicorn"):
        _ = adapter("detect", tmp_path / "mini.safetensors").names


@pytest.mark.parametrize("content", [b"", b"junk" * 50, b'\x10\0\0\0\0\0\0\0{"a": 1}', b"\xff" * 64])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mini.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"mini\.safetensors"):
        adapter("detect", path).network().build()


def test_other_peoples_tensors_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    arrays: dict[str, Array] = {"weight": np.zeros((3, 3), np.float32)}
    save_file(arrays, tmp_path / "mini.safetensors")
    with pytest.raises(ModelError, match="does not hold the weights of mini"):
        adapter("detect", tmp_path / "mini.safetensors").network().build()


def test_what_ships() -> None:
    """One file of at most 12 MB that says what it is."""
    files = [p for p in PACKAGED.iterdir() if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 12_000_000
    assert {"person", "car", "cat", "dog"} <= set(adapter("detect").names)
    assert "__background__" in adapter("segment").names
