"""Promise 1 for Ultralytics: our answers are those of its own `predict`, thresholds passed to both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run
from tests.parity.answering import assert_answers, compare, read_pictures
from tests.parity.ultralytics_own import classify, detect, exact, largest, parity, predictor, seeded
from visioncli.results import Detections

YOLOS = ("yolo26n", "yolo11n", "yolov8n")
RUNTIMES = ("torch", "openvino")


def pictures(data: Path) -> list[Path]:
    return sorted((data / "coco" / "images").glob("*.jpg"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_yolo_answers_as_the_library(runtime: str, weights: Path, data: Path) -> None:
    boxes, apart = parity("yolo26n", weights / "yolo26n.pt", pictures(data)[:8], runtime)
    assert boxes > 20
    assert apart.boxes <= 0.5
    assert apart.scores <= 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"conf": 0.05, "iou": 0.3},
        {"conf": 0.1, "max_det": 3},
        {"conf": 0.1, "classes": [0, 2]},
        {"conf": 0.05, "agnostic_nms": True, "iou": 0.5},
        {"imgsz": 320},
    ],
    ids=lambda o: "-".join(o),
)
def test_options_mean_what_they_mean_there(weights: Path, data: Path, options: dict[str, object]) -> None:
    path, few = weights / "yolo11n.pt", pictures(data)[8:11]
    imgsz = options.pop("imgsz", None)
    ours, theirs = exact(path, imgsz=imgsz), predictor(path)
    size = {} if imgsz is None else {"imgsz": imgsz}
    apart = largest(compare(ours(p, **options).detections, detect(theirs, p, **options, **size)) for p in few)
    assert apart.boxes <= 0.5
    assert apart.scores <= 1e-3


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_odd_shapes(runtime: str, weights: Path) -> None:
    """Thin, tiny and large pictures are fitted and brought back as the library does it."""
    random = np.random.default_rng(0)
    path = weights / "yolo26n.pt"
    ours, theirs = exact(path, runtime), predictor(path)
    for shape in [(1, 1), (1, 700), (900, 3), (33, 65), (1000, 1500), (640, 640), (641, 639)]:
        picture = random.integers(0, 255, (*shape, 3), np.uint8)
        apart = compare(ours(picture, conf=0.001).detections, detect(theirs, picture, conf=0.001))
        assert apart.boxes <= 0.5
        assert apart.scores <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", YOLOS)
def test_yolo_on_all_pictures(name: str, runtime: str, weights: Path, data: Path) -> None:
    boxes, apart = parity(name, weights / f"{name}.pt", pictures(data), runtime)
    assert boxes > 250
    assert apart.boxes <= 0.5
    assert apart.scores <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", YOLOS)
def test_folder_run_at_batch_8(name: str, weights: Path, data: Path, vision: Run, tmp_path: Path) -> None:
    folder_run_parity(name, weights, data, vision, tmp_path)


def folder_run_parity(
    name: str, weights: Path, data: Path, vision: Run, folder: Path
) -> tuple[int, float, float]:
    """`vision detect FOLDER --batch 8` beside the library's predict of each picture alone."""
    record = folder / f"{name}.jsonl"
    done = vision(
        "detect", data / "coco" / "images", "--model", weights / f"{name}.pt", "--batch", 8,
        "--precision", "fp32", "--no-media", "--jsonl", record, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    answers = {
        Path(line["source"]).name: line["results"]
        for line in map(json.loads, record.read_text().splitlines())
        if line["type"] == "result"
    }
    theirs = predictor(weights / f"{name}.pt")
    apart, count = [], 0
    for picture in pictures(data):
        rows = answers[picture.name]
        ours = Detections(
            np.array([r["box"] for r in rows], np.float32).reshape(-1, 4),
            np.array([r["score"] for r in rows], np.float32),
            np.array([r["class"] for r in rows], np.int64),
        )
        apart.append(compare(ours, detect(theirs, picture)))
        count += len(ours)
    worst = largest(apart)
    assert worst.boxes <= 0.5
    assert worst.scores <= 1e-3
    return count, worst.boxes, worst.scores


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "runtime"), [("yolov10n", "torch"), ("yolov10n", "openvino"), ("rtdetr-l", "torch")]
)
def test_seeded_networks(name: str, runtime: str, data: Path, tmp_path: Path) -> None:
    seeded_parity(name, data, tmp_path, runtime)


def seeded_parity(name: str, data: Path, folder: Path, runtime: str = "torch") -> tuple[int, float, float]:
    """A network with seeded weights beside the library's predict: boxes, and how far apart at the most."""
    few = read_pictures(data / "coco" / "images", 4)
    path = seeded(name, folder, few, 640 if name == "rtdetr-l" else 320)
    ours, theirs = exact(path, runtime), predictor(path)
    apart, count = [], 0
    for picture in few:
        everything = detect(theirs, picture, conf=0.01)
        conf = threshold_for(everything.scores, 30, 90)
        reference = detect(theirs, picture, conf=conf)
        assert_answers(reference.scores, reference.classes)
        apart.append(compare(ours(picture, conf=conf).detections, reference))
        count += len(reference)
    worst = largest(apart)
    assert worst.boxes <= 0.5
    assert worst.scores <= 1e-3
    return count, worst.boxes, worst.scores


def threshold_for(scores: np.ndarray, least: int, most: int) -> float:
    """A threshold in the widest gap between scores that lets `least` to `most` of them pass."""
    best = np.sort(scores)[::-1][least - 1 : most + 1]
    gap = int(np.argmax(best[:-1] - best[1:]))
    return float(best[gap] + best[gap + 1]) / 2


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_classifier(runtime: str, weights: Path, data: Path) -> None:
    count, apart = classifier_parity(weights, data, 12, runtime)
    assert count == 12
    assert apart <= 1e-5


def classifier_parity(weights: Path, data: Path, count: int, runtime: str = "torch") -> tuple[int, float]:
    """YOLO11n-cls beside the library: top-5 of `count` pictures equal; the largest difference of a score."""
    path = weights / "yolo11n-cls.pt"
    ours, theirs = exact(path, runtime), predictor(path)
    some = sorted((data / "imagenet").glob("n*/*.jp*g"))[:: max(1, 200 // count)][:count]
    apart = 0.0
    for picture in some:
        mine, reference = ours(picture), classify(theirs, picture, 5)
        assert mine.classes.tolist() == reference.classes.tolist(), picture.name
        apart = max(apart, float(np.abs(mine.scores - reference.scores).max()))
    return len(some), apart
