"""Is the geometry right from end to end? Two networks learn four pictures by heart and must answer them.

    python -m tests.overfit [--instance] [--semantic] [--keep DIR]

A small Mask R-CNN (a plugin) learns four pictures of `data/coco/`, LR-ASPP four of `data/voc/`. Then
`vision segment` answers the same pictures, and its own records and masks are held against the human labels:
mask mAP and mIoU above 0.5. On one core at low priority, some minutes each.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.build_weights import ROOT, build, shared
from tests.overfit import plugin
from visioncli import records

COCO_PICTURES = ("000000000776", "000000001675", "000000001818", "000000004795")
VOC_PICTURES = ("2007_006171", "2008_001513", "2010_004994", "2011_000006")  # of one size
LRASPP = "lraspp_mobilenet_v3_large"
SIDE = 260  # px of LR-ASPP's shorter side: half of its own, since one core trains it
BAR = 0.5


def main() -> int:
    """0 where the bar is reached by all that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.overfit", description=__doc__)
    parser.add_argument("--instance", action="store_true", help="Mask R-CNN only")
    parser.add_argument("--semantic", action="store_true", help="LR-ASPP only")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave weights, records and copies here")
    options = parser.parse_args()
    both = options.instance == options.semantic
    data = shared()
    if data is None:
        print("needs the real weights and media: set VISION_SHARED", file=sys.stderr)
        return 3
    os.nice(10)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="vision-overfit-") as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        figures = {}
        if both or options.instance:
            figures["mask mAP"] = instance(data / "data" / "coco", folder)
        if both or options.semantic:
            figures["mIoU"] = semantic(data / "data" / "voc", folder)
    for what, figure in figures.items():
        print(f"{what} {figure:.3f}: {'reached' if figure > BAR else 'MISSED'} (bar: above {BAR})")
    return 0 if all(figure > BAR for figure in figures.values()) else 1


def vision(folder: Path, *arguments: object) -> list[dict[str, Any]]:
    """The result lines of `vision segment …`, with the plugin installed."""
    info = folder / "site" / "vision_overfit-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vision-overfit\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[visioncli.models]\noverfit = tests.overfit.plugin:card\n")
    record = folder / "record.jsonl"
    command = [
        Path(sys.executable).parent / "vision", "segment", *arguments, "--out", folder / "copies",
        "--jsonl", record, "--force", "--precision", "fp32",
    ]  # fmt: skip
    path = os.pathsep.join([str(info.parent), str(ROOT)])
    subprocess.run([str(c) for c in command], env={**os.environ, "PYTHONPATH": path}, check=True)
    return [line for line in records.read(record) if line["type"] == "result"]


def train(
    network: torch.nn.Module, loss: Callable[[], torch.Tensor], steps: int, rate: float
) -> torch.nn.Module:
    """AdamW with a warm-up and a cosine, one step a `loss()`."""
    optimizer = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), rate)
    began = time.monotonic()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 10) * (1 + math.cos(math.pi * step / steps)) / 2
        value = loss()
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimizer.step()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step}: loss {value.item():.3f}, {time.monotonic() - began:.0f} s", flush=True)
    return network.eval()


# Mask R-CNN.


def instance(coco: Path, folder: Path) -> float:
    """Mask mAP of the four pictures, by pycocotools."""
    truth = COCO(coco / "instances.json")
    images = [i for i in truth.dataset["images"] if Path(i["file_name"]).stem in COCO_PICTURES]
    assert len(images) == len(COCO_PICTURES)
    pictures = [tensor(coco / "images" / i["file_name"]) for i in images]
    targets = [target(truth, i["id"]) for i in images]

    network = plugin.network(
        len(plugin.NAMES), box_batch_size_per_image=32, rpn_pre_nms_top_n_train=500,
        rpn_post_nms_top_n_train=300,
    )  # fmt: skip
    pretrained = torch.load(
        build(ROOT / "build" / "weights", quiet=True) / "mobilenet_v2.pth", weights_only=True
    )
    body = {k.removeprefix("features."): v for k, v in pretrained.items() if k.startswith("features.")}
    network.backbone.body.load_state_dict(
        {k: v for k, v in body.items() if not k.endswith("num_batches_tracked")}
    )
    network.train()
    train(network, lambda: sum(network(pictures, targets).values()), steps=80, rate=5e-4)
    weights = folder / "overfit_maskrcnn.pth"
    torch.save(network.state_dict(), weights)

    files = [coco / "images" / i["file_name"] for i in images]
    lines = vision(folder, "--model", f"{plugin.NAME}:{weights}", "--conf", "0.05", *files)
    ids = {i["file_name"]: i["id"] for i in images}
    categories = {c["name"]: c["id"] for c in truth.dataset["categories"]}
    found = [
        {
            "image_id": ids[Path(line["source"]).name],
            "category_id": categories[row["label"]],
            "score": row["score"],
            "segmentation": row["mask"],
        }
        for line in lines
        for row in line["results"]
    ]
    evaluation = COCOeval(truth, truth.loadRes(found), "segm")
    evaluation.params.imgIds = sorted(ids.values())
    evaluation.params.catIds = sorted(categories[n] for n in plugin.NAMES[1:])
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


def tensor(path: Path) -> torch.Tensor:
    """(3, H, W) in 0..1."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def target(truth: COCO, image: int) -> dict[str, torch.Tensor]:
    """Boxes, labels and masks as the library trains on them."""
    rows = truth.loadAnns(truth.getAnnIds(image))
    masks = np.stack([coco_masks.decode(truth.annToRLE(row)) for row in rows])
    boxes = torch.tensor([row["bbox"] for row in rows])
    boxes[:, 2:] += boxes[:, :2]
    names = [truth.cats[row["category_id"]]["name"] for row in rows]
    labels = torch.tensor([plugin.NAMES.index(name) for name in names])
    return {"boxes": boxes, "labels": labels, "masks": torch.from_numpy(masks)}


# LR-ASPP.


def semantic(voc: Path, folder: Path) -> float:
    """Mean IoU over the classes of the four pictures, void left out."""
    network = torchvision.models.get_model(LRASPP, weights=None, weights_backbone=None, num_classes=21)
    pairs = [pair(voc, name) for name in VOC_PICTURES]
    inputs, labels = (torch.stack(parts) for parts in zip(*pairs, strict=True))

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(network(inputs)["out"], labels, ignore_index=255)

    network.train()
    train(network, loss, steps=60, rate=2e-3)
    settle(network, inputs)
    weights = folder / f"{LRASPP}.pth"
    torch.save(network.state_dict(), weights)

    files = [voc / "images" / f"{name}.jpg" for name in VOC_PICTURES]
    masks = folder / "masks"
    lines = vision(folder, "--model", f"{LRASPP}:{weights}", "--imgsz", SIDE, "--masks", masks, *files)
    together = np.zeros((21, 21), np.int64)
    for line in lines:
        name = Path(line["source"]).stem
        with Image.open(voc / "masks" / f"{name}.png") as image:
            wanted = np.array(image).astype(np.int64)
        with Image.open(line["mask_file"]) as image:
            ours = np.array(image)
        assert ours.shape == wanted.shape
        known = wanted != 255
        together += np.bincount(wanted[known] * 21 + ours[known].astype(np.int64), minlength=441).reshape(
            21, 21
        )
    hit = np.diag(together)
    union = together.sum(0) + together.sum(1) - hit
    there = together.sum(1) > 0
    print("IoU", {int(c): round(float(hit[c] / union[c]), 3) for c in np.flatnonzero(there)})
    return float((hit[there] / union[there]).mean())


def pair(voc: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture as the library's transforms make it, at our size, and its labels at that size."""
    transform = torchvision.models.get_model_weights(LRASPP).DEFAULT.transforms(resize_size=SIDE)
    with Image.open(voc / "images" / f"{name}.jpg") as image:
        picture = transform(image.convert("RGB"))
    with Image.open(voc / "masks" / f"{name}.png") as image:
        labels = np.array(image.resize((picture.shape[2], picture.shape[1]), Image.Resampling.NEAREST))
    return picture, torch.from_numpy(labels).long()


def settle(network: torch.nn.Module, inputs: torch.Tensor) -> None:
    """Batch norms take the statistics that they were trained with: those of the whole batch, of today."""
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 1
    network.train()
    with torch.no_grad():
        network(inputs)
    network.eval()


if __name__ == "__main__":
    sys.exit(main())
