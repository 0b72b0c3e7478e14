"""Real quality: top-1 and mAP on the real pictures, through the command line and its record."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.acceptance import World, bar, check

# COCO's protocol, as the stated figures were measured.
BOXES = {"conf": 0.001, "iou": 0.7, "max_det": 300}
STATED = {"yolo26n": 0.476, "yolo11n": 0.488, "yolov8n": 0.459}
TOP_1 = 0.835
MARGIN = 0.005

Found = Mapping[str, Sequence[tuple[int, float, Sequence[float]]]]


def labels(data: Path) -> dict[Path, int]:
    """The pictures of data/imagenet and their classes."""
    with (data / "imagenet" / "labels.csv").open(encoding="utf-8") as file:
        return {data / "imagenet" / row["path"]: int(row["index"]) for row in csv.DictReader(file)}


def record(path: Path) -> list[dict]:
    """The lines of a record."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@functools.cache
def our_boxes(world: World, name: str) -> tuple[Found, Sequence[str]]:
    """What `vision detect` finds in data/coco at COCO's thresholds, by file name; and the labels."""
    out = world.folder(f"map {name}") / "record.jsonl"
    options = [part for key, value in BOXES.items() for part in (f"--{key.replace('_', '-')}", value)]
    pictures = world.data / "coco" / "images"
    world.vision("detect", pictures, "--model", name, *options, "--no-media", "--jsonl", out, "--offline")
    lines = record(out)
    found = {
        Path(line["source"]).name: [(r["class"], r["score"], r["box"]) for r in line["results"]]
        for line in lines
        if line["type"] == "result"
    }
    return found, lines[0]["model"]["names"]


def coco_map(data: Path, found: Found, names: Sequence[str]) -> tuple[float, float]:
    """mAP at 0.5 to 0.95 and at 0.5, by pycocotools; classes become COCO's ids by their names."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(data / "coco" / "instances.json"))
        pictures = {image["file_name"]: image["id"] for image in truth.dataset["images"]}
        ids = {category["name"]: category["id"] for category in truth.dataset["categories"]}
        assert found.keys() == pictures.keys(), "not one answer a picture"
        answers = [
            {"image_id": pictures[file], "category_id": ids[names[number]], "score": score,
             "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]}
            for file, rows in found.items()
            for number, score, box in rows
        ]  # fmt: skip
        evaluation = COCOeval(truth, truth.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


@check("11.3", "top-1 of MobileNetV2 on 200 pictures")
def top_1(world: World) -> str:
    out = world.folder("top-1") / "record.jsonl"
    world.vision(
        "classify",
        world.data / "imagenet",
        "--recursive",
        "--model",
        "mobilenet_v2",
        "--no-media",
        "--jsonl",
        out,
    )
    truth = {str(path): number for path, number in labels(world.data).items()}
    answers = {
        line["source"]: [r["class"] for r in line["results"]]
        for line in record(out)
        if line["type"] == "result"
    }
    assert answers.keys() == truth.keys(), "not one answer a picture"
    first = sum(answer[0] == truth[path] for path, answer in answers.items()) / len(truth)
    any_of_5 = sum(truth[path] in answer for path, answer in answers.items()) / len(truth)
    return bar(abs(first - TOP_1) <= MARGIN, f"{first:.3f}, stated {TOP_1} (top-5 {any_of_5:.3f})")


def quality(name: str, world: World) -> str:
    precision, at_half = coco_map(world.data, *our_boxes(world, name))
    stated = STATED[name]
    return bar(abs(precision - stated) <= MARGIN, f"{precision:.4f}, stated {stated} (mAP50 {at_half:.3f})")


for yolo in STATED:
    check("11.3", f"mAP of {yolo} on 64 pictures")(functools.partial(quality, yolo))
