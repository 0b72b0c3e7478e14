"""Loading runs nothing of a file: real checkpoints load, hostile ones are refused before anything happens."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visioncli.errors import ModelError
from visioncli.registry import pickles
from visioncli.registry.checkpoints import load

CHECKPOINTS = ["yolo26n.pt", "yolo11n.pt", "yolov8n.pt", "yolov8n-seg.pt", "yolo11n-cls.pt"]


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def in_zip(content: Any, path: Path) -> None:
    import torch

    torch.save(content, path)


def old_style(content: Any, path: Path) -> None:
    import torch

    torch.save(content, path, _use_new_zipfile_serialization=False)


def bare_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def modern_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=5))


Save = Callable[[Any, Path], None]


@pytest.mark.parametrize("save", [in_zip, old_style, bare_pickle, modern_pickle])
@pytest.mark.parametrize("nested", [False, True])
def test_hostile_pickle_is_refused_and_does_not_run(save: Save, nested: bool, tmp_path: Path) -> None:
    proof, file = tmp_path / "proof", tmp_path / "evil.pt"
    hostile: Any = Hostile(f"touch {proof}")
    save({"model": [{"deep": hostile}], "epoch": -1} if nested else hostile, file)
    with pytest.raises(ModelError, match=r"(posix|nt)\.system") as caught:
        load(file)
    assert not proof.exists()
    assert "--trust-checkpoint" in str(caught.value)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("save", [in_zip, old_style])
def test_trusted_pickle_runs(save: Save, tmp_path: Path) -> None:
    """The counterpart, which shows that the payload above would have run."""
    proof, file = tmp_path / "proof", tmp_path / "evil.pt"
    save({"model": Hostile(f"touch {proof}")}, file)
    load(file, trust=True)
    assert proof.exists()


def test_the_command_refuses_a_network_with_a_payload(
    vision: Callable[..., Any], weights: Path, tmp_path: Path
) -> None:
    """A real YOLO with a payload beside it: looked at, loaded by `vision detect`, refused, not run."""
    import torch
    from PIL import Image

    content = load(weights / "yolov8n.pt")
    torch.save({**content, "extra": Hostile(f"touch {tmp_path / 'proof'}")}, tmp_path / "best.pt")
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    ran = vision("detect", "a.png", "--model", "best.pt", "--no-media")
    assert ran.returncode == 5
    assert b"system" in ran.stderr
    assert b"--trust-checkpoint" in ran.stderr
    assert not (tmp_path / "proof").exists()


def hostile_zip(data: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def test_constructor_of_an_allowed_class_cannot_be_called(tmp_path: Path) -> None:
    """Ultralytics evaluates `activation:` of a model's YAML: DetectionModel(dict) would run what is in it."""
    proof, file = tmp_path / "proof", tmp_path / "evil.pt"
    yaml = b"}" + text("activation") + text(f"__import__('os').system('touch {proof}')") + b"s"
    yaml += text("nc") + b"K\x02s" + text("backbone") + b"]s" + text("head") + b"]s"
    hostile_zip(b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n" + yaml + b"\x85R.", file)
    with pytest.raises(ModelError, match="refused: it would construct DetectionModel"):
        load(file)
    assert not proof.exists()


def test_the_real_class_has_no_name_a_pickle_can_spell(tmp_path: Path) -> None:
    """A class among the values of a checkpoint is a stand-in: calling it later constructs nothing either."""
    file = tmp_path / "odd.pt"
    hostile_zip(b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n.", file)
    stand_in = load(file)
    with pytest.raises(Exception, match="construct DetectionModel"):
        stand_in({"activation": "1/0"})


def test_what_others_granted_does_not_count(tmp_path: Path) -> None:
    """Ultralytics' own loader grants its real classes to the whole process: ours stay stand-ins."""
    import torch
    from ultralytics.nn.tasks import DetectionModel

    file = tmp_path / "odd.pt"
    hostile_zip(b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n.", file)
    with torch.serialization.safe_globals([DetectionModel, os.system]):
        before = set(torch.serialization.get_safe_globals())
        stand_in = load(file)
        assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(Exception, match="construct DetectionModel"):
        stand_in({"activation": "1/0"})


def test_duplicate_entries_are_all_looked_at(tmp_path: Path) -> None:
    """Readers differ in which of two entries of one name they take."""
    file = tmp_path / "two.pt"
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n.")
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    with pytest.raises(ModelError, match=r"os\.system"):
        load(file)


def test_loads_in_several_threads(weights: Path) -> None:
    """torch's allow-list is one for the process: a load that ends must not strip another's."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda n: load(weights / n), CHECKPOINTS[:3] * 2))
    assert [type(c["ema"] or c["model"]).__name__ for c in loaded] == ["DetectionModel"] * 6


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_real_checkpoints_load(name: str, weights: Path) -> None:
    import torch

    content = load(weights / name)
    model = (content.get("ema") or content["model"]).float().eval()
    assert sum(p.numel() for p in model.parameters()) > 1_000_000
    with torch.no_grad():
        out = model(torch.zeros(1, 3, 64, 64))[0]
    assert torch.isfinite(out[0] if isinstance(out, tuple) else out).all()


def test_state_dict_and_safetensors(weights: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = load(weights / "mobilenet_v2.pth")
    assert len(state) == 314
    save_file(dict(state), tmp_path / "mobilenet_v2.safetensors")
    again = load(tmp_path / "mobilenet_v2.safetensors")
    assert all(torch.equal(again[k], v) for k, v in state.items())


def test_what_training_leaves_beside_the_network(tmp_path: Path) -> None:
    """Numbers of numpy, paths and namespaces, as checkpoints of earlier releases hold them."""
    import numpy as np
    import torch

    from visioncli.models import _ultralytics

    namespace = _ultralytics.load("ultralytics.utils").IterableSimpleNamespace
    content = {
        "best_fitness": np.float64(0.25),
        "count": np.int64(3),
        "train_args": {"model": Path("runs/yolo26n.pt"), "imgsz": 640},
        "args": namespace(lr0=0.01),
        "names": {0: "person"},
        "size": torch.Size([1, 2]),
    }
    torch.save(content, tmp_path / "last.pt")
    loaded = load(tmp_path / "last.pt")
    assert loaded["best_fitness"] == 0.25
    assert loaded["count"] == 3
    assert loaded["train_args"]["model"] == Path("runs/yolo26n.pt")
    assert loaded["args"].lr0 == 0.01
    assert loaded["size"] == torch.Size([1, 2])


def test_forward_and_transforms_as_official_files_hold_them(tmp_path: Path) -> None:
    """Bound methods come through `getattr`; the transforms of a classifier are remembered, not made."""
    import torch
    from torchvision.transforms import Compose, InterpolationMode, Normalize, Resize

    from visioncli.models import _ultralytics

    model = _ultralytics.tasks().ClassificationModel("yolo26n-cls.yaml", verbose=False)
    model.transforms = Compose([Resize(224, InterpolationMode.BICUBIC), Normalize([0.5], [0.25])])
    conv = model.model[0]
    conv.forward = conv.forward_fuse
    torch.save({"model": model}, tmp_path / "cls.pt")
    assert {"builtins.getattr", "torchvision.transforms.transforms.Resize"} <= set(
        pickles.named(tmp_path / "cls.pt")
    )
    loaded = load(tmp_path / "cls.pt")["model"]
    assert loaded.model[0].forward.__func__ is type(conv).forward_fuse
    resize, normalize = loaded.transforms.transforms
    assert (resize.size, resize.interpolation.value) == (224, "bicubic")
    assert (normalize.mean, normalize.std) == ([0.5], [0.25])
    with torch.no_grad():
        assert len(loaded.eval()(torch.zeros(1, 3, 64, 64))) == 2


@pytest.mark.parametrize("name", ["__globals__", "__class__", "__init__", "load", "fuse"])
def test_getattr_gives_forward_and_nothing_else(name: str, tmp_path: Path) -> None:
    file = tmp_path / "evil.pt"
    hostile_zip(
        b"\x80\x02c__builtin__\ngetattr\ncultralytics.nn.tasks\nDetectionModel\n" + text(name) + b"\x86R.",
        file,
    )
    with pytest.raises(ModelError, match="refused: it would take"):
        load(file)


def test_names_of_older_releases(weights: Path, tmp_path: Path) -> None:
    """A module that has moved since is found where it is now."""
    source = zipfile.ZipFile(weights / "yolov8n.pt")
    moved = tmp_path / "old.pt"
    with source, zipfile.ZipFile(moved, "w") as archive:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith("data.pkl"):
                for part in (b"block", b"conv", b"head"):
                    data = data.replace(
                        b"cultralytics.nn.modules." + part + b"\n", b"cultralytics.nn.modules\n"
                    )
            archive.writestr(info, data)
    assert "ultralytics.nn.modules.C2f" in pickles.named(moved)
    assert type(load(moved)["model"]).__name__ == "DetectionModel"


@pytest.mark.parametrize("cut", [0, 10, 1000, -1000])
def test_damaged_files_are_told(cut: int, weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "cut.pt"
    file.write_bytes((weights / "yolo26n.pt").read_bytes()[: cut or 0])
    with pytest.raises(ModelError, match=r"damaged|not a checkpoint"):
        load(file)


def test_not_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("hello")
    (tmp_path / "a.safetensors").write_text("hello")
    for name in ("a.pt", "a.safetensors", "missing.pt"):
        with pytest.raises(ModelError):
            load(tmp_path / name)


def test_every_network_of_the_package_loads(tmp_path: Path) -> None:
    """The allow-list is complete for what the registry lists: one network of each adapter and family."""
    import torch

    from visioncli.models import _ultralytics

    tasks = _ultralytics.tasks()
    made = {
        "yolov3-tiny.yaml": tasks.DetectionModel,
        "yolov9t.yaml": tasks.DetectionModel,
        "yolov10n.yaml": tasks.DetectionModel,
        "yolo12n.yaml": tasks.DetectionModel,
        "yolo26n-seg.yaml": tasks.SegmentationModel,
    }
    for yaml, kind in made.items():
        buffer = io.BytesIO()
        torch.save({"model": kind(yaml, verbose=False).half()}, buffer)
        file = tmp_path / f"{yaml}.pt"
        file.write_bytes(buffer.getvalue())
        assert isinstance(load(file)["model"], kind), yaml
