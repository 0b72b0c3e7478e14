"""`vision segment`: models, kinds, options."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests import schema
from tests.cli.conftest import Command
from visioncli import rle


def test_a_picture_and_a_video(command: Command, samples: Path, data: Path, tmp_path: Path) -> None:
    video = data / "video" / "ocv4node_people.mp4"
    done = command(
        "segment", samples / "bus.jpg", video, "--end", "0.2", "--model", "yolov8n-seg", "--no-media",
        "--classes", "person", "--jsonl", "r",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    lines = schema.check(tmp_path / "r")
    assert (lines[0]["task"], lines[0]["options"]["kind"]) == ("segment", "instance")
    results = [line for line in lines if line["type"] == "result"]
    assert len(results) == 6
    for line in results:
        assert line["results"], line["source"]
        for row in line["results"]:
            assert row["label"] == "person"
            mask = rle.decode(row["mask"])
            assert mask.shape == (line["height"], line["width"])
            assert np.count_nonzero(mask) == row["area"] > 0
            rows, columns = np.nonzero(mask)
            x1, y1, x2, y2 = row["box"]
            assert x1 <= columns.min() and columns.max() < x2
            assert y1 <= rows.min() and rows.max() < y2


def test_a_detector_is_refused(command: Command, samples: Path) -> None:
    done = command("segment", samples / "bus.jpg", "--model", "yolo26n")
    assert done.returncode == 2
    assert b"yolo26n is a model for detect, not for segment" in done.stderr


def test_the_kinds_have_their_defaults(command: Command, samples: Path) -> None:
    """Neither is on this machine: the note says which one was meant."""
    for kind, model in (("instance", b"yolo26n-seg"), ("semantic", b"deeplabv3_mobilenet_v3_large")):
        done = command("segment", samples / "bus.jpg", "--kind", kind, "--offline", "--no-media")
        assert model in done.stderr, done.stderr.decode()
    assert command("segment", samples / "bus.jpg", "--kind", "panoptic").returncode == 2
