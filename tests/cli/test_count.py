"""Counting from the command line, on boxes that a file says: no network runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import av
import pytest

from tests.cli.conftest import Command
from tests.schema import check

STEP, FRAMES = 12, 24


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """MOTChallenge detections for people.mp4 (768×576): one goes down at x = 200, one up at x = 500."""
    rows = []
    for i in range(FRAMES):
        for x, foot in ((200, 180 + STEP * i), (500, 500 - STEP * i)):
            rows.append(f"{i + 1},-1,{x - 30},{foot - 120},60,120,0.9,-1,-1,-1")
    path = tmp_path / "det.txt"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_counted(command: Command, found: Path, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "zones.json").write_text(json.dumps({"right": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}))
    done = command(
        "track", samples / "people.mp4", "--detections", found, "--line", "0,300,768,300,street",
        "--line", "0,0.9,1,0.9", "--zone", "zones.json", "--events", "events.csv", "--jsonl", "run.jsonl",
        "--end", "2.4", "--out", "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stderr.decode()
    assert "people.mp4: street: in 1 person, out 1 person" in said
    assert "people.mp4: line 2: in 0, out 0" in said
    assert "people.mp4: right: visits 1 person" in said
    with (tmp_path / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["where"], row["event"], row["frame"]) for row in rows) == [
        ("right", "appear", "0"), ("right", "vanish", "23"), ("street", "in", "11"), ("street", "out", "17"),
    ]  # fmt: skip
    lines = check(tmp_path / "run.jsonl")
    assert [line["type"] for line in lines][-3:] == ["summary", "done", "end"]
    summary = lines[-3]
    assert summary["tracks"]["count"] == 2
    assert summary["counts"][0] == {"line": "street", "in": {"person": 1}, "out": {"person": 1}}
    assert lines[0]["options"]["lines"]["street"] == [0, 300, 768, 300]
    with av.open(str(tmp_path / "out" / "people.mp4")) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(pictures) == FRAMES
    assert (pictures[0][300, 300:360] > 200).mean() > 0.9, "the line is drawn"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--line", "1,2,3"], "--line 1,2,3: not a line"),
        (["--line", "0,0,1,1,a", "--line", "0,1,1,0,a"], "are called 'a'"),
        (["--zone", "none.json"], "--zone none.json: No such file"),
        (["--events", "there.csv"], "there.csv: exists already"),
        (["--events", "-", "--jsonl", "-"], "two outputs cannot share stdout"),
        (["--trail", "-1"], "--trail"),
    ],
)
def test_refused_before_any_work(
    command: Command, samples: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    done = command("track", samples / "people.mp4", *arguments)
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert not done.stdout
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert not (tmp_path / "vision-out").exists()


def test_events_on_stdout(command: Command, found: Path, samples: Path) -> None:
    done = command(
        "track", samples / "people.mp4", "--detections", found, "--line", "0,300,768,300", "--events", "-",
        "--end", "2.4", "--no-media", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0
    assert not done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [(row["where"], row["event"]) for row in rows] == [("line 1", "in"), ("line 1", "out")]
