"""The data files say what the libraries say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from visioncli.models import ADAPTERS
from visioncli.registry import cards
from visioncli.registry.cards import TASKS, builtin, labels
from visioncli.registry.lookup import every

DETECTORS = {
    "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn", "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large",
}  # fmt: skip


def of(library: str, task: str) -> set[str]:
    return {c.name for c in builtin().values() if c.library == library and c.task == task}


def test_what_is_listed() -> None:
    """All of torchvision's classifiers and detectors, and Ultralytics' families in all sizes."""
    assert len(of("torchvision", "classify")) == 80
    assert of("torchvision", "detect") == DETECTORS
    yolo = of("ultralytics", "detect")
    assert {f"yolo{v}{s}" for v in ("v8", "11", "12", "26") for s in "nsmlx"} <= yolo
    assert {f"yolov5{s}{six}u" for s in "nsmlx" for six in ("", "6")} <= yolo
    assert {f"yolov9{s}" for s in "tsmce"} | {f"yolov10{s}" for s in "nsmblx"} <= yolo
    assert {"yolov3u", "yolov3-sppu", "yolov3-tinyu", "rtdetr-l", "rtdetr-x"} <= yolo
    assert of("ultralytics", "classify") == {f"yolo{v}{s}-cls" for v in ("v8", "11", "26") for s in "nsmlx"}


def test_torchvision_file_is_what_torchvision_says_today() -> None:
    """Every weights variant, URL, hash, size, licence and figure; run generate.py when this fails."""
    pytest.importorskip("torchvision")
    import sys

    import torchvision  # noqa: F401

    from visioncli.registry import generate

    written = tomllib.loads((generate.HERE / "data" / "torchvision.toml").read_text("utf-8"))
    groups = {g["task"]: g for g in written["group"]}
    for task, group in groups.items():
        assert set(group["model"]) == set(generate.torchvision_models(task))
        for name, model in group["model"].items():
            enum = sys.modules["torchvision"].models.get_model_weights(name)
            card = {**group.get("input", {}), **model.get("input", {})}
            assert model["weights"] == [generate.weights_row(w, enum.DEFAULT, card, task) for w in enum], name
            assert model.get("default", model["weights"][0]["name"]) == enum.DEFAULT.name
            assert model["params"] == enum.DEFAULT.meta["num_params"]
            assert model["gmacs"] == enum.DEFAULT.meta["_ops"]


def test_input_of_each_variant_is_its_own() -> None:
    """Variants of one model differ in size, resize and interpolation."""
    card = builtin()["mobilenet_v2"]
    sizes = {w.name: card.input_for(w)["resize"] for w in card.weights}
    assert sizes == {"IMAGENET1K_V1": 256, "IMAGENET1K_V2": 232}
    vit = builtin()["vit_b_16"]
    swag = vit.variant("imagenet1k_swag_e2e_v1")
    assert swag is not None
    assert (vit.input_for(swag)["crop"], vit.input_for(swag)["interpolation"]) == (384, "bicubic")
    assert (vit.input["crop"], vit.input["interpolation"]) == (224, "bilinear")
    assert swag.licence == "CC-BY-NC-4.0"


def test_label_files() -> None:
    from torchvision.models import get_model_weights

    assert list(labels("imagenet")) == get_model_weights("resnet50").DEFAULT.meta["categories"]
    assert list(labels("coco91")) == get_model_weights("ssd300_vgg16").DEFAULT.meta["categories"]
    assert list(labels("voc")) == get_model_weights("fcn_resnet50").DEFAULT.meta["categories"]
    assert len(labels("coco")) == 80


def test_coco_labels_are_ultralytics_own(weights: Path) -> None:
    from visioncli.registry.checkpoints import load

    content = load(weights / "yolo26n.pt")
    names = (content.get("ema") or content["model"]).names
    assert [names[i] for i in range(80)] == list(labels("coco"))


def test_every_card_is_whole() -> None:
    for card in every():
        assert card.task in TASKS, card.name
        assert card.default_weights is not None, card.name
        assert card.labels(), card.name
        assert card.params, card.name
        assert card.gflops, card.name
        assert card.activations_mb, card.name
        assert card.adapter in ADAPTERS or card.task not in ("classify", "detect"), card.name
        for weights in card.weights:
            assert weights.packaged or (weights.url or "").endswith("/" + weights.filename), card.name
            assert weights.page, card.name
            assert weights.bytes, card.name
            assert weights.licence != "unknown", card.name
            assert all(0 < v <= 100 for v in weights.metrics.values()), card.name


def test_figures_of_ultralytics_are_there() -> None:
    """All but YOLOv3u, for which its documentation gives none, and mini, whose card is our own."""
    bare = {c.name for c in builtin().values() if not any(w.metrics for w in c.weights)}
    assert bare == {"yolov3u", "yolov3-sppu", "yolov3-tinyu", "mini"}


def test_sizes_computed_for_ultralytics_are_close(weights: Path) -> None:
    """Within 3 % of real half-precision checkpoints."""
    for name in ("yolo26n", "yolo11n", "yolov8n", "yolov8n-seg", "yolo11n-cls"):
        said = builtin()[name].default_weights
        assert said is not None
        assert said.bytes == pytest.approx((weights / f"{name}.pt").stat().st_size, rel=0.03), name


def test_activations_are_what_a_run_holds() -> None:
    """The figure in the file, computed anew for a small network of each library."""
    from visioncli.registry.measure import measure

    for name in ("mobilenet_v3_small", "yolov8n-cls"):
        card = builtin()[name]
        assert measure(card, dict(card.input))[0]["mb"] == pytest.approx(card.activations_mb, rel=0.01)


def test_tasks_have_commands() -> None:
    assert set(cards.COMMANDS) == set(TASKS)
