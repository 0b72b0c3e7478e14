"""`vision bench`: figures of each combination, errors before any work, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SAMPLES, Command
from tests.conftest import Run

STAGES = {"decode", "prepare", "network", "finish"}
QUICK = ("--model", "mini", "--imgsz", "64", "--seconds", "0.1", "--runtime", "openvino", "--batch", "1")


def figures(text: bytes) -> dict[str, Any]:
    """The JSON, after looking at what holds for every run."""
    tree: dict[str, Any] = json.loads(text)
    assert {"model", "task", "weights", "input", "machine", "seconds", "complete", "failed"} <= tree.keys()
    assert tree["machine"]["cores"] >= 1
    assert tree["machine"]["cpu"]
    for one in tree["steady"]:
        for spread in (one["rate"], one["network"]):
            assert 0 < spread["low"] <= spread["median"] <= spread["high"]
            assert 1 <= len(spread["values"]) <= 5
        assert set(one["stages"]) == STAGES
        assert all(spent > 0 for spent in one["stages"].values())
        assert one["pictures"] % (one["batch"] * one["parallel"]) == 0
        assert one["pictures"] > 0
        assert one["cpu_ms"] > 0
        assert one["cpu_s"] > one["pictures"] * one["cpu_ms"] / 1000, (
            "the process's is more than its steady part's"
        )
        assert 50 < one["peak_mb"] < 4000
        assert one["roofline"] <= one["network"]["median"]
        assert one["precision"] != "auto"
    for one in tree["cold"]:
        assert 0 < one["seconds"]["low"] <= one["seconds"]["high"]
        assert 50 < one["peak_mb"] < 4000
        assert one["cpu_s"] > 0
    return tree


def test_figures(command: Command) -> None:
    run = command("bench", SAMPLES / "cat.jpg", *QUICK, "--precision", "fp32", "--json")
    assert run.returncode == 0, run.stderr
    tree = figures(run.stdout)
    assert tree["complete"]
    assert (tree["model"], tree["task"]) == ("mini", "detect")
    assert tree["input"]["about"] == "1 picture"
    assert tree["input"]["cold_start"] == str(SAMPLES / "cat.jpg")
    [steady], [cold] = tree["steady"], tree["cold"]
    assert (steady["runtime"], steady["asked"], steady["precision"]) == ("openvino", "fp32", "fp32")
    assert (cold["runtime"], cold["precision"], len(cold["seconds"]["values"])) == ("openvino", "fp32", 3)
    assert not Path("vision-out").exists()


@pytest.mark.slow
def test_combinations(vision: Run, weights: Path, tmp_path: Path) -> None:
    arguments = (
        "bench",
        "--model",
        "yolo26n",
        "--imgsz",
        "64",
        "--seconds",
        "0.2",
        "--batch",
        "1,2",
        "--json",
    )
    run = vision(*arguments, env={"VISION_WEIGHTS": str(weights)})
    assert run.returncode == 0, run.stderr
    tree = figures(run.stdout)
    assert tree["input"]["about"] == "16 made-up pictures of 1280×720"
    assert tree["input"]["cold_start"] == "a made-up picture"
    done = [(one["runtime"], one["precision"], one["batch"]) for one in tree["steady"]]
    assert len(done) == len(set(done)), "what auto stands for is not measured twice"
    for runtime in ("torch", "openvino"):
        assert {(runtime, "fp32", 1), (runtime, "fp32", 2)} <= set(done)
    assert list(tmp_path.iterdir()) == []
    peaks = {(one["runtime"], one["precision"], one["batch"]): one["peak_mb"] for one in tree["steady"]}
    assert peaks["openvino", "fp32", 1] < 0.8 * peaks["torch", "fp32", 1], "each peak is its own"


@pytest.mark.slow
def test_a_video(vision: Run) -> None:
    run = vision("bench", SAMPLES / "people.mp4", *QUICK, "--precision", "fp32", "--json")
    assert run.returncode == 0, run.stderr
    tree = figures(run.stdout)
    assert tree["input"]["about"] == "1 video"
    assert tree["steady"][0]["failed"] == 0


@pytest.mark.slow
def test_lines(vision: Run) -> None:
    run = vision("bench", SAMPLES / "cat.jpg", *QUICK, "--precision", "fp32")
    heading, line = (row.split("\t") for row in run.stdout.decode().splitlines())
    row = dict(zip(heading, line, strict=True))
    assert row["runtime"] == "openvino"
    assert float(row["low"]) <= float(row["pictures_s"]) <= float(row["high"])
    assert float(row["cold_s"]) > 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--model", "nosuchmodel"), 2, "nosuchmodel"),
        (("--model", "nosuch.pt"), 5, "nosuch.pt"),
        (("--model", "mobilenet_v2", "--task", "detect"), 2, "mobilenet_v2"),
        (("--model", "mini", "nosuch.jpg"), 3, "nosuch.jpg: no such file"),
        (("--model", "mini", "-"), 2, "again and again"),
        (("--model", "mini", "https://example.org/a.jpg"), 2, "again and again"),
        (("--model", "mini", "0"), 2, "again and again"),
        (("--model", "mini", "--batch", "0"), 2, "--batch 0"),
        (("--model", "mini", "--batch", ","), 2, "--batch"),
        (("--model", "mini", "--precision", "fp32,fp31"), 2, "fp31"),
        (("--model", "mini", "--runtime", "tensorrt"), 2, "tensorrt"),
        (("--model", "mini", "--imgsz", "0"), 2, "--imgsz"),
        (("--model", "mini", "--seconds", "0"), 2, "--seconds"),
        (("--task", "guess"), 2, "guess"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_errors(command: Command, arguments: tuple[str, ...], code: int, says: str) -> None:
    run = command("bench", *arguments)
    assert run.returncode == code, run.stderr
    assert says in run.stderr.decode()
    assert run.stderr.decode().count("\n") == 1
    assert run.stdout == b""


def test_nothing_runs(command: Command, tmp_path: Path) -> None:
    """A picture that looks like one and cannot be decoded: an error, not figures of nothing."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((SAMPLES / "cat.jpg").read_bytes()[:400])
    run = command("bench", broken, *QUICK, "--precision", "fp32", "--json")
    assert run.returncode == 3, run.stderr
    assert b"broken.jpg" in run.stderr
    assert run.stdout == b""


@pytest.mark.slow
def test_one_that_cannot_be_read_is_left_out(vision: Run, tmp_path: Path) -> None:
    whole = (SAMPLES / "cat.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole)
    (tmp_path / "b.jpg").write_bytes(whole[:400])
    run = vision("bench", tmp_path, *QUICK, "--precision", "fp32", "--json")
    assert run.returncode == 3, run.stderr
    tree = figures(run.stdout)
    assert tree["steady"][0]["failed"] == 1
    assert b"1 input could not be read" in run.stderr


@pytest.mark.slow
def test_what_does_not_run_is_said(vision: Run, weights: Path) -> None:
    """A combination that cannot be is named with its reason, and does not end the others."""
    arguments = ("--model", "yolo26n", "--imgsz", "64", "--seconds", "0.1", "--batch", "1")
    run = vision(
        "bench", SAMPLES / "cat.jpg", *arguments, "--precision", "fp32,fp16",
        "--runtime", "openvino", "--json",
        env={"VISION_WEIGHTS": str(weights)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    tree = figures(run.stdout)
    assert [one["precision"] for one in tree["steady"]] == ["fp32"]
    [failed] = tree["failed"]
    assert (failed["asked"], failed["code"]) == ("fp16", 2)
    assert b"fp16 is slow and inexact" in run.stderr


@pytest.mark.slow
def test_ctrl_c(tmp_path: Path) -> None:
    """What has been measured is printed, and nothing goes on behind it."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "visioncli", "bench", str(SAMPLES / "cat.jpg"), *QUICK[:-1], "1,2,3,4",
         "--json", "--precision", "fp32", "--seconds", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("vision-bench-*/answer.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)  # the next one is under way
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    tree = figures(out)
    assert not tree["complete"]
    measured = [one["batch"] for one in tree["steady"]]
    assert 1 <= len(measured) < 4
    assert measured == [1, 2, 3, 4][: len(measured)]
    assert b"stopped" in err
    assert list(tmp_path.iterdir()) == []
    running = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if os.access(p, os.R_OK)]
    assert not [line for line in running if str(tmp_path).encode() in line]
