"""The Python API: what `load` and its models promise in their docstrings."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import visioncli
from tests.build_weights import ROOT
from visioncli import Model, Result, VisionError, load
from visioncli.errors import InputError, ModelError, UsageError

SAMPLES = ROOT / "sample_media"


@pytest.fixture(scope="module")
def yolo(weights: Path) -> Model:
    return load("yolo26n", weights_dir=weights, imgsz=320)


@pytest.fixture(scope="module")
def classifier(weights: Path) -> Model:
    return load("mobilenet_v2", weights_dir=weights)


def same(one: Result, other: Result) -> bool:
    """Equal answers, whatever the source is called."""
    return (
        one.labels == other.labels
        and np.array_equal(one.scores, other.scores)
        and (not hasattr(one.prediction, "boxes") or np.array_equal(one.boxes, other.boxes))
        and (one.width, one.height) == (other.width, other.height)
    )


def test_names() -> None:
    assert set(visioncli.__all__) >= {"load", "Model", "Result", "VisionError"}
    for name in visioncli.__all__:
        assert getattr(visioncli, name) is not None
    with pytest.raises(AttributeError):
        visioncli.nothing  # noqa: B018


def test_about(yolo: Model, classifier: Model) -> None:
    assert (yolo.name, yolo.task, len(yolo.names), yolo.names[0]) == ("yolo26n", "detect", 80, "person")
    assert (classifier.task, len(classifier.names)) == ("classify", 1000)
    assert re.fullmatch(r"<yolo26n: detect, 80 classes, (fp|bf)\d\d on \w+(:\d)?>", repr(yolo))
    assert yolo.card.library == "ultralytics"


@pytest.mark.parametrize("which", ["yolo", "classifier"])
def test_every_form_of_a_picture(which: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(which)
    path = SAMPLES / "dog.jpg"
    with Image.open(path) as image:
        image.load()
    array = np.asarray(image)
    first = model(path)
    assert first.source == str(path)
    assert (first.width, first.height) == image.size
    assert "dog" in first.labels or which == "classifier"
    for form in (str(path), image, array, array[:, ::-1][:, ::-1]):
        assert same(model(form), first)
    assert [same(r, first) for r in model([path, array, image])] == [True] * 3
    assert model([]) == []


def test_result_arrays(yolo: Model) -> None:
    result = yolo(SAMPLES / "bus.jpg")
    assert result.boxes.shape == (len(result), 4)
    assert result.scores.shape == (len(result),)
    assert result.labels.count("person") >= 3
    assert (result.boxes[:, :2] < result.boxes[:, 2:]).all()
    assert (result.boxes[:, [0, 2]] <= result.width).all()
    assert (result.boxes[:, [1, 3]] <= result.height).all()
    assert list(result.scores) == sorted(result.scores, reverse=True)


def test_options(yolo: Model, classifier: Model) -> None:
    every = yolo(SAMPLES / "bus.jpg", conf=0.05)
    assert len(every) > len(yolo(SAMPLES / "bus.jpg"))
    assert len(yolo(SAMPLES / "bus.jpg", max_det=2)) == 2
    for wanted in (["bus"], ["BUS"], [5], ["5"], {"bus", 5}):
        assert set(yolo(SAMPLES / "bus.jpg", classes=wanted).labels) == {"bus"}
    assert len(classifier(SAMPLES / "cat.jpg", top_k=3)) == 3
    assert len(classifier(SAMPLES / "cat.jpg", top_k=5000)) == 1000
    numbers = ({"conf": 2}, {"conf": float("nan")}, {"iou": -1}, {"max_det": 0}, {"top_k": 0})
    for wrong in (*numbers, {"classes": ["x"]}, {"classes": [80]}, {"classes": [-1]}):
        with pytest.raises(UsageError):
            yolo(SAMPLES / "bus.jpg", **wrong)
    with pytest.raises(TypeError):
        yolo(SAMPLES / "bus.jpg", confidence=0.5)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=lambda a: f"{a.shape} {a.dtype}",
)
def test_wrong_arrays(yolo: Model, picture: np.ndarray) -> None:
    with pytest.raises(UsageError, match="uint8 RGB"):
        yolo(picture)


def test_odd_pictures(yolo: Model, tmp_path: Path) -> None:
    for shape in ((1, 1, 3), (1, 900, 3), (900, 1, 3)):
        assert (yolo(np.full(shape, 128, np.uint8)).width, len(yolo(np.zeros(shape, np.uint8)))) == (
            shape[1],
            0,
        )
    for mode in ("L", "P", "RGBA", "CMYK", "1", "I;16"):
        assert yolo(Image.new(mode, (40, 30))).width == 40


def test_bad_files(yolo: Model, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.jpg"):
        yolo(tmp_path / "text.jpg")
    with pytest.raises(InputError, match=r"gone\.jpg"):
        yolo(tmp_path / "gone.jpg")


def test_stream_of_a_video(yolo: Model) -> None:
    seen = 0
    for index, (image, result) in enumerate(yolo.stream(SAMPLES / "people.mp4", batch=4, end=1.0)):
        assert image.shape == (result.height, result.width, 3)
        assert image.dtype == np.uint8
        assert result.frame == index
        assert result.time is not None
        assert result.time <= 1.0
        if index == 2:
            assert same(yolo(image), result) or len(yolo(image)) == len(result)
        seen += 1
    assert seen > 5
    strided = [r.frame for _, r in yolo.stream(SAMPLES / "people.mp4", stride=20)]
    assert strided == [0, 20, 40]


def test_stream_of_a_folder(yolo: Model, tmp_path: Path) -> None:
    for name in ("b10", "b9", "a"):
        Image.new("RGB", (30, 20)).save(tmp_path / f"{name}.png")
    assert [Path(r.source).stem for _, r in yolo.stream(tmp_path)] == ["a", "b9", "b10"]
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(InputError, match=r"c\.png") as caught:
        list(yolo.stream(str(tmp_path / "*.png")))
    assert str(caught.value).count("c.png") == 1
    with pytest.raises(InputError, match="nowhere"):
        next(iter(yolo.stream("nowhere")))


def test_leaving_a_stream_leaves_nothing(yolo: Model) -> None:
    before = {t.ident for t in threading.enumerate()}
    for image, _ in yolo.stream(SAMPLES / "people.mp4"):
        assert image.size
        break
    deadline = time.monotonic() + 5
    while {t.ident for t in threading.enumerate()} - before:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.02)


def test_supervision(yolo: Model) -> None:
    pytest.importorskip("supervision")
    result = yolo(SAMPLES / "bus.jpg")
    theirs = result.to_supervision()
    assert np.array_equal(theirs.xyxy, result.boxes)
    assert np.allclose(theirs.confidence, result.scores)
    assert list(theirs.data["class_name"]) == result.labels
    nothing = yolo(np.zeros((8, 8, 3), np.uint8)).to_supervision()
    assert len(nothing) == 0


def test_load_refuses(weights: Path, tmp_path: Path) -> None:
    for wrong in (
        {"imgsz": 0},
        {"device": "tpu"},
        {"precision": "int4"},
        {"runtime": "x"},
        {"device": "cuda:99"},
    ):
        with pytest.raises(UsageError):
            load("yolo26n", weights_dir=weights, **wrong)
    with pytest.raises(UsageError, match="did you mean"):
        load("yolo26x9")
    with pytest.raises(UsageError, match="classify"):
        load("mobilenet_v2", task="detect", weights_dir=weights)
    with pytest.raises(ModelError, match="offline"):
        load("yolo26m", weights_dir=tmp_path, offline=True)
    (tmp_path / "noise.pt").write_bytes(b"noise" * 100)
    with pytest.raises(VisionError, match=r"noise\.pt"):
        load(str(tmp_path / "noise.pt"))


@pytest.mark.slow
def test_several_models_and_threads(yolo: Model, weights: Path) -> None:
    """One model may be called from several threads, beside another."""
    other = load("yolo11n", weights_dir=weights, imgsz=320)
    paths = [SAMPLES / name for name in ("dog.jpg", "bus.jpg", "cat.jpg")]
    alone = [(yolo(p), other(p)) for p in paths]
    results: dict[int, list[tuple[Result, Result]]] = {}

    def work(number: int) -> None:
        results[number] = [(yolo(p), other(p)) for p in paths]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got in results.values():
        assert all(same(a, c) and same(b, d) for (a, b), (c, d) in zip(got, alone, strict=True))
    assert len(results) == 3
