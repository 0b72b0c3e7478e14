"""torchvision's networks through our adapters answer as torchvision's own calls do."""

from __future__ import annotations

import copy
import csv
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, fasterrcnn_resnet50_fpn

from tests.parity import answering
from visioncli.models import Adapter, Batch, Options, Origin
from visioncli.models.tv_classify import TorchvisionClassifier
from visioncli.models.tv_detect import TorchvisionDetector
from visioncli.registry.cards import builtin
from visioncli.registry.weights import sha256
from visioncli.results import Detections
from visioncli.runtime import Runtime
from visioncli.runtime.openvino_runtime import OpenVinoRuntime
from visioncli.runtime.torch_runtime import TorchRuntime

MAX_PIXELS, MAX_SCORE = 0.5, 1e-3  # the promise; what is measured is a hundredth of it

# One of each family; small where the size is free, since a shared machine runs these.
QUICK = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": None,
    "ssdlite320_mobilenet_v3_large": None,
    "retinanet_resnet50_fpn": 160,
    "fcos_resnet50_fpn": 160,
}
SLOW = {
    "ssd300_vgg16": None,
    "fasterrcnn_mobilenet_v3_large_fpn": None,
    "fasterrcnn_resnet50_fpn": 480,
    "fasterrcnn_resnet50_fpn_v2": 240,
    "retinanet_resnet50_fpn_v2": 240,
    "fcos_resnet50_fpn": None,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Large networks of seeded weights, which nobody asks for again."""
    monkeypatch.setenv("VISION_CACHE", str(tmp_path / "kept"))
    yield
    shutil.rmtree(tmp_path / "kept", ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Many small passes: threads that wait for each other cost more than they bring on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(adapter: Adapter, runtime: Runtime, batch: Batch, options: Options) -> list[Any]:
    """What the pipeline does with a batch."""
    return adapter.finish(runtime(batch.inputs), batch, options)


def on_cpu(adapter: Adapter) -> TorchRuntime:
    return TorchRuntime(adapter.network(), device="cpu", precision="fp32")


def compiled(adapter: Adapter, file: Path) -> OpenVinoRuntime:
    """The adapter's network of the weights in `file`, compiled."""
    origin = Origin(file.stem, file, sha256(file), "", lambda picture: adapter.prepare([picture]).inputs)
    return OpenVinoRuntime(adapter.network(), origin, "fp32")


class Pair:
    """The library's detector with seeded weights that answer, and our adapter on the same weights."""

    def __init__(self, factory: str, imgsz: int | None, pictures: list[np.ndarray], folder: Path) -> None:
        torch.manual_seed(0)
        self.model = torchvision.models.get_model(factory, weights=None, weights_backbone=None)
        if imgsz is not None:
            transform = self.model.transform
            transform.min_size, transform.max_size = (imgsz,), round(imgsz * 1333 / 800)
        answering.torchvision_answer(self.model, factory, pictures)
        file = folder / f"{factory}.pth"
        torch.save(self.model.state_dict(), file)
        size = (imgsz, imgsz) if imgsz else None
        self.adapter = TorchvisionDetector(builtin()[factory], file, imgsz=size)
        self.runtime: Runtime = on_cpu(self.adapter)
        self.file = file

    def theirs(self, picture: np.ndarray, options: Options) -> Detections:
        """`model([picture])` with the options as the library calls them."""
        owner = getattr(self.model, "roi_heads", self.model)
        owner.score_thresh, owner.detections_per_img = options.conf, options.max_det
        with torch.inference_mode():
            answer = self.model([answering.to_tensor(picture)])[0]
        return Detections(*(answer[k].numpy() for k in ("boxes", "scores", "labels")))

    def ours(self, pictures: list[np.ndarray], options: Options) -> list[Detections]:
        return run(self.adapter, self.runtime, self.adapter.prepare(pictures), options)


@pytest.fixture(scope="session")
def pictures(data: Path) -> list[np.ndarray]:
    return answering.read_pictures(data / "coco" / "images", 4)


@pytest.fixture(scope="session")
def pair(pictures: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a `Pair`, once each."""
    folder = tmp_path_factory.mktemp("seeded")
    return functools.cache(lambda factory, imgsz: Pair(factory, imgsz, pictures[:2], folder))


def pair_parity(pair: Pair, pictures: list[np.ndarray]) -> tuple[int, float, float]:
    """Both sides on each picture: boxes, and how far apart at the most (px, score)."""
    count, boxes, scores = 0, 0.0, 0.0
    for picture in pictures:
        everything = pair.theirs(picture, Options(conf=0.05))
        options = Options(conf=answering.clear_threshold(everything.scores))
        theirs = pair.theirs(picture, options)
        answering.assert_answers(theirs.scores, theirs.classes)
        (ours,) = pair.ours([picture], options)
        difference = answering.compare(ours, theirs)
        assert difference.boxes < MAX_PIXELS
        assert difference.scores < MAX_SCORE
        count += len(theirs)
        boxes, scores = max(boxes, difference.boxes), max(scores, difference.scores)
    return count, boxes, scores


@pytest.mark.parametrize(("factory", "imgsz"), QUICK.items())
def test_detectors_answer_as_the_library(
    factory: str, imgsz: int | None, pair: Any, pictures: list[np.ndarray]
) -> None:
    pair_parity(pair(factory, imgsz), pictures[:2])


@pytest.mark.parametrize(
    ("factory", "imgsz"),
    [
        pytest.param(f, s, marks=() if f.startswith("ssdlite") else pytest.mark.slow)
        for f, s in [*QUICK.items(), *SLOW.items()]
        if not f.startswith("fasterrcnn")
    ],
)
def test_compiled_detectors_answer_as_the_library(
    factory: str, imgsz: int | None, pair: Any, pictures: list[np.ndarray]
) -> None:
    both = copy.copy(pair(factory, imgsz))
    both.runtime = compiled(both.adapter, both.file)
    pair_parity(both, pictures[:2])


@pytest.mark.slow
@pytest.mark.parametrize(("factory", "imgsz"), SLOW.items())
def test_all_detectors_answer_as_the_library(
    factory: str, imgsz: int | None, pair: Any, pictures: list[np.ndarray]
) -> None:
    pair_parity(pair(factory, imgsz), pictures[:2])


@pytest.mark.parametrize(
    ("factory", "imgsz"),
    [pytest.param(f, s, marks=pytest.mark.slow if s else ()) for f, s in QUICK.items()],
)
def test_a_batch_answers_as_its_pictures_alone(
    factory: str, imgsz: int | None, pair: Any, pictures: list[np.ndarray]
) -> None:
    """Pictures of unlike sizes that share a padded shape."""
    both = pair(factory, imgsz)
    # What the network was made to answer on, mirrored and cut: others may drive its scores to 1.0 throughout.
    sources = [*pictures[:2], *(p[:, ::-1] for p in pictures[:2])]
    same = [np.ascontiguousarray(p[: 240 - i, : 300 - 2 * i]) for i, p in enumerate(sources)]
    scores = [both.ours([p], Options(conf=0.05))[0].scores for p in same]
    options = Options(conf=answering.clear_threshold(*scores))
    alone = [both.ours([p], options)[0] for p in same]
    answering.assert_answers(alone[0].scores, alone[0].classes)
    joined = Batch.join([both.adapter.prepare([p]) for p in same])
    assert len(joined) == 4
    for one, other in zip(alone, run(both.adapter, both.runtime, joined, options), strict=True):
        difference = answering.compare(other, one)
        assert difference.boxes < MAX_PIXELS
        assert difference.scores < MAX_SCORE


@pytest.mark.slow
def test_published_weights_get_the_epsilon_they_were_trained_with(
    pictures: list[np.ndarray], pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library gives its published Faster R-CNN frozen norms with an epsilon of zero; so must we."""
    seeded = pair("fasterrcnn_resnet50_fpn", 480).model.state_dict()
    published = {k: v for k, v in seeded.items() if not k.endswith("num_batches_tracked")}
    # Small variances, so that an epsilon would be seen.
    published = {k: v * 1e-4 if k.endswith("running_var") else v for k, v in published.items()}
    published = {
        k: v * 1e-2 if k.endswith(("bn1.weight", "bn2.weight", "bn3.weight")) else v
        for k, v in published.items()
    }
    variant = FasterRCNN_ResNet50_FPN_Weights.COCO_V1
    monkeypatch.setattr(type(variant), "get_state_dict", lambda *_, **__: published)
    model = fasterrcnn_resnet50_fpn(weights=variant, min_size=160, max_size=266).eval()
    file = tmp_path / Path(variant.url).name
    torch.save(published, file)
    adapter = TorchvisionDetector(builtin()["fasterrcnn_resnet50_fpn"], file, imgsz=(160, 160))
    batch = adapter.prepare(pictures[:1])
    with torch.inference_mode():
        theirs = model.backbone(torch.from_numpy(batch.inputs[0]))["pool"]
        ours = adapter.network().build().backbone(torch.from_numpy(batch.inputs[0]))["pool"]
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


# Classifiers.


def _labels(data: Path) -> list[tuple[Path, int]]:
    with (data / "imagenet" / "labels.csv").open(encoding="utf-8") as file:
        return [(data / "imagenet" / row["path"], int(row["index"])) for row in csv.DictReader(file)]


def test_mobilenet_v2_has_the_librarys_top_5(weights: Path, data: Path) -> None:
    card = builtin()["mobilenet_v2"]
    adapter = TorchvisionClassifier(card, weights / "mobilenet_v2.pth")
    runtime = on_cpu(adapter)
    model = torchvision.models.mobilenet_v2().eval()
    model.load_state_dict(torch.load(weights / "mobilenet_v2.pth", weights_only=True))
    transform = torchvision.models.get_model_weights("mobilenet_v2")[card.default].transforms()
    for path, _ in _labels(data)[::10]:
        with Image.open(path) as image:
            picture = image.convert("RGB")
        with torch.inference_mode():
            scores, classes = model(transform(picture)[None]).softmax(-1)[0].topk(5)
        (ours,) = run(adapter, runtime, adapter.prepare([np.asarray(picture)]), Options(top_k=5))
        assert ours.classes.tolist() == classes.tolist()
        assert np.abs(ours.scores - scores.numpy()).max() < 1e-5


@pytest.mark.slow
def test_mobilenet_v2_is_as_good_as_it_is(weights: Path, data: Path) -> None:
    """Top-1 on data/imagenet as its README states, within 0.005."""
    adapter = TorchvisionClassifier(builtin()["mobilenet_v2"], weights / "mobilenet_v2.pth")
    runtime = on_cpu(adapter)
    right = []
    for path, label in _labels(data):
        with Image.open(path) as image:
            (ours,) = run(
                adapter, runtime, adapter.prepare([np.asarray(image.convert("RGB"))]), Options(top_k=1)
            )
        right.append(ours.classes[0] == label)
    assert len(right) == 200
    assert np.mean(right) == pytest.approx(0.835, abs=0.005)


SEEDED_CLASSIFIERS = ["efficientnet_v2_s", "inception_v3", "googlenet", "vit_b_16", "swin_t", "densenet121"]


@pytest.mark.slow
@pytest.mark.parametrize("factory", SEEDED_CLASSIFIERS)
def test_seeded_classifiers_answer_as_the_library(factory: str, data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    arguments = (
        {"transform_input": True, "init_weights": False} if factory in ("inception_v3", "googlenet") else {}
    )
    model = torchvision.models.get_model(factory, weights=None, **arguments)
    pictures = [Image.open(path).convert("RGB") for path, _ in _labels(data)[:4]]
    transform = torchvision.models.get_model_weights(factory).DEFAULT.transforms()
    pixels = torch.stack([transform(picture) for picture in pictures])
    last = list(dict(model.named_modules()))[-1]
    torch.nn.init.normal_(model.get_submodule(last).weight)  # zeros in ViT
    answering.make_answer(model, lambda: model(pixels), [{last: (0.0, 2.0)}])
    file = tmp_path / "seeded.pth"
    torch.save(model.state_dict(), file)
    adapter = TorchvisionClassifier(builtin()[factory], file)
    batch = adapter.prepare([np.asarray(picture) for picture in pictures])
    with torch.inference_mode():
        scores, classes = model(pixels).softmax(-1).topk(5)
    for runtime in (on_cpu(adapter), compiled(adapter, file)):
        for i, ours in enumerate(run(adapter, runtime, batch, Options())):
            assert ours.classes.tolist() == classes[i].tolist(), runtime.name
            # Seeded networks magnify what is rounded otherwise: 1.4e-5 in Inception.
            assert np.abs(ours.scores - scores[i].numpy()).max() < 1e-4, runtime.name


@pytest.mark.parametrize(
    "name", sorted(n for n, c in builtin().items() if c.adapter == "torchvision-classify")
)
def test_every_variants_picture_is_the_librarys(name: str) -> None:
    """The crop that goes into the network, to the byte: 80 classifiers, all their weights."""
    card = builtin()[name]
    picture = np.random.default_rng(0).integers(0, 256, (480, 500, 3), np.uint8)[::3, ::2].repeat(3, 0)
    for variant in card.weights:
        adapter = TorchvisionClassifier(card, Path(variant.filename))
        (ours,) = adapter.prepare([picture]).inputs[0]
        transform = torchvision.models.get_model_weights(card.factory)[variant.name].transforms()
        theirs = transform(Image.fromarray(picture))
        normalised = (
            torch.from_numpy(ours).permute(2, 0, 1) / 255 - torch.tensor(adapter._mean)[:, None, None]
        ) / torch.tensor(adapter._std)[:, None, None]
        assert torch.equal(normalised, theirs), variant.name
