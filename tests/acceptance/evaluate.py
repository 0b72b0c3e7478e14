"""Issue 16, `vision eval`: figures beside other tools' on the same answers, the report in a browser."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tests.acceptance import NotHereError, World, bar, check
from tests.build_weights import ROOT
from tests.evaluate.reference import coco_stats
from tests.evaluate.report.browser import look
from tests.evaluate.report.test_page import DRIVE, outside
from tests.evaluate.test_boxes import shaken
from tests.evaluate.test_pixels import oracle
from tests.evaluate.test_tracks import NAMES, TRACKEVAL, TUD
from tests.media.browser import find as find_browser
from visioncli.evaluate.boxes import COCO
from visioncli.evaluate.mask_folder import read
from visioncli.output.images import save_map

# The owning libraries' figures on the same pictures, measured by others (shared/README.md).
PUBLISHED_HERE = {"map": 0.476, "map50": 0.631}


def evaluated(world: World, *arguments: object) -> dict[str, Any]:
    """`vision eval … --json`."""
    tree: dict[str, Any] = json.loads(world.vision("eval", *arguments, "--json", "--runtime", "torch").stdout)
    return tree


def furthest(figures: dict[str, Any], expected: list[float]) -> float:
    """The largest difference of COCO's twelve figures; pycocotools has -1 where there is nothing."""
    ours = [-1.0 if figures[key] is None else figures[key] for key, _ in COCO]
    return max(abs(a - b) for a, b in zip(ours, expected, strict=True))


def report(world: World) -> tuple[Path, dict[str, Any], Path]:
    """YOLO26n over the 64 pictures: the report's folder, the figures, the answers."""
    folder = world.folder("evaluate")
    answers = folder / "answers.json"
    figures = evaluated(
        world, "detect", "--data", world.data / "coco", "--model", "yolo26n", "--save", answers,
        "--report", folder / "report",
    )  # fmt: skip
    return folder / "report", figures, answers


@check("16.1", "boxes of yolo26n over coco/, beside pycocotools")
def boxes(world: World) -> str:
    _, tree, answers = world.once(report)
    expected = coco_stats(world.data / "coco" / "instances.json", answers, "bbox")
    apart = furthest(tree["figures"], expected)
    near = all(abs(tree["figures"][key] - value) < 2e-3 for key, value in PUBLISHED_HERE.items())
    figure = f"mAP {tree['figures']['map']:.4f}, mAP50 {tree['figures']['map50']:.4f}"
    return bar(apart <= 1e-6 and near, f"{figure}, twelve figures within {apart:.1e}")


@check("16.1", "masks of a results file, and of yolov8n-seg, beside pycocotools")
def masks(world: World) -> str:
    folder, truth = world.folder("evaluate masks"), world.data / "coco" / "instances.json"
    made, saved = folder / "made.json", folder / "saved.json"
    made.write_text(json.dumps(shaken(truth)))
    tree = evaluated(world, "segment", "--data", truth, "--records", made)
    apart = furthest(tree["figures"], coco_stats(truth, made, "segm"))
    tree = evaluated(world, "segment", "--data", truth, "--model", "yolov8n-seg", "--save", saved)
    apart = max(apart, furthest(tree["figures"], coco_stats(truth, saved, "segm")))
    return bar(apart <= 1e-6, f"mask mAP {tree['figures']['map']:.4f}, all within {apart:.1e}")


@check("16.1", "mIoU over voc/, beside an oracle")
def miou(world: World) -> str:
    folder, voc = world.folder("evaluate pixels"), world.data / "voc"
    names = (voc / "classes.txt").read_text().split()
    rng = np.random.default_rng(3)
    truths, answers = [], []
    for mask in sorted((voc / "masks").glob("*.png")):
        truths.append(read(mask))
        answer = np.where(truths[-1] == 255, 0, np.roll(truths[-1], (11, 5), (0, 1)) % 21).astype(np.uint8)
        answer[rng.random(answer.shape) < 0.1] = 15
        answers.append(answer)
        save_map(folder / mask.name, answer, names=names)
    figures = evaluated(world, "segment", "--data", voc, "--records", folder)["figures"]
    expected = oracle(truths, answers, 21)
    apart = max(abs(figures["miou"] - expected[0]), abs(figures["pixel_accuracy"] - expected[1]))
    return bar(apart < 1e-9, f"mIoU {figures['miou']:.4f}, pixel accuracy too within {apart:.0e}")


def tud(world: World) -> dict[str, Any]:
    """The figures of both sequences, from a folder of links."""
    folder = world.folder("evaluate tud")
    for name in TUD:
        (folder / name).symlink_to(world.data / "mot" / name)
    return evaluated(world, "track", "--data", folder, "--records", folder)


@check("16.1", "TUD, both sequences pooled, beside py-motmetrics")
def pooled(world: World) -> str:
    figures = world.once(tud)["figures"]
    reference = json.loads((world.data / "mot" / "reference.json").read_text())["sequences"]["POOLED"]
    apart = max(abs(figures[ours] - reference[theirs]) for ours, theirs in NAMES.items())
    said = ", ".join(f"{key} {figures[key]:.4g}" for key in ("mota", "idf1", "switches", "fragments"))
    return bar(apart < 5e-4, f"{said}; {len(NAMES)} figures within {apart:.1e}")


@check("16.1", "HOTA, beside TrackEval 1.3.0's figures")
def hota(world: World) -> str:
    tree = world.once(tud)
    ours = {**tree["sequences"], "POOLED": tree["figures"]}
    apart = max(abs(ours[name][key] - v) for name, row in TRACKEVAL.items() for key, v in row.items())
    where = "installed here too" if importlib.util.find_spec("trackeval") else "not installed here"
    return bar(apart < 1e-6, f"HOTA {tree['figures']['hota']:.6f}, within {apart:.1e} ({where})")


@check("16.2", "ImageFolder by WordNet id and by name, and a CSV")
def folders(world: World) -> str:
    folder = world.folder("evaluate labels")
    with (world.data / "imagenet" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (folder / "flat").mkdir()
    lines = ["file,label"]
    for row in rows:
        source = world.data / "imagenet" / row["path"]
        for column in ("wnid", "name"):
            (folder / column / row[column]).mkdir(parents=True, exist_ok=True)
            (folder / column / row[column] / source.name).symlink_to(source)
        shutil.copy(source, folder / "flat" / source.name)
        lines.append(f'{source.name},"{row["name"]}"')
    (folder / "flat" / "labels.csv").write_text("\n".join(lines))
    places = [folder / "wnid", folder / "name", folder / "flat", world.data / "imagenet"]
    found = [evaluated(world, "classify", "--data", p, "--model", "yolo11n-cls")["figures"] for p in places]
    figure = f"top-1 {found[0]['top1']:.3f}, top-5 {found[0]['top5']:.3f}, ECE {found[0]['ece']:.3f}"
    same = all(abs(one[key] - found[0][key]) < 1e-4 for one in found for key in ("top1", "top5", "ece"))
    return bar(same and found[0]["top1"] == 0.745, f"{figure}, the same four times")


@check("16.3", "the published figure beside the measured one")
def published(world: World) -> str:
    page = (ROOT / "docs" / "evaluate.md").read_text("utf-8")
    assert "vision eval detect --data coco/val2017 --model yolo26n" in page
    folder, tree, _ = world.once(report)
    shown = "published 0.409" in (folder / "index.html").read_text("utf-8")
    beside = tree["published"]["map"]
    return bar(shown and beside == 0.409, f"measured {tree['figures']['map']:.3f}, published {beside}")


@check("16.4", "the report of 64 pictures in Chromium, from a file")
def in_a_browser(world: World) -> str:
    if find_browser() is None:
        raise NotHereError("no browser is installed")
    folder, _, _ = world.once(report)
    page = folder / "index.html"
    seen = look(page, world.folder("browser of the report"), DRIVE)
    title = re.search(r"<title>(.*?)</title>", seen.dom)
    told = json.loads(title[1]) if title else {}
    fine = (
        told.get("only") and told.get("sorted") and told["all"] > told["person"] > 0 and told["curves"] == 2
    )
    size = page.stat().st_size / 1e6
    clean = not seen.console and not outside(page.read_text("utf-8"))
    figure = (
        f"{size:.1f} MB, {told.get('all')} mistakes, {told.get('person')} of person, console {seen.console}"
    )
    return bar(bool(fine) and clean and size < 10, figure)


@check("16.4", "thresholds of --sweep in detect --conf-file")
def sweep(world: World) -> str:
    _, _, answers = world.once(report)
    file = world.folder("evaluate sweep") / "thresholds.json"
    evaluated(world, "detect", "--data", world.data / "coco", "--records", answers, "--sweep", file)
    thresholds = json.loads(file.read_text())["conf"]
    pictures = world.data / "coco" / "images"
    done = world.vision(
        "detect",
        pictures,
        "--model",
        "yolo26n",
        "--no-media",
        "--json",
        "--conf-file",
        file,
        "--runtime",
        "torch",
    )
    found = [one for picture in json.loads(done.stdout) for one in picture["results"]]
    low = [one for one in found if one["score"] < thresholds.get(one["label"], 0.25)]
    return bar(
        bool(found) and not low, f"{len(thresholds)} classes, {len(found)} objects, {len(low)} below theirs"
    )
