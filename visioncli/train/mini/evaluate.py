"""Figures of `mini` on `data/` (never trained on): mAP on coco/, top-1 on imagenet/, mIoU on voc/.

    python -m visioncli.train.mini.evaluate build/mini/mini.safetensors

Boxes: conf 0.001, NMS IoU 0.7, at most 300, pycocotools. Top-1: short side 256, middle 224, bicubic. mIoU:
mean over the classes that occur, pixels of 255 left out, at the picture's own size.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from visioncli.models.mini_net import BINS, STRIDES, TASKS, MiniNet, load_mini
from visioncli.results import Image as Pixels

# what a small detector should do everywhere (coco/ has all but the cow), and the big things of a room
EVERYDAY = (
    "person",
    "car",
    "bus",
    "truck",
    "motorcycle",
    "bicycle",
    "train",
    "airplane",
    "boat",
    "cat",
    "dog",
    "cow",
    "horse",
    "bird",
    "chair",
    "bottle",
)
ROOM = ("tv", "laptop", "bed", "couch")


def points(height: int, width: int, device: Any = "cpu") -> tuple[Tensor, Tensor]:
    """Cell centres (A, 2) px and strides (A,) for an input of this size."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(
            torch.arange(height // stride, device=device) + 0.5,
            torch.arange(width // stride, device=device) + 0.5,
            indexing="ij",
        )
        centres.append(torch.stack([x, y], -1).view(-1, 2) * stride)
        strides.append(torch.full((len(centres[-1]),), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)


def decode(sides: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Side logits (N, 4·BINS, A) to boxes (N, A, 4) px: the mean of each side's distribution, in strides."""
    n, _, a = sides.shape
    share = sides.view(n, 4, BINS, a).float().softmax(2)
    distance = (share * torch.arange(BINS, device=sides.device, dtype=share.dtype)[:, None]).sum(2)
    distance = distance.transpose(1, 2) * strides[:, None]
    return torch.cat([centres - distance[..., :2], centres + distance[..., 2:]], -1)


def letterbox(picture: Pixels, size: int) -> tuple[Pixels, float]:
    """The picture scaled to a long side of `size`, padded below and right to multiples of 32."""
    h, w = picture.shape[:2]
    scale = size / max(h, w)
    nh, nw = round(h * scale), round(w * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out = np.full((-(-nh // 32) * 32, -(-nw // 32) * 32, 3), 114, np.uint8)
    out[:nh, :nw] = cv2.resize(picture, (nw, nh), interpolation=how)
    return out, scale


def tensor(picture: Pixels) -> Tensor:
    """(1, 3, H, W) in 0..1, channels last."""
    x = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    return x.contiguous(memory_format=torch.channels_last).float() / 255


def read(path: Path) -> Pixels:
    """A picture as RGB."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def detect(net: nn.Module, picture: Pixels, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (N, 4) px of the picture, scores and classes, at conf 0.001."""
    from torchvision.ops import batched_nms

    canvas, scale = letterbox(picture, size)
    sides, logits = net(tensor(canvas))[1:3]
    boxes = decode(sides, *points(*canvas.shape[:2]))[0]
    scores = logits[0].float().sigmoid().T
    cell, cls = torch.nonzero(scores > 0.001, as_tuple=True)
    score = scores[cell, cls]
    order = score.argsort(descending=True)[:4000]
    cell, cls, score = cell[order], cls[order], score[order]
    keep = batched_nms(boxes[cell], score, cls, 0.7)[:300]
    limit = torch.tensor([picture.shape[1], picture.shape[0]] * 2)
    return (boxes[cell[keep]] / scale).clamp(min=0).minimum(limit), score[keep], cls[keep]


def coco_figures(net: nn.Module, folder: Path, classes: list[str], size: int) -> dict[str, Any]:
    """mAP and mAP50 over all classes that occur, mAP50 over EVERYDAY and with ROOM, AP50 by class."""
    from pycocotools.coco import COCO  # type: ignore[import-untyped]
    from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "instances.json"))
        ids = {c["name"]: c["id"] for c in truth.dataset["categories"]}
        rows = []
        for image in truth.dataset["images"]:
            boxes, scores, labels = detect(net, read(folder / "images" / image["file_name"]), size)
            for (x1, y1, x2, y2), s, c in zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True):
                rows.append(
                    {
                        "image_id": image["id"],
                        "category_id": ids[classes[c]],
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "score": s,
                    }
                )
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # IoU, recall, class
    names = [truth.cats[i]["name"] for i in evaluation.params.catIds]
    by_class = {
        n: float(precision[0, :, k].mean()) for k, n in enumerate(names) if (precision[0, :, k] > -1).any()
    }
    everyday, room = ([by_class[c] for c in group if c in by_class] for group in (EVERYDAY, ROOM))
    return {
        "map": float(precision[precision > -1].mean()),
        "map50": float(np.mean(list(by_class.values()))),
        "everyday": float(np.mean(everyday)),
        "with_room": float(np.mean(everyday + room)),
        "person": by_class["person"],
        "by_class": by_class,
    }


def top1(net: nn.Module, folder: Path) -> float:
    """Share of the pictures whose best class is the right one."""
    right = []
    with (folder / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            image = Image.fromarray(read(folder / row["path"]))
            scale = 256 / min(image.size)
            image = image.resize(
                (round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC
            )
            x, y = (image.width - 224) // 2, (image.height - 224) // 2
            picture = np.asarray(image)[y : y + 224, x : x + 224]
            right.append(int(net(tensor(picture))[0].argmax()) == int(row["index"]))
    return float(np.mean(right))


def miou(net: nn.Module, folder: Path, size: int, classes: int = 21) -> float:
    """Mean IoU over the classes that occur."""
    matrix = np.zeros((classes, classes), np.int64)
    for path in sorted((folder / "images").iterdir()):
        picture = read(path)
        truth = np.asarray(Image.open(folder / "masks" / f"{path.stem}.png"))
        canvas, scale = letterbox(picture, size)
        logits = net(tensor(canvas))[3].float()
        logits = nn.functional.interpolate(logits, canvas.shape[:2], mode="bilinear")
        h, w = round(picture.shape[0] * scale), round(picture.shape[1] * scale)
        logits = nn.functional.interpolate(logits[:, :, :h, :w], picture.shape[:2], mode="bilinear")
        matrix += confusion(truth, logits[0].argmax(0).numpy(), classes)
    inter, union = np.diag(matrix), matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    present = matrix.sum(1) > 0
    return float((inter[present] / union[present]).mean())


def confusion(truth: NDArray[Any], answer: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """(classes, classes) pixel counts, truth by answer, without 255."""
    known = truth != 255
    index = truth[known].astype(np.int64) * classes + answer[known]
    return np.bincount(index, minlength=classes * classes).reshape(classes, classes)


def coco_names(folder: Path) -> list[str]:
    """The 80 names in the order of the network's classes."""
    with (folder / "instances.json").open() as file:
        return [c["name"] for c in sorted(json.load(file)["categories"], key=lambda c: c["id"])]


def figures(net: MiniNet, data: Path, size: int, tasks: tuple[str, ...] = TASKS) -> dict[str, Any]:
    """All figures of a network in evaluation mode."""
    out: dict[str, Any] = {}
    with torch.inference_mode():
        if "detect" in tasks:
            out |= coco_figures(net, data / "coco", coco_names(data / "coco"), size)
        if "segment" in tasks:
            out["miou"] = miou(net, data / "voc", size)
        if "classify" in tasks:
            out["top1"] = top1(net, data / "imagenet")
    return out


def main() -> None:
    """Command line of the figures."""
    parser = argparse.ArgumentParser(description="figures of mini on data/")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--size", type=int, default=320, help="long side for boxes and masks")
    args = parser.parse_args()
    result = figures(load_mini(args.weights).to(memory_format=torch.channels_last), args.data, args.size)
    for name, value in result.pop("by_class").items():
        print(f"{name:16} {value:.3f}")
    print(json.dumps({k: round(v, 4) for k, v in result.items()}))


if __name__ == "__main__":
    main()
