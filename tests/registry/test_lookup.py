"""From what a user types to a model and a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from visioncli.errors import ModelError, UsageError
from visioncli.registry.lookup import every, find, resolve
from visioncli.registry.weights import PACKAGED


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_name(weights: Path) -> None:
    found = resolve("yolo26n", "detect", weights_dir=weights)
    assert found.path == weights / "yolo26n.pt"
    assert found.card.adapter == "ultralytics-detect"
    assert len(found.sha256) == 64
    assert found.note is None


def test_name_of_torchvision_with_other_weights_has_a_note(weights: Path) -> None:
    found = resolve("mobilenet_v2", "classify", weights_dir=weights)
    assert found.variant is not None
    assert found.variant.name == "IMAGENET1K_V2"
    assert "not the published one of mobilenet_v2:IMAGENET1K_V2" in (found.note or "")


def test_plain_name_is_the_default_variant_only(weights: Path) -> None:
    with pytest.raises(ModelError):
        resolve("mobilenet_v2:IMAGENET1K_V1", "classify", weights_dir=weights, offline=True)


@pytest.mark.parametrize("spec", ["MOBILENET_V2", "mobilenet", "mobilenetv2", "mobilnet_v2"])
def test_unknown_name_has_a_suggestion(spec: str) -> None:
    with pytest.raises(UsageError, match=r"did you mean .*mobilenet_v2") as caught:
        find(spec)
    assert caught.value.exit_code == 2
    assert "vision models list" in str(caught.value)


def test_suggestions_are_of_the_task() -> None:
    with pytest.raises(UsageError) as caught:
        find("yolo11", "classify")
    assert "-cls" in str(caught.value)


def test_wrong_task_names_the_right_command() -> None:
    with pytest.raises(UsageError, match="vision classify --model resnet50"):
        resolve("resnet50", "detect")


def test_unknown_variant_lists_them() -> None:
    with pytest.raises(UsageError, match="IMAGENET1K_V1, IMAGENET1K_V2"):
        resolve("resnet50:V9", "classify")


def test_features_without_a_classifier_are_refused() -> None:
    with pytest.raises(UsageError, match="features only"):
        resolve("vgg16:IMAGENET1K_FEATURES", "classify", offline=True)


@pytest.mark.parametrize(
    ("name", "task", "adapter"),
    [
        ("yolo26n.pt", "detect", "ultralytics-detect"),
        ("yolo11n-cls.pt", "classify", "ultralytics-classify"),
        ("yolov8n-seg.pt", "segment", "ultralytics-segment"),
    ],
)
def test_path_of_ultralytics_says_itself_what_it_is(
    name: str, task: str, adapter: str, weights: Path, tmp_path: Path
) -> None:
    shutil.copy(weights / name, tmp_path / "best.pt")
    found = resolve("best.pt", task)
    assert (found.card.name, found.card.adapter, found.variant) == ("best", adapter, None)
    assert resolve(str(weights / name), task).card.name == name.removesuffix(".pt")


def test_path_for_another_task(weights: Path) -> None:
    with pytest.raises(UsageError, match="vision segment"):
        resolve(str(weights / "yolov8n-seg.pt"), "detect")


@pytest.mark.parametrize(
    ("file", "name", "variant"),
    [
        ("mobilenet_v2.pth", "mobilenet_v2", "IMAGENET1K_V2"),
        ("mobilenet_v2-7ebf99e0.pth", "mobilenet_v2", "IMAGENET1K_V2"),
        ("mobilenet_v2-b0353104.pth", "mobilenet_v2", "IMAGENET1K_V1"),
        ("mobilenet_v2-mine.pth", "mobilenet_v2", "IMAGENET1K_V2"),
    ],
)
def test_path_of_torchvision_by_its_name(
    file: str, name: str, variant: str, weights: Path, tmp_path: Path
) -> None:
    shutil.copy(weights / "mobilenet_v2.pth", tmp_path / file)
    found = resolve(f"./{file}", "classify")
    assert found.variant is not None
    assert (found.card.name, found.variant.name) == (name, variant)
    assert found.note is not None


def test_longest_name_wins(weights: Path, tmp_path: Path) -> None:
    shutil.copy(weights / "mobilenet_v2.pth", tmp_path / "resnet50-a.pth")
    shutil.copy(weights / "mobilenet_v2.pth", tmp_path / "fasterrcnn_resnet50_fpn_v2-b.pth")
    assert resolve("./resnet50-a.pth").card.name == "resnet50"
    assert resolve("./fasterrcnn_resnet50_fpn_v2-b.pth").card.name == "fasterrcnn_resnet50_fpn_v2"


def test_nameless_state_dict_wants_a_name(weights: Path, tmp_path: Path) -> None:
    shutil.copy(weights / "mobilenet_v2.pth", tmp_path / "last.pth")
    with pytest.raises(UsageError, match="NAME:PATH"):
        resolve("last.pth", "classify")
    found = resolve("mobilenet_v2:last.pth", "classify")
    assert (found.card.name, found.path) == ("mobilenet_v2", Path("last.pth"))


def test_missing_and_broken_files(tmp_path: Path) -> None:
    (tmp_path / "junk.pt").write_bytes(b"junk" * 100)
    for spec in ("missing.pt", "no/such.pth", "junk.pt"):
        with pytest.raises(ModelError) as caught:
            resolve(spec, "detect")
        assert caught.value.exit_code == 5


def test_file_name_of_a_known_model_is_its_name(weights: Path) -> None:
    """`--model yolo26n.pt`, as people write it for `yolo`, where no such file lies here."""
    assert resolve("yolo26n.pt", "detect", weights_dir=weights).card.name == "yolo26n"


@pytest.mark.parametrize(
    ("task", "adapter"),
    [
        (None, "mini-detect"),
        ("detect", "mini-detect"),
        ("classify", "mini-classify"),
        ("segment", "mini-segment"),
        ("segment-semantic", "mini-segment"),
    ],
)
def test_one_name_for_several_tasks(task: str | None, adapter: str) -> None:
    found = resolve("mini", task, offline=True)
    assert (found.card.name, found.card.adapter) == ("mini", adapter)
    assert found.path == PACKAGED / "mini.safetensors"


def test_all_tasks_of_a_name_are_listed() -> None:
    assert [c.task for c in every() if c.name == "mini"] == ["detect", "classify", "segment-semantic"]
    with pytest.raises(UsageError, match="did you mean mini"):
        find("minni", "classify")


def test_a_file_of_ones_own_comes_before_the_packaged_one(tmp_path: Path) -> None:
    """As with all weights: the folders of the user's are looked into first; by path it is known too."""
    for name in ("mini.safetensors", "mini-mine.safetensors"):
        shutil.copy(PACKAGED / "mini.safetensors", tmp_path / name)
        assert resolve(f"./{name}", "classify").card.adapter == "mini-classify"
    assert resolve("mini", weights_dir=tmp_path).path == tmp_path / "mini.safetensors"
