"""`vision models` as its users meet it: the real command in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.registry.server import Served, serving
from visioncli import cache
from visioncli.cli import compiled, main

Run = Callable[..., CompletedProcess[bytes]]
BODY = random.Random(3).randbytes(300_000)


def on_terminal(*args: str, columns: int) -> str:
    """What the command prints on a terminal of that width."""
    leader, follower = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-m", "visioncli", *args], stdout=follower, stderr=follower, stdin=follower, env=env
    ) as process:
        os.close(follower)
        parts = []
        try:
            while part := os.read(leader, 65536):
                parts.append(part)
        except OSError:  # the terminal's other end is closed: Linux says it so
            pass
        process.wait()
    os.close(leader)
    return re.sub(r"\x1b\[[0-9;]*m", "", b"".join(parts).decode()).replace("\r\n", "\n")


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """As `vision`, in this process: quicker where a process of its own proves nothing more."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, env: dict[str, str] | None = None) -> CompletedProcess[bytes]:
        with monkeypatch.context() as patched, pytest.raises(SystemExit) as ended:
            for variable, value in (env or {}).items():
                patched.setenv(variable, value)
            main([str(a) for a in arguments])
        out, err = capfdbinary.readouterr()
        return CompletedProcess(arguments, int(ended.value.code or 0), out, err)

    return run


def rows(out: bytes) -> list[dict[str, str]]:
    head, *lines = [line.split("\t") for line in out.decode().splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_piped_list_is_tab_separated(vision: Run, tmp_path: Path) -> None:
    listed = vision("models", "list", env={"VISION_CACHE": str(tmp_path)})
    assert listed.returncode == 0
    assert listed.stderr == b""
    found = {r["name"]: r for r in rows(listed.stdout)}
    assert len(found) > 170
    assert found["mobilenet_v2"] == {
        "name": "mobilenet_v2", "task": "classify", "family": "MobileNet", "top1": "72.154", "map": "",
        "params": "3504872", "gflops": "0.602", "bytes": "14258536", "licence": "BSD-3-Clause", "here": "no",
        "compiled": "",
    }  # fmt: skip
    assert found["yolo26n"]["map"] == "40.9"


def test_list_says_what_is_compiled(vision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_CACHE", str(tmp_path))
    about = {"model": "mobilenet_v2", "shape": "any", "precision": "bf16"}
    cache.write("compiled", {"weights": "0"}, b"bytes", about)
    compiled.precisions.cache_clear()
    found = {r["name"]: r for r in rows(vision("models", "list").stdout)}
    compiled.precisions.cache_clear()
    assert found["mobilenet_v2"]["compiled"] == "bf16"
    assert found["yolo26n"]["compiled"] == ""


@pytest.mark.parametrize(
    ("sort", "column", "descending"),
    [("top1", "top1", True), ("map", "map", True), ("params", "params", False), ("gflops", "gflops", False),
     ("size", "bytes", False)],
)  # fmt: skip
def test_sort(sort: str, column: str, descending: bool, inside: Run) -> None:
    """Best first for accuracy, smallest first for cost; what has no figure comes last."""
    values = [r[column] for r in rows(inside("models", "list", "--sort", sort).stdout)]
    known = [float(v) for v in values if v]
    assert known == sorted(known, reverse=descending)
    assert values[: len(known)] == [v for v in values if v]


def test_filters(inside: Run) -> None:
    assert {r["task"] for r in rows(inside("models", "list", "--task", "classify").stdout)} == {"classify"}
    segment = {r["task"] for r in rows(inside("models", "list", "--task", "segment").stdout)}
    assert segment == {"segment-instance", "segment-semantic"}
    assert {r["family"] for r in rows(inside("models", "list", "--family", "faster-rcnn").stdout)} == {
        "Faster R-CNN"
    }


@pytest.mark.parametrize("arguments", [["--task", "detekt"], ["--family", "x"], ["--sort", "name"]])
def test_wrong_options_are_usage_errors(arguments: list[str], inside: Run) -> None:
    refused = inside("models", "list", *arguments)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr.count(b"\n") == 1


def test_json(inside: Run) -> None:
    listed = json.loads(inside("models", "list", "--json", "--task", "detect").stdout)
    one = next(r for r in listed if r["name"] == "fasterrcnn_resnet50_fpn_v2")
    assert (one["map"], one["params"], one["here"]) == (46.7, 43712278, False)


@pytest.mark.parametrize(("columns", "shown"), [(140, True), (80, False)])
def test_table_fits_the_terminal(columns: int, shown: bool) -> None:
    printed = on_terminal("models", "list", "--task", "detect", columns=columns)
    assert all(len(line) <= columns for line in printed.splitlines() if "terminal" not in line)
    assert "fasterrcnn_mobilenet_v3_large_320_fpn" in printed
    assert ("BSD-3-Clause" in printed) == shown
    assert "…" not in printed


def test_info_tells_all_variants_and_memory(inside: Run) -> None:
    printed = inside("models", "info", "vit_b_16").stdout.decode()
    for part in (
        "vit_b_16:IMAGENET1K_SWAG_E2E_V1",
        "top-1 85.304",
        "384×384",
        "not for commercial use",
        "9ac1b537",
    ):
        assert part in printed
    told = json.loads(inside("models", "info", "mobilenet_v2", "--json").stdout)
    memory = told["weights"][1]["memory_mb"]
    assert memory["weights"] == 14.0
    assert memory["total"] == pytest.approx(memory["weights"] + memory["activations"])


def test_unknown_model(inside: Run) -> None:
    refused = inside("models", "info", "yolo26")
    assert refused.returncode == 2
    assert b"did you mean yolo26" in refused.stderr


def test_pull_then_path_then_verify(inside: Run, tmp_path: Path) -> None:
    with serving(Served({"yolo26n.pt": BODY, "yolo11n.pt": BODY[::-1]})) as server:
        env = {"VISION_WEIGHTS_URL": server.url}
        assert inside("models", "path", "yolo26n", env=env).returncode == 5
        assert server.requests == []
        pulled = inside("models", "pull", "yolo26n", "yolo11n", env=env)
        assert pulled.returncode == 0, pulled.stderr
        assert len(server.requests) == 2
        again = inside("models", "pull", "yolo26n", "yolo11n", env=env)
        assert len(server.requests) == 2
    file, other = [Path(line) for line in pulled.stdout.decode().splitlines()]
    assert again.stdout == pulled.stdout
    assert file.read_bytes() == BODY
    assert inside("models", "path", "yolo26n").stdout.decode().strip() == str(file)
    checked = inside("models", "verify")
    assert checked.returncode == 0
    digest = hashlib.sha256(BODY).hexdigest()
    assert f"yolo26n:COCO\tok\t{digest}\t{file}" in checked.stdout.decode().splitlines()
    other.write_bytes(BODY)
    checked = inside("models", "verify")
    assert checked.returncode == 5
    assert b"yolo11n:COCO\twrong" in checked.stdout
    assert inside("models", "verify", "yolo26n").returncode == 0
    assert inside("models", "verify", "resnet50").returncode == 5


def test_pull_of_a_wrong_file_leaves_nothing(inside: Run, tmp_path: Path) -> None:
    """The published hash of mobilenet_v2 guards it against a mirror that gives something else."""
    with serving(Served({"mobilenet_v2-7ebf99e0.pth": BODY})) as server:
        pulled = inside(
            "models",
            "pull",
            "mobilenet_v2",
            "--weights-dir",
            tmp_path,
            env={"VISION_WEIGHTS_URL": server.url},
        )
    assert pulled.returncode == 5
    assert b"7ebf99e0" in pulled.stderr
    assert not [p for p in tmp_path.iterdir() if not p.name.endswith(".lock")]


def test_pull_offline(inside: Run) -> None:
    with serving(Served({"yolo26n.pt": BODY})) as server:
        refused = inside("models", "pull", "yolo26n", "--offline", env={"VISION_WEIGHTS_URL": server.url})
        assert server.requests == []
    assert refused.returncode == 5
    assert b"--offline forbids" in refused.stderr


def test_weights_dir_from_the_configuration(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "yolo26n.pt").write_bytes(BODY)
    (tmp_path / "vision.toml").write_text('weights-dir = "kept"\n')
    assert inside("models", "path", "yolo26n").stdout == b"kept/yolo26n.pt\n"


def test_verify_of_nothing(inside: Run) -> None:
    checked = inside("models", "verify")
    assert (checked.returncode, checked.stdout) == (0, b"")


def test_nothing_heavy_is_imported() -> None:
    heavy = {"torch", "torchvision", "cv2", "numpy", "av", "PIL", "ultralytics", "httpx", "rich"}
    code = (
        "import sys\nfrom visioncli.cli import main\ntry:\n main(['models','list'])\n"
        "except SystemExit: pass\n"
        f"print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ran.stderr.decode().strip() == "[]"


def test_mini_is_always_here(inside: Run) -> None:
    """One name, a row and a block for each task; its file comes with the package."""
    listed = {r["task"]: r for r in rows(inside("models", "list", "--family", "mini").stdout)}
    assert list(listed) == ["detect", "classify", "segment-semantic"]
    assert {(r["name"], r["here"], r["licence"]) for r in listed.values()} == {("mini", "yes", "AGPL-3.0")}
    path = Path(inside("models", "path", "mini").stdout.decode().strip())
    assert path.is_file()
    assert inside("models", "pull", "mini", "--offline").stdout.decode().strip() == str(path)
    told = inside("models", "info", "mini").stdout.decode()
    assert told.count(str(path)) == told.count("come with vision") == told.count("docs/mini.md") == 3
    about = json.loads(inside("models", "info", "mini", "--json").stdout)
    tasks = [about, *about["siblings"]]
    assert [(t["task"], t["weights"][0]["path"]) for t in tasks] == [(task, str(path)) for task in listed]
    assert b"mini:PACKAGED\tunknown" in inside("models", "verify", "mini").stdout


def test_info_names_the_classes_of_a_file_that_says_so(inside: Run, tmp_path: Path) -> None:
    from visioncli.registry.weights import PACKAGED
    from visioncli.train.mini.export import export

    (tmp_path / "mine").mkdir()
    export(
        PACKAGED / "mini.safetensors", tmp_path / "mine" / "mini.safetensors", answers={"detects": "cat,dog"}
    )
    told = inside("models", "info", "mini", "--weights-dir", tmp_path / "mine").stdout.decode()
    assert "classes      2: cat, dog\n" in told
    assert "classes      1000\n" in told


def test_compile_does_every_head_of_mini(
    inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("VISION_CACHE", str(tmp_path / "kept"))
    done = inside("models", "compile", "mini", "--precision", "fp32")
    assert [line.split("\t")[:2] for line in done.stdout.decode().splitlines()] == [["mini", "fp32"]] * 3
