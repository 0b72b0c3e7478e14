"""Help, completion, and what they do not import."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.build_weights import ROOT
from tests.conftest import Run

HEAVY = ("torch", "torchvision", "cv2", "numpy", "av", "PIL", "ultralytics", "openvino")


def imported(code: str, *, env: dict[str, str] | None = None, cwd: Path = ROOT) -> set[str]:
    """The heavy packages that `code` has imported when it ends, in a process of its own."""
    tail = f"\nprint('imported', *sorted({set(HEAVY)!r} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + code + tail],
        capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})}, timeout=120, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1].split()
    assert last[0] == "imported", done.stderr
    return set(last[1:])


def command(*arguments: object) -> str:
    """Code that runs a command line and survives its exit."""
    return (
        "from visioncli.cli import main\n"
        f"try: main({[str(a) for a in arguments]!r})\n"
        "except SystemExit as exit: assert not exit.code, exit.code\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("detect", "--help"), ("models", "list"), ("models", "list", "--json")],
    ids=" ".join,
)
def test_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert imported(command(*arguments)) == set()


def test_import_is_lazy() -> None:
    assert imported("import visioncli; visioncli.__version__; visioncli.VisionError") == set()


@pytest.mark.slow
def test_a_yolo_run_needs_no_torchvision(weights: Path, tmp_path: Path) -> None:
    dog = ROOT / "sample_media" / "dog.jpg"
    env = {"VISION_WEIGHTS": str(weights)}
    run = command("detect", dog, "--imgsz", "64", "--runtime", "torch")
    seen = imported(run, env=env, cwd=tmp_path)
    assert {"torch", "ultralytics"} <= seen
    assert "torchvision" not in seen
    assert "av" not in seen, "a picture needs no FFmpeg"


@pytest.mark.parametrize("width", [80, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.parametrize("arguments", [(), ("detect",), ("classify",), ("models",)], ids=" ".join)
def test_help(vision: Run, arguments: tuple[str, ...], width: int) -> None:
    run = vision(*arguments, "--help", env={"COLUMNS": str(width)})
    assert run.returncode == 0
    text = run.stdout.decode()
    assert max(map(len, text.splitlines())) <= width
    assert not re.search(r"<\w+", text), "no types of Python's"
    for heading in ("Input:", "Model:", "Answer:", "Output:", "More:", "Examples:"):
        assert (heading in text) == (arguments in (("detect",), ("classify",)))
    assert vision(*arguments, "-h", env={"COLUMNS": str(width)}).stdout == run.stdout


@pytest.mark.parametrize(
    "shell", ["bash", *(pytest.param(s, marks=pytest.mark.slow) for s in ("zsh", "fish"))]
)
def test_completion(vision: Run, shell: str) -> None:
    run = vision("--show-completion", shell, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert run.returncode == 0, run.stderr
    assert b"_VISION_COMPLETE" in run.stdout


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("vision det", "detect"),
        ("vision detect --mod", "--model"),
        ("vision detect --model yolo26", "yolo26n"),
    ],
)
def test_completes(words: str, wanted: str) -> None:
    script = Path(sysconfig.get_path("scripts")) / "vision"
    if not script.exists():
        pytest.skip("the package is not installed with its command")
    env = {
        **os.environ,
        "_VISION_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    run = subprocess.run([str(script)], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert wanted in run.stdout.split(), run.stderr
