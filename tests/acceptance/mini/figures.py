"""12.2: figures of `mini` on real pictures that it was never trained on, through the command line."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tests.acceptance import World, bar, check
from tests.acceptance.spine.quality import labels, record

# The least, and what is aimed at.
PERSON, EVERYDAY, CLASSES, TOP_1, FROM_START, MIOU = 0.46, 0.36, 16, 0.75, 0.08, 0.40
AIMS = {"person": 0.58, "everyday": 0.48, "top-1": 0.03, "mIoU": 0.50}
START_TOP_1 = 0.905  # the start weights on the same pictures, with the padding that they were trained with


def average_precisions(world: World, model: str) -> Mapping[str, float]:
    """AP50 of each class that the model answers and data/coco has, at COCO's thresholds."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    out = world.folder(f"boxes {model}") / "record.jsonl"
    pictures = world.data / "coco" / "images"
    options = ["--conf", 0.001, "--max-det", 300, "--no-media", "--jsonl", out, "--offline"]
    world.vision("detect", pictures, "--model", model, *options)
    first, *lines = record(out)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(world.data / "coco" / "instances.json"))
        files = {image["file_name"]: image["id"] for image in truth.dataset["images"]}
        ids = {category["name"]: category["id"] for category in truth.dataset["categories"]}
        answers = [
            {"image_id": files[Path(line["source"]).name], "category_id": ids[found["label"]],
             "score": found["score"], "bbox": [x1, y1, x2 - x1, y2 - y1]}
            for line in lines if line["type"] == "result"
            for found in line["results"] for x1, y1, x2, y2 in [found["box"]]
        ]  # fmt: skip
        evaluation = COCOeval(truth, truth.loadRes(answers), "bbox")
        evaluation.params.catIds = [ids[name] for name in first["model"]["names"]]
        evaluation.evaluate()
        evaluation.accumulate()
    at_half = evaluation.eval["precision"][0, :, :, 0, -1]  # IoU 0.5: recall, class
    found = zip(first["model"]["names"], at_half.T, strict=True)
    return {name: float(curve.mean()) for name, curve in found if (curve > -1).any()}


def ours_by_class(world: World) -> Mapping[str, float]:
    return average_precisions(world, "mini")


def yolo_by_class(world: World) -> Mapping[str, float]:
    return average_precisions(world, "yolo26n")


@check("12.2", "AP50 of person, mean AP50 over the classes that mini answers")
def boxes(world: World) -> str:
    ours, yolo = (world.once(precisions) for precisions in (ours_by_class, yolo_by_class))
    mean, peer = np.mean(list(ours.values())), np.mean([yolo[name] for name in ours])
    figure = (
        f"person {ours['person']:.3f} (at least {PERSON}, aim {AIMS['person']}; "
        f"YOLO26n {yolo['person']:.3f}), mean {mean:.3f} over {len(ours)} classes "
        f"(at least {EVERYDAY} over {CLASSES}, aim {AIMS['everyday']}; YOLO26n {peer:.3f}); "
    ) + ", ".join(f"{name} {value:.2f}" for name, value in ours.items())
    return bar(ours["person"] >= PERSON and mean >= EVERYDAY and len(ours) >= CLASSES, figure)


@check("12.2", "top-1 of mini on 200 pictures")
def top_1(world: World) -> str:
    first = {name: share_right(world, name) for name in ("mini", "mobilenet_v2")}
    lost = START_TOP_1 - first["mini"]
    figure = (
        f"{first['mini']:.3f} (at least {TOP_1}), {lost:.3f} below the start weights (at most {FROM_START}, "
        f"aim {AIMS['top-1']}); MobileNetV2 {first['mobilenet_v2']:.3f}"
    )
    return bar(first["mini"] >= TOP_1 and lost <= FROM_START, figure)


def share_right(world: World, model: str) -> float:
    """Of the pictures of data/imagenet, those whose best class is the right one."""
    out = world.folder(f"classes {model}") / "record.jsonl"
    pictures = world.data / "imagenet"
    world.vision(
        "classify", pictures, "--recursive", "--model", model, "--no-media", "--jsonl", out, "--offline"
    )
    truth = {str(path): number for path, number in labels(world.data).items()}
    answers = {
        line["source"]: line["results"][0]["class"] for line in record(out) if line["type"] == "result"
    }
    assert answers.keys() == truth.keys(), "not one answer a picture"
    return float(np.mean([answers[path] == number for path, number in truth.items()]))


def class_ious(world: World) -> Mapping[str, float]:
    """IoU of each class that data/voc has; a class that the model does not answer counts 0."""
    folder = world.folder("regions mini")
    images, masks = world.data / "voc" / "images", world.data / "voc" / "masks"
    options = ["--masks", folder / "masks", "--jsonl", folder / "record.jsonl", "--no-media", "--offline"]
    world.vision("segment", images, "--model", "mini", *options)
    names = (world.data / "voc" / "classes.txt").read_text("utf-8").split()
    number = np.zeros(256, np.int64)  # in `names`, of our class as the masks have it
    for ours, name in enumerate(record(folder / "record.jsonl")[0]["model"]["names"]):
        number[ours] = names.index(name.strip("_"))
    pixels = np.zeros((len(names), len(names)), np.int64)  # truth by answer
    for path in sorted(images.iterdir()):
        answer = number[read(folder / "masks" / f"{path.stem}.png")]
        truth = read(masks / f"{path.stem}.png").astype(np.int64)
        known = truth != 255
        np.add.at(pixels, (truth[known], answer[known]), 1)
    both, either = np.diag(pixels), pixels.sum(0) + pixels.sum(1) - np.diag(pixels)
    return {n: float(both[i] / either[i]) for i, n in enumerate(names) if pixels[i].any()}


def read(path: Path) -> np.ndarray:
    """The numbers in an indexed picture."""
    with Image.open(path) as image:
        return np.asarray(image)


@check("12.2", "mIoU of mini on 32 pictures")
def regions(world: World) -> str:
    ious = world.once(class_ious)
    mean = np.mean(list(ious.values()))
    figure = f"{mean:.3f} over {len(ious)} classes (at least {MIOU}, aim {AIMS['mIoU']}); "
    return bar(mean >= MIOU, figure + ", ".join(f"{name} {value:.2f}" for name, value in ious.items()))
