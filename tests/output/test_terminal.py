"""The table, messages and progress on a real pseudo-terminal, and messages without one."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
from fcntl import ioctl
from pathlib import Path

import pytest

from visioncli.errors import InputError
from visioncli.media.frame import Failure
from visioncli.output.terminal import Terminal

ROOT = Path(__file__).parent.parent.parent
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
START = """
import sys, time
from tests.output.samples import *
from visioncli.output import open_sinks
from visioncli.output.terminal import Terminal
terminal = Terminal(quiet="quiet" in sys.argv)
sinks = [*open_sinks(terminal), terminal.progress("detect")]
def each(method, *arguments):
    for sink in sinks:
        getattr(sink, method)(*arguments)
each("start", RUN)
"""


def on_terminal(code: str, *arguments: str, columns: int = 100, stderr: int | None = None, **env: str) -> str:
    """What `code` sends to a terminal, as it sends it; `stderr` goes there too unless it is given."""
    mine, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, "-c", START + textwrap.dedent(code), *arguments],
        stdin=its, stdout=its, stderr=its if stderr is None else stderr, cwd=ROOT,
        env={**inherited, "TERM": "xterm-256color", **env},
    )  # fmt: skip
    os.close(its)
    sent = b""
    try:
        while chunk := os.read(mine, 65536):
            sent += chunk
    except OSError:  # the other side has closed
        pass
    os.close(mine)
    assert process.wait(60) == 0, sent.decode()
    return sent.decode().replace("\r\n", "\n")


def plain(sent: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", sent)


def test_the_tables() -> None:
    sent = on_terminal(
        """
        for name in ("bus.jpg", "a/" + "very/" * 30 + "long.jpg", "[bold]x[/bold]\\x1b[31m\\n.jpg"):
            each("result", detection(name))
        each("result", empty())
        for i in range(50):
            each("result", detection("a.mp4", i, i / 25) if i % 2 else empty("a.mp4", i, i / 25))
        each("done", "a.mp4", 50, 2)
        each("end", SUMMARY)

        from dataclasses import replace
        sinks = open_sinks(terminal)
        each("start", replace(RUN, task="classify"))
        each("result", classification())
        each("end", SUMMARY)
        """
    )
    text = plain(sent)
    rows = [line for line in text.splitlines() if "640×480  " in line]
    names = ["bus.jpg", "…very/very/very/very/very/long.jpg", r"[bold]x[/bold]\x1b[31m\n.jpg", "empty.jpg"]
    found = ["2 person · 1 bus"] * 3 + ["–"]
    assert [row.split() for row in rows[:4]] == [
        [name[-33:] if len(name) < 34 else "…" + name[-32:], "640×480", *what.split()]
        for name, what in zip(names, found, strict=True)
    ]
    assert len({row.index("640×480") for row in rows}) == 1
    assert "a.mp4  640×480 · 50 frames · 1.96 s · 2 damaged packets skipped" in text
    assert re.search(r"person +50 +25 +2 +0\.04 s +1\.96 s +0\.99", text)
    assert re.search(r"bus +25 +25 +1 ", text)
    assert "4 pictures · 50 frames · 84 objects · 1 error · 1.23 s" in text
    assert "traffic light 0.70 · person 0.20 · ラベル 0.05" in text
    assert COLOUR.search(sent)


def test_progress_is_drawn_and_gone_at_the_end() -> None:
    sent = on_terminal(
        """
        bar = sinks[-1]
        bar.expect_inputs(3)
        bar.expect_frames("clip/a.mp4", 40)
        each("result", detection()); time.sleep(0.4)
        for i in range(20):
            each("result", detection("clip/a.mp4", i, i / 25)); time.sleep(0.03)
        each("done", "clip/a.mp4", 20, 0)
        each("end", SUMMARY)
        """
    )
    assert "1/3 inputs" in plain(sent) and re.search(r"a\.mp4 .*\d/40 frames", plain(sent))
    assert sent.count("\x1b[?25l") == sent.count("\x1b[?25h") == 1  # the cursor comes back
    assert "inputs" not in plain(sent[sent.rindex("\x1b[2K") :])


def test_a_terminal_without_utf8_and_without_stderr() -> None:
    code = "each('result', detection('ビ.jpg')); terminal.note('unseen'); each('end', SUMMARY)"
    sent = on_terminal(code, stderr=subprocess.DEVNULL, PYTHONIOENCODING="ascii")
    rows = [" ".join(line.split()) for line in plain(sent).splitlines()]
    assert rows == [
        "picture size found",
        "?.jpg 640?480 2 person ? 1 bus",
        "1 picture ? 3 objects ? 1 error ? 1.23 s",
    ]


def test_quiet_leaves_errors_alone() -> None:
    sent = on_terminal(
        """
        terminal.note("a note"); terminal.warn("a warning"); terminal.detail("a detail")
        each("result", detection())
        terminal.failure(FAILURE)
        each("end", SUMMARY)
        """,
        "quiet",
    )
    assert plain(sent).strip() == "error: broken.jpg: cannot be decoded: truncated"


def test_no_color_means_no_colour() -> None:
    sent = on_terminal("each('result', detection()); terminal.warn('careful')", NO_COLOR="1")
    assert "2 person" in plain(sent) and "careful" in plain(sent)
    assert not COLOUR.search(sent)


def test_without_a_terminal_messages_are_plain_lines(capfd: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(verbose=True)
    terminal.note("a note")
    terminal.warn("[red]careful[/red]\x1b[31m")
    terminal.detail("a detail")
    terminal.error(InputError("x.jpg: broken\nfile", hint="mend it"))
    terminal.failure(Failure("a\tb.mp4", "decode", "no key frame", frame=3))
    terminal.progress().result(None)  # type: ignore[arg-type]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "a note",
        r"warning: [red]careful[/red]\x1b[31m",
        "a detail",
        r"error: x.jpg: broken\nfile (mend it)",
        r"error: a\tb.mp4: frame 3: no key frame",
    ]


def test_details_are_for_verbose_only(capfd: pytest.CaptureFixture[str]) -> None:
    Terminal().detail("a detail")
    Terminal(quiet=True).note("a note")
    assert capfd.readouterr() == ("", "")
