"""On a terminal (a real pseudo-terminal): a table, progress while it runs, colours unless NO_COLOR."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.build_weights import ROOT

SAMPLES = ROOT / "sample_media"
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
Shown = tuple[int, bytes, bytes]


@pytest.fixture
def at_terminal(weights: Path, tmp_path: Path) -> Callable[..., Shown]:
    """Run a command with stderr, and stdout too unless `piped`, on a terminal of 100 columns.

    Gives the exit code, what the terminal got, and what the pipe got.
    """

    def run(*arguments: object, piped: bool = False, **variables: str) -> Shown:
        ours, theirs = pty.openpty()
        here = {"VISION_WEIGHTS": str(weights), "COLUMNS": "100", "TERM": "xterm-256color"}
        process = subprocess.Popen(
            [sys.executable, "-m", "visioncli", *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if piped else theirs, stderr=theirs,
            cwd=tmp_path, env={**os.environ, **here, **variables},
        )  # fmt: skip
        os.close(theirs)
        shown, data = bytearray(), bytearray()
        sources = {ours: shown} | ({process.stdout.fileno(): data} if process.stdout else {})
        deadline = time.monotonic() + 120
        while sources and time.monotonic() < deadline:
            for descriptor in select.select(list(sources), [], [], 1)[0]:
                try:
                    chunk = os.read(descriptor, 65536)
                except OSError:  # how a Linux terminal says that nobody writes any more
                    chunk = b""
                if chunk:
                    sources[descriptor] += chunk
                else:
                    del sources[descriptor]
        os.close(ours)
        if process.stdout:
            process.stdout.close()
        return process.wait(30), bytes(shown), bytes(data)

    return run


@pytest.mark.slow
def test_pipe_with_progress(at_terminal: Callable[..., Shown]) -> None:
    """Data into the pipe, progress on the terminal: neither in the other; and the progress goes away."""
    code, shown, data = at_terminal(
        "detect", SAMPLES / "people.mp4", "--imgsz", "160", "--no-media", piped=True
    )
    assert code == 0
    assert data
    assert b"\x1b" not in data
    assert all(line.count(b"\t") == 9 for line in data.splitlines())
    assert b"people.mp4" in shown
    assert b"/60 frames" in shown
    assert b"\t" not in shown
    assert shown.rstrip().endswith((b"\x1b[?25h", b"\x1b[2K", b"\x1b[1A")), "the last thing is to clean up"


@pytest.mark.slow
def test_table(at_terminal: Callable[..., Shown]) -> None:
    arguments = ("detect", SAMPLES / "dog.jpg", SAMPLES / "people.mp4", "gone.jpg", "--imgsz", "320")
    code, shown, _ = at_terminal(*arguments)
    assert code == 3
    assert COLOUR.search(shown)
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode()
    assert "1 dog" in text
    assert "60 frames" in text
    assert "error: gone.jpg" in text
    assert re.search(r"1 picture · 60 frames · \d+ objects · 1 error", text)
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "variables", "has_progress"),
    [("--quiet", {}, False), ("--verbose", {"NO_COLOR": "1"}, True), ("--verbose", {"TERM": "dumb"}, False)],
)
def test_quiet_and_plain(
    at_terminal: Callable[..., Shown], option: str, variables: dict[str, str], has_progress: bool
) -> None:
    arguments = ("detect", SAMPLES / "people.mp4", "gone.jpg", "--imgsz", "160", "--no-media", option)
    code, shown, data = at_terminal(*arguments, piped=True, **variables)
    assert code == 3
    assert data
    assert (b"frames" in shown) == has_progress
    assert b"gone.jpg" in shown
    if option == "--quiet":
        assert shown.replace(b"\r\n", b"\n").count(b"\n") == 1
    if variables:
        # Bold and dim are no colours; 30 to 49, 90 to 107 are.
        assert not re.search(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-9]|4[0-9]|9[0-7]|10[0-7])[0-9;]*m", shown)
