"""Ctrl-C, SIGTERM and SIGKILL in the middle of real runs: whole files only, and a record that can be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.cli.conftest import SAMPLES
from tests.schema import check
from visioncli import records

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(weights: Path, tmp_path: Path) -> Iterator[Start]:
    """Start `vision detect` in `tmp_path`, with a record in r.jsonl and media in out/."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: object, input: bytes = b"") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "visioncli", "detect", "--jsonl", "r.jsonl", "--out", "out"]
        process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=tmp_path,
            env={**os.environ, "VISION_WEIGHTS": str(weights)},
        )  # fmt: skip
        running.append(process)
        assert process.stdin
        process.stdin.write(input)
        process.stdin.close()
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def wait_for(record: Path, lines: int) -> None:
    """Until the record has so many lines."""
    deadline = time.monotonic() + 120
    while not record.exists() or record.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < deadline, "the run does not get going"
        time.sleep(0.02)


def ending(process: subprocess.Popen[bytes], number: int) -> tuple[int, bytes]:
    """Send a signal; the exit code and what was said."""
    process.send_signal(number)
    code = process.wait(60)
    assert process.stderr
    return code, process.stderr.read()


def leftovers(folder: Path) -> list[str]:
    """Hidden and temporary files below a folder."""
    return [str(p) for p in folder.rglob("*") if p.name.startswith(".") or p.name.endswith(".part")]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_in_a_video(start: Start, tmp_path: Path, number: int, code: int) -> None:
    process = start("--imgsz", "640", SAMPLES / "people.mp4")
    wait_for(tmp_path / "r.jsonl", 4)
    assert ending(process, number) == (code, b"")
    lines = check(tmp_path / "r.jsonl")
    assert lines[-1]["interrupted"]
    assert "done" not in [line["type"] for line in lines]
    assert leftovers(tmp_path) == []
    assert list((tmp_path / "out").rglob("*.mp4")) == [], "no half video under its name"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_in_a_list(start: Start, tmp_path: Path, number: int, code: int) -> None:
    """Pictures and videos mixed: every picture that is there is whole, and so is every video but the last."""
    names = "\n".join([str(SAMPLES / "dog.jpg"), str(SAMPLES / "people.mp4"), str(SAMPLES / "cat.jpg")] * 200)
    process = start("--imgsz", "64", "--end", "1", "-", input=names.encode())
    wait_for(tmp_path / "r.jsonl", 120)
    assert ending(process, number) == (code, b"")
    lines = check(tmp_path / "r.jsonl")
    assert lines[-1]["interrupted"]
    assert leftovers(tmp_path) == []
    pictures = list((tmp_path / "out").rglob("*.jpg"))
    videos = list((tmp_path / "out").rglob("*.mp4"))
    for path in pictures:
        with Image.open(path) as image:
            image.load()
    for path in videos:
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 3
    done = [line for line in lines if line["type"] == "done"]
    assert len(videos) == len(done)
    assert len(pictures) == sum(line["type"] == "result" and "frame" not in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.3, 0.6, 1.2, 2.0])
def test_before_work(start: Start, tmp_path: Path, number: int, delay: float) -> None:
    """A signal at start-up, wherever it hits, ends the run with its code and no traceback."""
    process = start("--imgsz", "64", *[SAMPLES / "people.mp4"] * 20)
    time.sleep(delay)
    code, said = ending(process, number)
    assert code in (128 + number, -number)  # before Python is up the signal itself ends it
    if code > 0:
        assert b"Traceback" not in said
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("more", [b"", f"{SAMPLES / 'dog.jpg'}\n".encode()], ids=["nothing", "a name"])
@pytest.mark.slow
def test_while_it_waits_for_a_list(weights: Path, tmp_path: Path, more: bytes) -> None:
    """The writer of the list has stopped to write; Ctrl-C does not wait for it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "visioncli", "detect", "-", "--no-media", "--jsonl", "r.jsonl"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=tmp_path,
        env={**os.environ, "VISION_WEIGHTS": str(weights)},
    )  # fmt: skip
    assert process.stdin
    assert process.stderr
    process.stdin.write(more)
    process.stdin.flush()
    wait_for(tmp_path / "r.jsonl", 1 + len(more.splitlines()))
    assert ending(process, signal.SIGINT) == (130, b"")
    lines = check(tmp_path / "r.jsonl")
    assert lines[-1]["interrupted"]
    assert [line["type"] for line in lines].count("result") == len(more.splitlines())
    process.stdin.close()
    process.stderr.close()


@pytest.mark.slow
def test_twice(start: Start, tmp_path: Path) -> None:
    """A second Ctrl-C does not wait for the drain, and still removes what is unfinished."""
    process = start("--imgsz", "1280", SAMPLES / "people.mp4")
    wait_for(tmp_path / "r.jsonl", 3)
    process.send_signal(signal.SIGINT)
    code, said = ending(process, signal.SIGINT)
    assert code == 130
    assert b"Traceback" not in said
    records.read(tmp_path / "r.jsonl")
    assert list((tmp_path / "out").rglob("*.mp4")) == []


@pytest.mark.slow
def test_kill(start: Start, tmp_path: Path) -> None:
    """SIGKILL: the record reads up to its last whole line, and no half file has a final name."""
    names = "\n".join([str(SAMPLES / "dog.jpg"), str(SAMPLES / "people.mp4")] * 100)
    process = start("--imgsz", "64", "--end", "1", "-", input=names.encode())
    wait_for(tmp_path / "r.jsonl", 60)
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    lines = check(records.read(tmp_path / "r.jsonl"), ended=False)
    assert len(lines) >= 60
    for path in (tmp_path / "out").rglob("*"):
        if path.name.startswith("."):
            continue
        if path.suffix == ".jpg":
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".mp4":
            with av.open(str(path)) as container:
                assert sum(1 for _ in container.decode(video=0)) > 3
