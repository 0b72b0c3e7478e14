"""Promise 1 for masks: ours are those of the libraries' own calls, in the same process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from tests.parity import answering, masks
from tests.parity.ultralytics_own import predictor
from visioncli import load
from visioncli.models import Batch, Options, prepare


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Many small passes: threads that wait for each other cost more than they bring on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pictures(data: Path) -> list[np.ndarray]:
    return answering.read_pictures(data / "coco" / "images", 4)


def test_yolo_masks_are_the_librarys(weights: Path, data: Path) -> None:
    some = sorted((data / "coco" / "images").glob("*.jpg"))[:4]
    apart = masks.yolo_parity(weights / "yolov8n-seg.pt", some)
    assert apart.objects > 15
    assert apart.boxes <= 0.5 and apart.scores <= 1e-3
    assert apart.mean_iou >= 0.98
    assert apart.worst_iou >= 0.9


@pytest.mark.parametrize("shape", [(900, 30), (333, 1000)])
def test_yolo_masks_of_odd_shapes(weights: Path, data: Path, shape: tuple[int, int]) -> None:
    """Padding on whole, half and quarter pixels of the prototypes, and pictures hardly there at all."""
    photo = Image.open(sorted((data / "coco" / "images").glob("*.jpg"))[0]).convert("RGB")
    picture = np.asarray(photo.resize(shape[::-1]))
    path = weights / "yolov8n-seg.pt"
    ours, theirs = load(str(path), runtime="torch"), predictor(path)
    answer, (reference, whole) = ours(picture, conf=0.05), masks.predict(theirs, picture, conf=0.05)
    answering.compare(answer.detections, reference)
    ious = masks.ious(answer.detections, reference, whole)
    assert not len(ious) or ious.mean() >= 0.98


@pytest.mark.slow
def test_yolo_masks_on_all_pictures(weights: Path, data: Path) -> None:
    apart = masks.yolo_parity(weights / "yolov8n-seg.pt", sorted((data / "coco" / "images").glob("*.jpg")))
    assert apart.objects > 250
    assert apart.boxes <= 0.5 and apart.scores <= 1e-3
    assert apart.mean_iou >= 0.98


@pytest.mark.slow
def test_compiled_networks_give_the_same_masks(
    weights: Path, data: Path, pictures: Sequence[np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    for path in (weights / "yolov8n-seg.pt", masks.seeded_yolo_semantic(tmp_path, pictures, 256)):
        reference, compiled = (
            load(str(path), runtime=runtime, precision="fp32")(pictures[0])
            for runtime in ("torch", "openvino")
        )
        if path.name == "yolov8n-seg.pt":
            assert answering.compare(compiled.detections, reference.detections).boxes <= 0.5
            ious = masks.ious(compiled.detections, reference.detections, whole(reference.detections))
            assert ious.mean() >= 0.98
        else:
            assert (compiled.regions.map == reference.regions.map).mean() >= 0.999


@pytest.mark.slow
def test_yolo26_masks(pictures: Sequence[np.ndarray], tmp_path: Path) -> None:
    """The other kind of head: prototypes from all levels, two branches of which one is used."""
    path = masks.seeded_yolo("yolo26n-seg", tmp_path, pictures, 320)
    objects, mean = masks.seeded_yolo_parity(path, pictures[:3])
    assert objects >= 60
    assert mean >= 0.98


def test_ultralytics_semantic(pictures: Sequence[np.ndarray], tmp_path: Path) -> None:
    path = masks.seeded_yolo_semantic(tmp_path, pictures, 256)
    for equal, classes in masks.yolo_semantic_parity(path, pictures[:3]):
        assert classes >= 3
        assert equal >= 0.999


QUICK_SEMANTIC = ["lraspp_mobilenet_v3_large"]
SLOW_SEMANTIC = ["deeplabv3_mobilenet_v3_large"]  # FCN is in `make acceptance`


@pytest.mark.parametrize(
    "factory", [*QUICK_SEMANTIC, *(pytest.param(f, marks=pytest.mark.slow) for f in SLOW_SEMANTIC)]
)
def test_semantic_maps_are_the_librarys(factory: str, pictures: Sequence[np.ndarray], tmp_path: Path) -> None:
    for equal, classes in masks.semantic_parity(factory, pictures[:2], tmp_path):
        assert classes >= 3
        assert equal >= 0.999


@pytest.fixture(scope="module")
def mask_rcnn(pictures: Sequence[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> masks.MaskRcnnPair:
    """The second version is in `make acceptance`: its heads are slow on a CPU."""
    return masks.MaskRcnnPair(
        "maskrcnn_resnet50_fpn", 160, pictures[:1], tmp_path_factory.mktemp("mask_rcnn")
    )


@pytest.mark.slow
def test_mask_rcnn_is_the_librarys(mask_rcnn: masks.MaskRcnnPair, pictures: Sequence[np.ndarray]) -> None:
    apart = mask_rcnn.parity(pictures[0])
    assert apart.objects >= answering.MIN_BOXES
    assert apart.boxes < 0.5 and apart.scores < 1e-3
    assert apart.mean_iou >= 0.99


@pytest.mark.slow
def test_the_options_reach_the_mask_head(
    mask_rcnn: masks.MaskRcnnPair, pictures: Sequence[np.ndarray]
) -> None:
    """conf, iou, max_det, classes and agnostic_nms decide before masks are made; a batch changes nothing."""
    adapter, picture = mask_rcnn.adapter, pictures[0]

    def answers(*some: np.ndarray, **options: Any) -> list[Any]:
        asked = Options(**options)
        batch = Batch.join([prepare(adapter, [one], asked) for one in some])
        found = adapter.finish(mask_rcnn.runtime(batch.inputs), batch, asked)
        assert all(len(one.masks) == len(one) for one in found)
        return found

    best = answers(picture, conf=0.05, max_det=60)[0]
    assert len(best) == 60
    conf = answering.clear_threshold(best.scores)
    (all_of_them,) = answers(picture, conf=conf)
    assert 25 <= len(all_of_them) < 60
    assert len(answers(picture, conf=conf, max_det=7)[0]) == 7
    label = int(np.bincount(all_of_them.classes).argmax())
    (only,) = answers(picture, conf=conf, classes=frozenset({label}))
    assert set(only.classes.tolist()) == {label}
    (apart,) = answers(picture, conf=conf, iou=0.01)
    (agnostic,) = answers(picture, conf=conf, iou=0.01, agnostic_nms=True)
    assert len(agnostic) < len(apart) <= len(all_of_them)
    first, second = answers(picture, np.ascontiguousarray(picture[:, ::-1]), conf=conf)
    assert answering.compare(first, all_of_them).boxes < 0.5
    assert masks.ious(first, all_of_them, whole(all_of_them)).mean() > 0.99
    assert len(second) != 0


def whole(found: Any) -> np.ndarray:
    """All masks at the picture's size."""
    return np.stack([found.masks.full(i) for i in range(len(found))])


def test_what_goes_into_semantic_networks_is_the_librarys() -> None:
    """The resized picture, to the byte."""
    from visioncli.models.tv_semantic import TorchvisionSemantic
    from visioncli.registry.cards import builtin

    card = builtin()["fcn_resnet50"]
    adapter = TorchvisionSemantic(card, Path(card.weights[0].filename))
    transform = torchvision.models.get_model_weights("fcn_resnet50").DEFAULT.transforms()
    for shape in [(480, 640), (700, 333), (520, 520)]:
        picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        ours = adapter.prepare([picture]).inputs[0][0]
        theirs = transform(Image.fromarray(picture))
        mean, std = (torch.tensor(v)[:, None, None] for v in (adapter._mean, adapter._std))
        assert torch.equal((torch.from_numpy(ours).permute(2, 0, 1) / 255 - mean) / std, theirs)
    long = adapter.prepare([np.zeros((1, 20_000, 3), np.uint8)])
    assert long.inputs[0].shape == (1, 520, 520 * 16, 3)
