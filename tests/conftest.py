"""Fixtures: the real weights and media, a `vision` to run, and a home that is nobody's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.build_weights import ROOT, build
from tests.build_weights import shared as shared_folder

# Before anything imports ultralytics: no settings file in a person's home, nothing installed, nothing posted.
os.environ.setdefault("YOLO_CONFIG_DIR", str(ROOT / "build" / "ultralytics-settings"))
os.environ.setdefault("YOLO_AUTOINSTALL", "0")
os.environ.setdefault("YOLO_OFFLINE", "1")
SETTINGS = Path(os.environ["YOLO_CONFIG_DIR"]) / "Ultralytics" / "settings.json"
SETTINGS.parent.mkdir(parents=True, exist_ok=True)
if not SETTINGS.exists():
    SETTINGS.write_text('{"sync": false}', "utf-8")


@pytest.fixture(scope="session")
def shared() -> Path:
    """`VISION_SHARED`; skips where it is missing (`.ci/run` fails there instead)."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("needs the real weights and media: set VISION_SHARED")
    return folder


@pytest.fixture(scope="session")
def data(shared: Path) -> Path:
    """`VISION_SHARED/data`."""
    return shared / "data"


@pytest.fixture(scope="session")
def weights(shared: Path) -> Path:
    """The folder of real checkpoints, built once (`make weights` builds the same)."""
    folder = ROOT / "build" / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "weights.lock"):
        return build(folder, quiet=True)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes this machine's caches and configuration."""
    home = tmp_path_factory.mktemp("home")
    for variable, folder in {
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "TORCH_HOME": "torch",
    }.items():
        monkeypatch.setenv(variable, str(home / folder))
    for variable in [v for v in os.environ if v.startswith("VISION_") and v != "VISION_SHARED"]:
        monkeypatch.delenv(variable)
    # Compiled networks are keyed by all that decides them: the tests share theirs, and compile once.
    monkeypatch.setenv("VISION_CACHE", str(ROOT / "build" / "kept"))


Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def vision(tmp_path: Path) -> Run:
    """Run the real command in a process of its own: `vision("detect", path, cwd=…, input=…, env={…})`."""

    def run(
        *args: object,
        cwd: Path = tmp_path,
        input: bytes | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[bytes]:
        stdin = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run(
            [sys.executable, "-m", "visioncli", *map(str, args)],
            cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, timeout=timeout, **stdin,  # type: ignore[arg-type]
        )  # fmt: skip

    return run
