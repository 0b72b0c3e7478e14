"""Every exit code of DESIGN.md (but 6, which comes with `--exists`, and the signals': test_interrupt)."""

from __future__ import annotations

import os
import pickle
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SAMPLES, Command
from tests.schema import check

CAT = SAMPLES / "cat.jpg"


def test_all_done(command: Command) -> None:
    run = command("detect", CAT, "--no-media")
    assert run.returncode == 0
    assert run.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--frob"], "No such option"),
        (["--modle", "yolo26n"], "--model"),
        (["--conf", "2"], "--conf"),
        (["--conf", "nan"], "--conf"),
        (["--conf", "x"], "--conf"),
        (["--iou", "-1"], "--iou"),
        (["--max-det", "0"], "--max-det"),
        (["--batch", "0"], "--batch"),
        (["--batch", "many"], "--batch"),
        (["--stride", "0"], "--stride"),
        (["--imgsz", "0"], "--imgsz"),
        (["--imgsz", "1x2x3"], "--imgsz"),
        (["--imgsz", "1000000"], "--imgsz"),
        (["--start", "soon"], "soon"),
        (["--start", "2", "--end", "1"], "--end"),
        (["--classes", ""], "--classes"),
        (["--classes", "persn"], "did you mean person"),
        (["--classes", "80"], "0 to 79"),
        (["--model", "yolo26x9"], "did you mean yolo26"),
        (["--model", "efficientnet_v2_s"], "classify"),
        (["--device", "cuda:99"], "CUDA" if not shutil.which("nvidia-smi") else "cuda:99"),
        (["--device", "tpu"], "tpu"),
        (["--precision", "int4"], "int4"),
        (["--runtime", "x"], "runtime"),
        (["--json", "--jsonl"], "stdout"),
        (["--jsonl="], "no file"),
        (["--csv", ""], "no file"),
        (["--config", "none.toml"], "none.toml"),
    ],
)
def test_usage(command: Command, tmp_path: Path, arguments: list[str], says: str) -> None:
    run = command("detect", CAT, *arguments)
    assert run.returncode == 2, run.stderr
    assert run.stdout == b""
    (line,) = run.stderr.decode().splitlines()
    assert line.startswith("vision: ")
    assert says in line
    assert not (tmp_path / "vision-out").exists(), "refused before any work"


def test_a_folder_taken_for_the_record(command: Command, tmp_path: Path) -> None:
    run = command("detect", "--jsonl", ".")
    assert run.returncode == 2
    assert b"--jsonl - ." in run.stderr


@pytest.mark.parametrize("arguments", [(), ("models",)], ids=" ".join)
def test_nothing_said(command: Command, arguments: tuple[str, ...]) -> None:
    """The help, readable."""
    run = command(*arguments)
    assert (run.returncode, run.stdout) == (2, b"")
    assert b"\nCommands:\n" in run.stderr


def test_usage_of_the_top(command: Command) -> None:
    assert "did you mean detect" in command("detekt").stderr.decode()
    slip = command(CAT)
    assert slip.returncode == 2
    assert f"vision detect {CAT}" in slip.stderr.decode()


def test_a_lone_video_as_json(command: Command) -> None:
    run = command("detect", SAMPLES / "people.mp4", "--json")
    assert (run.returncode, run.stdout) == (2, b"")
    assert b"--jsonl" in run.stderr


def test_nothing_to_do_at_a_terminal(weights: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        run = subprocess.run(
            [sys.executable, "-m", "visioncli", "detect"],
            stdin=theirs, capture_output=True, cwd=tmp_path, timeout=60,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert run.returncode == 2
    assert run.stdout == b""
    first, second = run.stderr.decode().splitlines()
    assert "nothing to detect" in first
    assert "vision detect photo.jpg" in second


@pytest.mark.parametrize("option", ["--jsonl", "--csv"])
def test_a_named_file_is_kept(command: Command, tmp_path: Path, option: str) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine\n")
    run = command("detect", CAT, "--no-media", option, kept)
    assert run.returncode == 2
    assert b"--force" in run.stderr
    assert kept.read_text() == "mine\n"
    forced = command("detect", CAT, "--no-media", option, kept, "--force")
    assert forced.returncode == 0, forced.stderr
    assert kept.read_text() != "mine\n"


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("option", ["--jsonl", "--csv"])
def test_an_input_is_never_an_output(command: Command, tmp_path: Path, option: str, force: list[str]) -> None:
    """`vision detect --jsonl photo.jpg` takes the picture for the option's FILE."""
    photo = tmp_path / "photo.jpg"
    shutil.copy(CAT, photo)
    for rest in ([], [CAT]):
        run = command("detect", option, "photo.jpg", *rest, *force)
        assert run.returncode == 2
        assert photo.read_bytes() == CAT.read_bytes()


def test_a_named_folder_is_kept(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cat.jpg").write_text("mine")
    run = command("detect", CAT, "--out", "mine")
    assert run.returncode == 2
    assert (tmp_path / "mine" / "cat.jpg").read_text() == "mine"
    for _ in range(2):  # the default folder is ours to overwrite
        assert command("detect", CAT).returncode == 0


def test_some_inputs_failed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "torn.jpg").write_bytes(CAT.read_bytes()[:300])
    run = command("detect", "torn.jpg", CAT, "gone.jpg", "--jsonl", "r.jsonl", "--csv", "r.csv", "--json")
    assert run.returncode == 3
    lines = check(tmp_path / "r.jsonl")
    assert [line["type"] for line in lines] == ["run", "error", "result", "error", "end"]
    assert lines[-1] | {"seconds": 0} == {"type": "end", "inputs": 3, "errors": 2, "seconds": 0}
    assert [line.split(":")[0] for line in run.stderr.decode().splitlines()] == ["error", "error"]
    assert [p.name for p in (tmp_path / "vision-out").iterdir()] == ["cat.jpg"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--jsonl", "/dev/full"],
        ["--csv", "/dev/full"],
        ["--jsonl", "no/such/folder.jsonl"],
        ["--out", "/proc/nothing"],
        ["--out", "a-file/below"],
        ["--crops", "a-file/below"],
        ["--csv", "a-file/below.csv"],
    ],
)
def test_unwritable(command: Command, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "a-file").write_text("in the way")
    run = command("detect", CAT, *arguments)
    assert run.returncode == 4, run.stderr
    (line,) = run.stderr.decode().splitlines()
    assert arguments[1].split("/")[0] in line
    assert (tmp_path / "a-file").read_text() == "in the way"


def test_full_stdout(weights: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "visioncli", "--version"], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert run.returncode == 4
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("model", ["yolo26m", "yolo26m.pt"])
def test_no_weights(command: Command, tmp_path: Path, model: str) -> None:
    run = command("detect", CAT, "--offline", "--model", model)
    assert run.returncode in (2, 5) if model.endswith(".pt") else run.returncode == 5
    assert run.stdout == b""
    (line,) = run.stderr.decode().splitlines()
    if run.returncode == 5:
        for part in ("yolo26m.pt", "weights", "https://", "vision models pull yolo26m", "--model PATH"):
            assert part in line
    assert not (tmp_path / "vision-out").exists()


class _Payload:
    """What a hostile pickle holds: its loading makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch payload-ran",))


def test_hostile_checkpoint(command: Command, tmp_path: Path) -> None:
    import torch

    from visioncli.models import _ultralytics

    network = _ultralytics.tasks().DetectionModel
    torch.save({"model": network, "ema": _Payload()}, tmp_path / "evil.pt")  # passes for a detector
    torch.save({"state_dict": _Payload()}, tmp_path / "stranger.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Payload()))
    (tmp_path / "noise.pt").write_bytes(bytes(range(256)) * 9)
    for name in ("evil.pt", "stranger.pt", "plain.pt", "noise.pt"):
        for spec in (f"./{name}", f"yolo26n:./{name}"):
            run = command("detect", CAT, "--no-media", "--model", spec)
            # A file that does not even pass for a network is a question: which one did you mean?
            unknown = spec == f"./{name}" and name != "evil.pt"
            assert run.returncode in ((2, 5) if unknown else (5,)), (spec, run.stderr)
            assert name in run.stderr.decode()
            assert len(run.stderr.splitlines()) == 1
    assert not (tmp_path / "payload-ran").exists()


@pytest.mark.usefixtures("broken_plugin")
def test_a_bug(command: Command) -> None:
    """A plugin whose adapter raises what it should not: one line that names the input; more with --debug."""
    run = command("detect", CAT, "--no-media", "--model", "broken")
    assert run.returncode == 1, run.stderr
    *_, line = run.stderr.decode().splitlines()
    assert line.startswith("vision: a bug: ZeroDivisionError: its own fault")
    assert "cat.jpg" in line
    more = command("detect", CAT, "--no-media", "--model", "broken", "--debug")
    assert more.returncode == 1
    assert b"Traceback" in more.stderr


@pytest.fixture
def broken_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with an entry point, as pip leaves it: a card whose adapter fails in `prepare`."""
    from visioncli.registry import lookup

    site = tmp_path / "site"
    info = site / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[visioncli.models]\nbroken = broken:card\n")
    (site / "broken.py").write_text(
        "from dataclasses import replace\n"
        "from visioncli.models.yolo_detect import YoloDetector\n"
        "def card():\n"
        "    from visioncli.registry.cards import builtin\n"
        "    return replace(builtin()['yolo26n'], name='broken', adapter='broken:Broken')\n"
        "class Broken(YoloDetector):\n"
        "    def prepare(self, images):\n"
        "        raise ZeroDivisionError('its own fault')\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    lookup.plugins.cache_clear()
    yield
    lookup.plugins.cache_clear()
