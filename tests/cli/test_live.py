"""Live sources from the command line: a real RTSP server, a lost connection, Ctrl-C, no password anywhere."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from tests.cli.conftest import Command
from tests.media.rtsp_server import RtspServer, missing
from tests.schema import check

NO_SERVER = missing()
pytestmark = pytest.mark.skipif(NO_SERVER is not None, reason=str(NO_SERVER))


@pytest.fixture
def clip(data: Path) -> Path:
    return data / "video" / "ocv4node_people.mp4"


def times_of(video: Path) -> list[float]:
    with av.open(str(video)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


@pytest.mark.slow
def test_until_an_end(command: Command, clip: Path, tmp_path: Path) -> None:
    with RtspServer(clip, "me:geheim") as server:
        url = server.url.replace("//", "//me:geheim@")
        done = command("detect", url, "--end", "3", "--imgsz", "160", "--jsonl", "r.jsonl", "--out", "out")
    assert done.returncode == 0, done.stderr
    lines = check(tmp_path / "r.jsonl")
    closing = lines[-2]
    assert closing["type"] == "done"
    assert closing["source"] == server.url
    results = [line for line in lines if line["type"] == "result"]
    assert len(results) + closing.get("dropped_frames", 0) == closing["frames"]
    assert closing["frames"] == pytest.approx(72, abs=3)
    if "dropped_frames" in closing:
        assert f"{closing['dropped_frames']} of {closing['frames']} frames dropped" in done.stderr.decode()
    (video,) = (tmp_path / "out").iterdir()
    shown = times_of(video)
    assert len(shown) == len(results)
    assert shown == pytest.approx([line["time"] for line in results], abs=0.02), "real times, gaps and all"
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()) + done.stderr + done.stdout
    assert b"geheim" not in written
    assert "geheim" not in str(list(tmp_path.rglob("*")))


@pytest.mark.slow
def test_lost_and_interrupted(weights: Path, clip: Path, tmp_path: Path) -> None:
    """The server dies and comes back; then Ctrl-C: record and video are whole, with the pause in them."""
    with RtspServer(clip) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "visioncli", "track", server.url, "--model", "yolo11n", "--imgsz", "160",
             "--line", "0,0.5,1,0.5", "--events", "e.csv", "--jsonl", "r.jsonl", "--out", "out"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=tmp_path,
            env={**os.environ, "VISION_WEIGHTS": str(weights)},
        )  # fmt: skip
        record = tmp_path / "r.jsonl"

        def wait_for(more: int) -> None:
            wanted = more + (record.read_bytes().count(b"\n") if record.exists() else 0)
            deadline = time.monotonic() + 120
            while not record.exists() or record.read_bytes().count(b"\n") < wanted:
                assert time.monotonic() < deadline, "no frames come"
                time.sleep(0.05)

        wait_for(8)
        server.stop()
        time.sleep(1)
        server.start()
        wait_for(12)
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        assert process.stderr
        said = process.stderr.read().decode()
        process.stderr.close()
    assert code == 130, said
    assert "connection lost" in said
    assert "connected again after" in said
    assert "Traceback" not in said
    lines = check(record)
    assert [line["type"] for line in lines[-3:]] == ["summary", "done", "end"]
    assert lines[-1]["interrupted"]
    results = [line for line in lines if line["type"] == "result"]
    (video,) = (tmp_path / "out").glob("*.mp4")
    shown = times_of(video)
    assert len(shown) == len(results)
    assert max(b - a for a, b in itertools.pairwise(shown)) > 1
    assert (tmp_path / "e.csv").read_text().startswith("source,time,frame")
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith(".part")]


def test_nobody_there(command: Command) -> None:
    done = command("detect", "rtsp://me:geheim@127.0.0.1:9/a", "--no-media")
    assert done.returncode == 3
    said = done.stderr.decode()
    assert "rtsp://127.0.0.1:9/a: no connection (Connection refused)" in said
    assert "geheim" not in said
