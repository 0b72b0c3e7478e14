"""`watched`: run the command with an audit hook that logs what it does outside of its task."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

HOOK = """
import os, sys
_log = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
_WATCHED = {
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn", "urllib.Request",
    "ftplib.connect", "smtplib.connect", "http.client.connect", "webbrowser.open",
}
def _hook(event, args):
    if event in _WATCHED:
        os.write(_log, f"{event} {args!r}\\n".encode("utf-8", "backslashreplace"))
sys.addaudithook(_hook)
"""


@dataclass(frozen=True)
class Watched:
    """A run: how it ended, the audited events (one a line), and the files below its HOME."""

    code: int
    stdout: bytes
    stderr: bytes
    events: list[str]
    home: list[str]


@pytest.fixture
def watched(tmp_path: Path, weights: Path) -> Callable[..., Watched]:
    """`watched("detect", …)`, in a new home, with the real weights and no variable of other libraries set."""

    def run(*arguments: object, prefix: tuple[str, ...] = (), code: str | None = None) -> Watched:
        site, home = tmp_path / "site", tmp_path / "home"
        for folder in (site, home):
            folder.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(HOOK)
        log = tmp_path / "audit"
        log.unlink(missing_ok=True)
        keep = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("YOLO_", "XDG_", "TORCH_", "VISION_", "MPL"))
        }
        environment = {**keep, "HOME": str(home), "PYTHONPATH": str(site), "AUDIT_LOG": str(log),
                       "VISION_WEIGHTS": str(weights)}  # fmt: skip
        command = ["-c", code] if code is not None else ["-m", "visioncli"]
        done = subprocess.run(
            [*prefix, sys.executable, *command, *map(str, arguments)],
            env=environment, capture_output=True, cwd=tmp_path, timeout=300, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        files = sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file())
        return Watched(done.returncode, done.stdout, done.stderr, log.read_text().splitlines(), files)

    return run
