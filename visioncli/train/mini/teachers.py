"""Step 2: label the packed photographs with bigger networks (twice the photographs' size, low threshold).

    python -m visioncli.train.mini.teachers --weights build/weights/yolo11n.pt

Writes `teacher-NAME.jsonl` in the record's form (boxes in pixels of the photograph, scores from 0.1). A
network with masks writes `teacher-NAME.u8` too: VOC classes in the layout of `masks.u8`, 255 where it is
unsure. The networks run compiled (OpenVINO, bf16 where the CPU has it), cut into the library's own NMS.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from visioncli.results import Image as Pixels
from visioncli.train.mini.pack import Photos

SIZE = 640
SHAPES = ((480, 640), (640, 480), (640, 640))
BATCH = 8
KEEP = 0.1  # boxes from this score on are written
SURE = 0.4  # masks from this score on count; below, their pixels are 255

VOC_OF_COCO = {
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "dining table": "diningtable",
    "potted plant": "pottedplant",
    "couch": "sofa",
    "tv": "tvmonitor",
}


def voc_of(classes: list[str], voc: list[str]) -> NDArray[np.uint8]:
    """(80,) uint8: the VOC class of each COCO class, 0 for those that VOC does not have."""
    names = [VOC_OF_COCO.get(c, c) for c in classes]
    return np.array([voc.index(n) if n in voc else 0 for n in names], np.uint8)


def place(height: int, width: int) -> tuple[tuple[int, int], float]:
    """The network shape for a photograph and the scale that brings its long side to `SIZE`."""
    scale = SIZE / max(height, width)
    h, w = round(height * scale), round(width * scale)
    return next(s for s in SHAPES if h <= s[0] and w <= s[1]), scale


def batches(photos: Photos, limit: int | None) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Photographs of one network shape, `BATCH` at a time."""
    for shape in SHAPES:
        rows = [i for i, r in enumerate(photos.records[:limit]) if place(r["height"], r["width"])[0] == shape]
        for start in range(0, len(rows), BATCH):
            yield shape, rows[start : start + BATCH]


def canvas(picture: Pixels, shape: tuple[int, int], scale: float) -> NDArray[np.float32]:
    """(3, H, W) float32 in 0..1: the picture enlarged, top left, grey below and right of it."""
    import cv2

    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    out = np.full((*shape, 3), 114, np.uint8)
    out[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(out.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


class Cut(torch.nn.Module):
    """A YOLO network up to its raw outputs, so that reduced precision never touches pixel coordinates."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(N, 3, H, W) to box logits (N, 4R, A), class logits (N, 80, A), mask weights and prototypes."""
        _, raw = self.model(x)  # decoded boxes, raw maps
        raw = raw.get("one2many", raw)
        masks = (raw["mask_coefficient"], raw["proto"]) if "proto" in raw else ()
        return raw["boxes"], raw["scores"], *masks


def network(weights: Path, shape: tuple[int, int], threads: int) -> tuple[Any, list[str]]:
    """The checkpoint's network compiled for a full batch of `shape`, and its class names."""
    import openvino
    from ultralytics.nn.tasks import load_checkpoint

    model, _ = load_checkpoint(str(weights), device="cpu", fuse=False)
    model.model[-1].end2end = False  # the head that wants NMS: also YOLO26's better one
    names = [model.names[i] for i in range(len(model.names))]
    example = torch.zeros(BATCH, 3, *shape)
    cut = Cut(model.float().eval().fuse(verbose=False))
    with torch.no_grad():
        cut(example)  # the head keeps its anchors from the first call on; the trace wants them there
        converted = openvino.convert_model(cut, example_input=example, input=[(BATCH, 3, *shape)])
    options = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": threads}
    return openvino.Core().compile_model(converted, "CPU", options), names


def decode(outputs: list[torch.Tensor], shape: tuple[int, int]) -> torch.Tensor:
    """(N, 4 + 80 + masks, A): xywh in pixels of the network's input, scores, and what else there is."""
    boxes, scores, *rest = outputs
    points = []
    for stride in (8, 16, 32):
        y, x = torch.meshgrid(
            torch.arange(shape[0] // stride) + 0.5, torch.arange(shape[1] // stride) + 0.5, indexing="ij"
        )
        points.append(torch.stack([x, y, torch.full_like(x, 1.0)]).flatten(1) * stride)
    x, y, stride_of = torch.cat(points, 1)
    bins = boxes.shape[1] // 4
    sides = boxes.view(len(boxes), 4, bins, -1)
    if bins > 1:  # a distribution over distances in strides
        sides = (sides.softmax(2) * torch.arange(bins)[:, None]).sum(2)
    left, top, right, bottom = (sides.view(len(boxes), 4, -1) * stride_of).unbind(1)
    xywh = [x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom]
    return torch.cat([torch.stack(xywh, 1), scores.sigmoid(), *rest[:1]], 1)


def voc_mask(
    boxes: torch.Tensor, protos: torch.Tensor, lookup: NDArray[np.uint8], record: dict[str, Any], scale: float
) -> Pixels:
    """(H, W) uint8 of one photograph from (N, 38) NMS rows, best first, and (32, h, w) prototypes."""
    height, width = record["height"], record["width"]
    out = np.zeros((height, width), np.uint8)
    rows = [b for b in boxes if lookup[int(b[5])]]
    if not rows:
        return out
    coefficients = torch.stack([b[6:] for b in rows])
    logits = (coefficients @ protos.flatten(1)).view(-1, *protos.shape[1:])
    logits = F.interpolate(logits[None], scale_factor=4.0 / scale, mode="bilinear")[0][:, :height, :width]
    logits = F.pad(logits, (0, width - logits.shape[2], 0, height - logits.shape[1]), mode="replicate")
    probability = logits.sigmoid().numpy()
    for b, p in reversed(list(zip(rows, probability, strict=True))):
        x1, y1, x2, y2 = (b[:4] / scale).round().int().tolist()
        inside = np.zeros((height, width), bool)
        inside[max(y1, 0) : y2, max(x1, 0) : x2] = True
        sure = float(b[4]) >= SURE
        out[inside & (p > 0.3)] = 255
        if sure:
            out[inside & (p > 0.6)] = lookup[int(b[5])]
    return out


def label(folder: Path, weights: Path, threads: int, limit: int | None = None) -> None:
    """Label all photographs under `folder` with the checkpoint `weights`."""
    from ultralytics.utils.nms import non_max_suppression

    photos = Photos.open(folder)
    lookup = voc_of(photos.classes, photos.voc)
    lines: dict[int, dict[str, Any]] = {}
    masks = np.full(len(photos.masks), 255, np.uint8)
    with_masks = False
    compiled: Any = None
    current: tuple[int, int] | None = None
    for shape, rows in batches(photos, limit):
        if shape != current:
            compiled, names = network(weights, shape, threads)
            if names != photos.classes:
                raise ValueError(f"{weights}: not the 80 classes of the labels")
            current = shape
        inputs = np.zeros((BATCH, 3, *shape), np.float32)
        scales = [place(photos.records[i]["height"], photos.records[i]["width"])[1] for i in rows]
        for n, i in enumerate(rows):
            inputs[n] = canvas(photos[i], shape, scales[n])
        outputs = [torch.from_numpy(np.array(o)) for o in compiled(inputs).values()]
        decoded = decode(outputs, shape)[: len(rows)]
        kept = non_max_suppression(decoded, KEEP, 0.6, nc=80, max_time_img=10.0)
        with_masks = len(outputs) > 2
        for n, i in enumerate(rows):
            record = photos.records[i]
            limits = torch.tensor([record["width"], record["height"]] * 2)
            boxes = (kept[n][:, :4] / scales[n]).clamp(min=0).minimum(limits)
            results = [
                {
                    "label": names[int(c)],
                    "class": int(c),
                    "score": round(s, 4),
                    "box": [round(v, 2) for v in box],
                }
                for box, s, c in zip(
                    boxes.tolist(), kept[n][:, 4].tolist(), kept[n][:, 5].tolist(), strict=True
                )
            ]
            lines[i] = {
                "type": "result",
                "source": record["name"],
                "width": record["width"],
                "height": record["height"],
                "results": results,
            }
            if with_masks:
                part = slice(record["offset"], record["offset"] + record["width"] * record["height"])
                masks[part] = voc_mask(kept[n], outputs[3][n], lookup, record, scales[n]).ravel()
        if len(lines) % 400 < len(rows):
            print(f"{weights.stem}: {len(lines)}", flush=True)
    _write(
        folder / f"teacher-{weights.stem}.jsonl",
        b"".join(orjson.dumps(lines[i]) + b"\n" for i in sorted(lines)),
    )
    if with_masks:
        _write(folder / f"teacher-{weights.stem}.u8", masks.tobytes())


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    temporary.replace(path)


def main() -> None:
    """Command line of this step."""
    parser = argparse.ArgumentParser(description="label the packed photographs with a bigger network")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path("build/mini"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=int, help="only the first so many photographs (to try it)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    label(args.folder, args.weights, args.threads, args.limit)


if __name__ == "__main__":
    main()
