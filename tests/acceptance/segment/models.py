"""Segmentation's answers beside the libraries' own, their quality, their records, and what they need."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.acceptance import BIN, World, bar, check
from tests.build_weights import ROOT

# COCO's protocol.
CONF, IOU, MOST = 0.001, 0.7, 300
MARGIN = 0.005
SIDE = 240  # px: seeded networks on a CPU


def pictures(world: World) -> list[Path]:
    """data/coco."""
    return sorted((world.data / "coco" / "images").glob("*.jpg"))


@contextlib.contextmanager
def few_threads() -> Iterator[None]:
    """Both sides of a comparison in one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@check("13.1", "YOLOv8n-seg answers as its library with retina masks, 64 pictures")
def yolo(world: World) -> str:
    from tests.parity.masks import yolo_parity

    apart = yolo_parity(world.weights / "yolov8n-seg.pt", pictures(world))
    figure = (
        f"{apart.objects} objects, labels equal, boxes {apart.boxes:.1e} px, scores {apart.scores:.1e} apart"
        f" at most, masks' mean IoU {apart.mean_iou:.4f} (worst {apart.worst_iou:.3f})"
    )
    close = apart.boxes <= 0.5 and apart.scores <= 1e-3 and apart.mean_iou >= 0.98
    return bar(close and apart.objects > 250, figure)


@check("13.1", "mask mAP of YOLOv8n-seg from our record beside the library's own masks")
def mask_map(world: World) -> str:
    out = world.folder("mask map") / "record.jsonl"
    options = ("--conf", CONF, "--iou", IOU, "--max-det", MOST, "--precision", "fp32")
    world.vision(
        "segment", world.data / "coco" / "images", "--model", "yolov8n-seg", *options, "--no-media",
        "--jsonl", out, "--offline",
    )  # fmt: skip
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    ours = [
        (Path(line["source"]).name, row["label"], row["score"], row["mask"])
        for line in lines
        if line["type"] == "result"
        for row in line["results"]
    ]
    mine, reference = coco_map(world, ours), coco_map(world, list(library_masks(world)))
    figure = f"{mine:.4f}, library's {reference:.4f}, {abs(mine - reference):.4f} apart"
    return bar(mine > 0.3 and abs(mine - reference) <= MARGIN, figure)


def library_masks(world: World) -> Iterator[tuple[str, str, float, dict]]:
    """The library's retina masks of data/coco as run lengths."""
    from pycocotools import mask as coco

    from tests.parity.masks import predict
    from tests.parity.ultralytics_own import predictor

    model = predictor(world.weights / "yolov8n-seg.pt")
    for path in pictures(world):
        found, masks = predict(model, path, conf=CONF, iou=IOU, max_det=MOST)
        for c, score, mask in zip(found.classes.tolist(), found.scores.tolist(), masks, strict=True):
            yield path.name, model.names[c], score, coco.encode(np.asfortranarray(mask.astype(np.uint8)))


def coco_map(world: World, found: list[tuple[str, str, float, dict]]) -> float:
    """mAP of masks at 0.5 to 0.95, by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(world.data / "coco" / "instances.json"))
        files = {image["file_name"]: image["id"] for image in truth.dataset["images"]}
        ids = {category["name"]: category["id"] for category in truth.dataset["categories"]}
        answers = [
            {"image_id": files[file], "category_id": ids[label], "score": score, "segmentation": mask}
            for file, label, score, mask in found
        ]
        evaluation = COCOeval(truth, truth.loadRes(answers), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


@check("13.2", "Mask R-CNN, both versions: torchvision's own boxes and masks")
def mask_rcnn(world: World) -> str:
    from tests.parity.answering import read_pictures
    from tests.parity.masks import Apart, MaskRcnnPair

    some = read_pictures(world.data / "coco" / "images", 1)
    figures, good = [], True
    with few_threads():
        for factory in ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"):
            pair = MaskRcnnPair(factory, SIDE, some, world.folder(factory))
            apart: Apart = pair.parity(some[0])
            figures.append(
                f"{factory.removeprefix('maskrcnn_')} {apart.objects} masks, mean IoU {apart.mean_iou:.4f},"
                f" worst {apart.worst_iou:.3f}, boxes {apart.boxes:.1e} px"
            )
            good &= apart.boxes <= 0.5 and apart.scores <= 1e-3 and apart.mean_iou >= 0.99
    return bar(good, "; ".join(figures))


@check("13.2", "FCN, DeepLabV3, LR-ASPP: torchvision's own argmax at the picture's resolution")
def semantic(world: World) -> str:
    from tests.parity.answering import read_pictures
    from tests.parity.masks import semantic_parity

    some = read_pictures(world.data / "coco" / "images", 2)
    figures, good = [], True
    with few_threads():
        for factory in ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"):
            answers = list(semantic_parity(factory, some, world.folder(factory)))
            equal, classes = min(e for e, _ in answers), min(c for _, c in answers)
            figures.append(f"{factory} {equal:.4%} equal, {classes} classes")
            good &= equal >= 0.999 and classes >= 3
    return bar(good, "; ".join(figures))


@check("13.4", "run lengths as pycocotools writes them")
def round_trips(world: World) -> str:
    from pycocotools import mask as coco

    from visioncli import rle
    from visioncli.results import Masks

    random = np.random.default_rng(13)
    count = 2000
    for _ in range(count):
        height, width = random.integers(1, 120, 2)
        mask = random.random((height, width)) < random.choice([0.02, 0.3, 0.7, 0.98])
        if random.random() < 0.5:  # larger shapes than noise
            mask = np.repeat(np.repeat(mask, 7, 0), 5, 1)
        masks = Masks.of(mask.shape, [(0, 0, mask)])
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        (ours,) = rle.encode(masks)
        assert ours == {"size": theirs["size"], "counts": theirs["counts"].decode()}
        assert np.array_equal(rle.decode(ours), mask)
        assert np.array_equal(rle.masks_of([ours], mask.shape).full(0), mask)
    return f"{count} masks to the bit, and back"


@check("13.6", "a 12-megapixel photo with 100 instances: memory above the model's")
def large(world: World) -> str:
    from PIL import Image

    from tests.bench.bench import measure

    folder = world.folder("large")
    photo = Image.new("RGB", (4000, 3000))
    for i, path in enumerate(pictures(world)[:12]):
        with Image.open(path) as one:
            photo.paste(one.convert("RGB").resize((1000, 1000)), (i % 4 * 1000, i // 4 * 1000))
    photo.save(folder / "large.jpg", quality=90)
    Image.new("RGB", (64, 64)).save(folder / "small.jpg")
    peaks, found = {}, []
    for name, most in (("small", 1), ("large", 100)):
        record = folder / f"{name}.jsonl"
        command = [
            BIN / "vision", "segment", folder / f"{name}.jpg", "--model", "yolov8n-seg", "--imgsz", 1280,
            "--conf", 0.005, "--max-det", most, "--jsonl", record, "--polygons", "--quiet", "--runtime",
            "torch", "--out", folder / f"{name} out", "--masks", folder / f"{name} masks",
        ]  # fmt: skip
        peaks[name] = measure([str(part) for part in command], {**os.environ, **world.environment}).megabytes
        found = json.loads(record.read_text("utf-8").splitlines()[1])["results"]
    worst = whole_pictures(100)
    figure = (
        f"{len(found)} instances with overlay, masks and polygons: {peaks['large'] - peaks['small']:.0f} MB"
        f" more than a tiny picture's {peaks['small']:.0f}; 100 that each fill the picture: {worst:.0f} MB"
    )
    most_mb = 1.5 * 1024**3 / 1e6
    return bar(len(found) == 100 and max(peaks["large"] - peaks["small"], worst) <= most_mb, figure)


def whole_pictures(count: int) -> float:
    """Megabytes that so many masks take at their peak, each as large as the 12-megapixel picture."""
    # VmHWM is this program's own; ru_maxrss begins with the peak of the process that started it.
    code = f"""
import numpy as np
from visioncli.models.letterbox import Letterbox
from visioncli.models.yolo_segment import mix
def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
before = peak()
fit = Letterbox(3000, 4000, (480, 640), (480, 640), 0, 0)
boxes = np.tile(np.array([0, 0, 4000, 3000], np.float32), ({count}, 1))
masks = mix(np.ones((32, 120, 160), np.float32), np.ones((32, {count}), np.float32), boxes, fit)
assert len(masks) == {count} and (masks.areas == 12_000_000).all()
print((peak() - before) / 1e6)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)
