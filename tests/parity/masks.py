"""Masks and maps of the libraries' own calls, and ours beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image

from tests.parity import answering
from tests.parity.answering import compare, make_answer, to_tensor
from tests.parity.ultralytics_own import predictor
from visioncli import load
from visioncli.models import Options, prepare
from visioncli.models.tv_segment import TorchvisionSegmenter
from visioncli.models.tv_semantic import TorchvisionSemantic
from visioncli.registry.cards import builtin
from visioncli.results import Detections
from visioncli.runtime.torch_runtime import TorchRuntime

MOST_SHARE = 0.02  # of the pixels, that a class must have to count


@dataclass(frozen=True)
class Apart:
    """How far two answers with masks are apart, over one or many pictures."""

    objects: int
    boxes: float
    scores: float
    mean_iou: float
    worst_iou: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[Detections, Detections, np.ndarray]]) -> Apart:
        """Of (ours, theirs, their masks (N, H, W) bool); AssertionError where counts or labels differ."""
        differences = [compare(ours, theirs) for ours, theirs, _ in pairs]
        every = np.concatenate([ious(*pair) for pair in pairs])
        return cls(
            sum(len(theirs) for _, theirs, _ in pairs),
            max(d.boxes for d in differences),
            max(d.scores for d in differences),
            float(every.mean()),
            float(every.min()),
        )


def ious(ours: Detections, theirs: Detections, whole: np.ndarray) -> np.ndarray:
    """IoU of each of our masks with that of the same object of theirs; 1 where both are empty."""
    assert ours.masks is not None
    values = []
    for i in range(len(ours)):
        far = np.abs(theirs.boxes - ours.boxes[i]).max(1) + 1e4 * (theirs.classes != ours.classes[i])
        mine, other = ours.masks.full(i), whole[int(far.argmin())]
        union = np.count_nonzero(mine | other)
        values.append(np.count_nonzero(mine & other) / union if union else 1.0)
    return np.array(values)


# Ultralytics.


def predict(model: Any, picture: Path | np.ndarray, **options: Any) -> tuple[Detections, np.ndarray]:
    """`model.predict(retina_masks=True)`: its objects, and their masks (N, H, W) bool."""
    source = str(picture) if isinstance(picture, Path) else np.ascontiguousarray(picture[..., ::-1])
    answer = model.predict(source, verbose=False, device="cpu", retina_masks=True, **options)[0]
    boxes = answer.boxes
    found = Detections(boxes.xyxy.numpy(), boxes.conf.numpy(), boxes.cls.numpy().astype(np.int64))
    return found, np.zeros((0, 1, 1), bool) if answer.masks is None else answer.masks.data.numpy() > 0


def yolo_parity(weights: Path, pictures: Sequence[Path], **options: Any) -> Apart:
    """Our API beside the library's predict, picture by picture."""
    ours, theirs = load(str(weights), runtime="torch", precision="fp32"), predictor(weights)
    return Apart.of([(ours(p, **options).detections, *predict(theirs, p, **options)) for p in pictures])


def seeded_yolo(name: str, folder: Path, pictures: Sequence[np.ndarray], size: int) -> Path:
    """A segmentation checkpoint of `name`'s YAML with seeded weights that answer on `pictures`."""
    from ultralytics.nn.tasks import SegmentationModel

    torch.manual_seed(0)
    model = SegmentationModel(f"{name}.yaml", verbose=False)
    head = f"model.{len(model.model) - 1}"
    stage = {f"{head}.cv2.{level}": (1.0, 1.0) for level in range(3)}
    stage |= {f"{head}.cv3.{level}": (-4.0, 2.0) for level in range(3)}
    stage |= {f"{head}.cv4.{level}": (0.0, 1.0) for level in range(3)}
    inputs = _inputs(pictures, size)
    make_answer(model, lambda: [model(i) for i in inputs], [stage])
    model.names = {i: f"thing {i}" for i in range(80)}
    path = folder / f"{name}.pt"
    torch.save({"model": model, "train_args": {"imgsz": size, "task": "segment"}}, path)
    return path


def seeded_yolo_parity(path: Path, pictures: Sequence[np.ndarray]) -> tuple[int, float]:
    """Objects, and the mean IoU of their masks, at thresholds with some room around them."""
    from tests.parity.test_ultralytics import threshold_for

    ours, theirs = load(str(path), runtime="torch", precision="fp32"), predictor(path)
    pairs = []
    for picture in pictures:
        everything, _ = predict(theirs, picture, conf=0.01)
        conf = threshold_for(everything.scores, 25, 80)
        pairs.append((ours(picture, conf=conf).detections, *predict(theirs, picture, conf=conf)))
    apart = Apart.of(pairs)
    assert apart.boxes <= 0.5 and apart.scores <= 1e-3
    return apart.objects, apart.mean_iou


def seeded_yolo_semantic(folder: Path, pictures: Sequence[np.ndarray], size: int, classes: int = 12) -> Path:
    """A semantic checkpoint with seeded weights that answer on `pictures`."""
    from ultralytics.nn.tasks import SemanticSegmentationModel

    torch.manual_seed(0)
    model = SemanticSegmentationModel("yolo26n-sem.yaml", nc=classes, verbose=False)
    inputs = _inputs(pictures, size)
    stage = {f"model.{len(model.model) - 1}.classifier": (0.0, 2.0)}
    make_answer(model, lambda: [model(i) for i in inputs], [stage])
    model.names = {i: f"stuff {i}" for i in range(classes)}
    path = folder / "yolo26n-sem.pt"
    torch.save({"model": model, "train_args": {"imgsz": size, "task": "semantic"}}, path)
    return path


def yolo_semantic_parity(path: Path, pictures: Sequence[np.ndarray]) -> Iterator[tuple[float, int]]:
    """For each picture: the share of equal pixels, and how many classes have some share of it."""
    ours, theirs = load(str(path), runtime="torch", precision="fp32"), predictor(path)
    for picture in pictures:
        source = np.ascontiguousarray(picture[..., ::-1])
        imgsz = int(max(ours.adapter.size))  # type: ignore[attr-defined]
        answer = theirs.predict(source, verbose=False, device="cpu", imgsz=imgsz)[0]
        yield _equal(ours(picture).regions.map, answer.semantic_mask.data.numpy())


def _inputs(pictures: Sequence[np.ndarray], size: int) -> list[torch.Tensor]:
    import cv2

    return [
        torch.from_numpy(cv2.resize(p, (size, size))).permute(2, 0, 1)[None].float() / 255 for p in pictures
    ]


def _equal(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, int]:
    shares = np.bincount(theirs.reshape(-1).astype(np.int64)) / theirs.size
    return float((ours == theirs).mean()), int(np.count_nonzero(shares >= MOST_SHARE))


# torchvision.


def semantic_parity(
    factory: str, pictures: Sequence[np.ndarray], folder: Path
) -> Iterator[tuple[float, int]]:
    """As `yolo_semantic_parity`, for a seeded network beside the library's transforms and its own call."""
    torch.manual_seed(0)
    auxiliary = {} if factory.startswith("lraspp") else {"aux_loss": True}
    model = torchvision.models.get_model(
        factory, weights=None, weights_backbone=None, num_classes=21, **auxiliary
    ).eval()
    transform = torchvision.models.get_model_weights(factory).DEFAULT.transforms()
    last = ["classifier.low_classifier", "classifier.high_classifier"] if not auxiliary else ["classifier"]
    inputs = [transform(Image.fromarray(p))[None] for p in pictures]
    make_answer(model, lambda: [model(i) for i in inputs], [dict.fromkeys(last, (0.0, 3.0))])
    file = folder / f"{factory}.pth"
    torch.save(model.state_dict(), file)
    adapter = TorchvisionSemantic(builtin()[factory], file)
    runtime = TorchRuntime(adapter.network(), device="cpu", precision="fp32")
    for picture, tensor in zip(pictures, inputs, strict=True):
        with torch.inference_mode():
            logits = model(tensor)["out"]
            size = picture.shape[:2]
            at_picture = torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        batch = adapter.prepare([picture])
        (ours,) = adapter.finish(runtime(batch.inputs), batch, Options())
        yield _equal(ours.map, at_picture.argmax(1)[0].numpy())


class MaskRcnnPair:
    """The library's Mask R-CNN with seeded weights that answer, and our adapter on the same weights."""

    def __init__(self, factory: str, imgsz: int, pictures: Sequence[np.ndarray], folder: Path) -> None:
        torch.manual_seed(0)
        self.model = torchvision.models.get_model(factory, weights=None, weights_backbone=None)
        transform = self.model.transform
        transform.min_size, transform.max_size = (imgsz,), round(imgsz * 1333 / 800)
        answering.torchvision_answer(self.model, factory, pictures)
        file = folder / f"{factory}.pth"
        torch.save(self.model.state_dict(), file)
        self.adapter = TorchvisionSegmenter(builtin()[factory], file, imgsz=(imgsz, imgsz))
        self.runtime = TorchRuntime(self.adapter.network(), device="cpu", precision="fp32")

    def theirs(self, picture: np.ndarray, options: Options) -> tuple[Detections, np.ndarray]:
        """`model([picture])`: its objects, and their masks above one half."""
        self.model.roi_heads.score_thresh = options.conf
        self.model.roi_heads.detections_per_img = options.max_det
        with torch.inference_mode():
            answer = self.model([to_tensor(picture)])[0]
        found = Detections(*(answer[k].numpy() for k in ("boxes", "scores", "labels")))
        return found, answer["masks"].numpy()[:, 0] > 0.5

    def parity(self, picture: np.ndarray) -> Apart:
        """Both sides at a threshold with some room around it; at least 20 objects with masks."""
        everything, _ = self.theirs(picture, Options(conf=0.05))
        options = Options(conf=answering.clear_threshold(everything.scores))
        theirs, whole = self.theirs(picture, options)
        answering.assert_answers(theirs.scores, theirs.classes)
        filled = np.count_nonzero(whole.any((1, 2)))
        assert filled >= answering.MIN_BOXES, f"only {filled} masks"
        batch = prepare(self.adapter, [picture], options)
        (ours,) = self.adapter.finish(self.runtime(batch.inputs), batch, options)
        return Apart.of([(ours, theirs, whole)])
