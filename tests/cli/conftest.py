"""`command`: run a command line in this process, and in the slow set once more as a process of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.build_weights import ROOT
from tests.conftest import Run

SAMPLES = ROOT / "sample_media"
Command = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def samples() -> Path:
    """The pictures and the clip that the repository carries."""
    return SAMPLES


@pytest.fixture(scope="session")
def compiled(weights: Path) -> None:
    """What the commands' tests run is compiled, so that no test depends on which ran before it."""
    from visioncli import load

    before = os.environ.get("VISION_CACHE")
    os.environ["VISION_CACHE"] = str(ROOT / "build" / "kept")
    try:
        with FileLock(ROOT / "build" / "kept.lock"):
            load("yolo26n", weights_dir=weights, runtime="openvino")
    finally:
        if before is None:
            del os.environ["VISION_CACHE"]
        else:
            os.environ["VISION_CACHE"] = before


@pytest.fixture(params=["inside", pytest.param("process", marks=pytest.mark.slow)])
def command(
    request: pytest.FixtureRequest,
    vision: Run,
    weights: Path,
    compiled: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Command:
    """`command("detect", path, input=…)` in `tmp_path`, with the real weights: exit code, stdout, stderr.

    Inside this process it costs no start-up; the same test then runs the real thing in the slow set.
    """
    monkeypatch.setenv("VISION_WEIGHTS", str(weights))
    monkeypatch.chdir(tmp_path)

    def inside(*args: object, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        from visioncli.cli import main

        capfdbinary.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(input)))
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        assert isinstance(ended.value.code, int)
        out, err = capfdbinary.readouterr()
        return subprocess.CompletedProcess(list(args), ended.value.code, out, err)

    def process(*args: object, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return vision(*args, input=input)

    return inside if request.param == "inside" else process
