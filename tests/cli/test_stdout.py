"""stdout is data: in a pipe there is nothing else, whatever the format, and a closed pipe is no error."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SAMPLES, Command
from tests.schema import check

FORMATS = [[], ["--json"], ["--jsonl", "-"], ["--csv", "-"]]


def test_formats_agree(command: Command) -> None:
    """The four formats tell of the same objects; notes, warnings and the profile are on stderr."""
    inputs = [SAMPLES / "dog.jpg", SAMPLES / "bus.jpg", "gone.jpg"]
    outputs = {}
    for form in FORMATS:
        run = command("detect", *inputs, "--no-media", "--imgsz", "320", "--verbose", "--profile", *form)
        assert run.returncode == 3
        assert b"bounded by" in run.stderr
        assert re.search(rb"(fp|bf)\d\d on ", run.stderr)
        outputs[" ".join(form)] = run.stdout.decode()

    lines = [line.split("\t") for line in outputs[""].splitlines()]
    assert all(len(line) == 10 for line in lines)
    from_lines = [(line[0], line[3], line[4], *line[5:9]) for line in lines]
    assert len(from_lines) > 4

    def rows(objects: list[dict]) -> list[tuple[str, ...]]:
        return [
            (one["source"], found["label"], f"{found['score']:.4f}", *(f"{v:.2f}" for v in found["box"]))
            for one in objects
            for found in one.get("results", ())
        ]

    array = json.loads(outputs["--json"])
    assert [one["type"] for one in array] == ["result", "result", "error"]
    assert rows(array) == from_lines
    assert rows(check(outputs["--jsonl -"].encode())) == from_lines
    table = list(csv.DictReader(io.StringIO(outputs["--csv -"], newline="")))
    assert [row["label"] for row in table if not row["error"]] == [row[1] for row in from_lines]
    assert table[-1]["error"].startswith("not_found")


@pytest.mark.slow
def test_classify(command: Command) -> None:
    run = command("classify", SAMPLES / "cat.jpg", "--no-media", "-k", "3", "--model", "mobilenet_v2")
    assert run.returncode == 0, run.stderr
    lines = [line.split("\t") for line in run.stdout.decode().splitlines()]
    assert len(lines) == 3
    assert "cat" in lines[0][3]
    assert [float(line[4]) for line in lines] == sorted((float(line[4]) for line in lines), reverse=True)


def test_video(command: Command, tmp_path: Path) -> None:
    run = command(
        "detect", "--video", SAMPLES / "people.mp4", "--end", "0.3", "--imgsz", "160", "--jsonl", "-"
    )
    assert run.returncode == 0, run.stderr
    kinds = [line["type"] for line in check(run.stdout)]
    assert kinds[0] == "run"
    assert kinds[-2:] == ["done", "end"]
    assert set(kinds[1:-2]) == {"result"}
    assert [p.name for p in (tmp_path / "vision-out").iterdir()] == ["people.mp4"]


def test_quiet(command: Command) -> None:
    loud = command("detect", SAMPLES / "dog.jpg", "gone.jpg", "--no-media", "--imgsz", "320")
    quiet = command("detect", SAMPLES / "dog.jpg", "gone.jpg", "--no-media", "--imgsz", "320", "--quiet")
    assert quiet.stdout == loud.stdout
    assert quiet.stderr.decode().splitlines() == ["error: gone.jpg: no such file or folder"]


def test_beyond_the_end(command: Command) -> None:
    """A start after the end is told; a stride longer than the video takes its first frame."""
    for options, code, kinds in (
        (["--start", "999"], 3, ["run", "error", "end"]),
        (["--stride", "9999"], 0, ["run", "result", "done", "end"]),
    ):
        run = command("detect", SAMPLES / "people.mp4", *options, "--imgsz", "64", "--jsonl", "-")
        assert run.returncode == code, run.stderr
        assert [line["type"] for line in check(run.stdout)] == kinds


@pytest.mark.parametrize(
    "form", [[], *(pytest.param(f, marks=pytest.mark.slow) for f in FORMATS[1:])], ids=lambda f: " ".join(f)
)
def test_closed_pipe(form: list[str], weights: Path, tmp_path: Path) -> None:
    """The reader takes one line and goes (`| head -1`): quiet, 0, and the record of the run has its end."""
    (tmp_path / "names.txt").write_text("\n".join([str(SAMPLES / "dog.jpg")] * 4000))
    record = [] if "--jsonl" in form else ["--jsonl", "r.jsonl"]
    # From a file: names written into a pipe before anything reads the answers would block both ends.
    with (tmp_path / "names.txt").open() as names, subprocess.Popen(
        [sys.executable, "-m", "visioncli", "detect", "-", "--no-media", "--imgsz", "64", "--conf", "0.001",
         *form, *record],
        stdin=names, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        env={**os.environ, "VISION_WEIGHTS": str(weights)},
    ) as process:  # fmt: skip
        assert process.stdout and process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(120) == 0
        assert process.stderr.read() == b""
    if record:
        lines = check(tmp_path / "r.jsonl")
        assert lines[-1]["interrupted"]
        assert lines[-1]["inputs"] < 4000


def test_closed_pipe_of_help(tmp_path: Path) -> None:
    for arguments in ("--help", "detect --help", "--version"):
        line = f"{sys.executable} -m visioncli {arguments} | true; exit ${{PIPESTATUS[0]}}"
        run = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, cwd=tmp_path)
        assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.slow
def test_closed_streams(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stdout, no stderr: told where it can be, and never a traceback."""
    monkeypatch.setenv("VISION_WEIGHTS", str(weights))
    ask = f"{sys.executable} -m visioncli"
    run = subprocess.run(
        ["bash", "-c", f"{ask} detect gone.jpg --no-media 2>&-"],
        cwd=tmp_path,
        timeout=120,
        capture_output=True,
    )
    assert (run.returncode, run.stdout) == (3, b"")
    run = subprocess.run(
        ["bash", "-c", f"{ask} detect gone.jpg --no-media >&-"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    assert run.returncode == 4
    assert run.stderr.decode().splitlines() == ["vision: stdout is closed"]
    run = subprocess.run(
        ["bash", "-c", f"{ask} detect - --no-media <&-"], cwd=tmp_path, capture_output=True, timeout=120
    )
    assert run.returncode == 3
    assert run.stderr.decode().splitlines() == ["error: -: stdin is closed"]
