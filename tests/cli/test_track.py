"""`vision track`, on a small video with saved detections: no network, so that it is quick."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.schema import check
from tests.track.synthetic import walkers
from visioncli.cli import main
from visioncli.track import TRACKERS, mot

FRAMES = 24


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose pictures say nothing: what is in it stands in `det`."""
    path = tmp_path_factory.mktemp("track") / "walk.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 240, "yuv420p"
        for number in range(FRAMES):
            picture = np.full((240, 640, 3), 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def det(clip: Path) -> Path:
    """Three walkers in every frame, as MOTChallenge writes detections."""
    lines = []
    for frame in range(FRAMES):
        found = walkers(frame)
        for (x1, y1, x2, y2), score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
            lines.append(f"{frame + 1},-1,{x1},{y1},{x2 - x1},{y2 - y1},{score:.4f},-1,-1,-1\n")
    path = clip.with_name("det.txt")
    path.write_text("".join(lines))
    return path


def track(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        main(["track", *map(str, arguments)])
    assert isinstance(done.value.code, int)
    return done.value.code


def results(path: Path) -> list[dict]:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [line for line in lines if line["type"] == "result"]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_every_tracker_runs_on_saved_detections(clip: Path, det: Path, tmp_path: Path, tracker: str) -> None:
    out, file = tmp_path / "r.jsonl", tmp_path / "t.txt"
    code = track(
        clip, "--detections", det, "--tracker", tracker, "--no-media", "--jsonl", out, "--mot", file, "-q"
    )
    assert code == 0
    check(out)
    lines = results(out)
    assert len(lines) == FRAMES
    ids = [sorted(row["id"] for row in line["results"]) for line in lines[3:]]
    assert ids == [[1, 2, 3]] * len(ids)
    rows = mot.read(file)
    assert set(rows.ids.tolist()) == {1, 2, 3}
    assert json.loads(out.read_text("utf-8").splitlines()[0])["options"]["tracker"] == tracker


def test_a_record_of_tracks_is_detections_again(clip: Path, det: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    assert track(clip, "--detections", det, "--no-media", "--jsonl", one, "-q") == 0
    assert track(clip, "--detections", one, "--no-media", "--jsonl", other, "-q") == 0
    assert results(one) == results(other)


def test_each_video_begins_at_1(clip: Path, det: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.mp4"
    twin.write_bytes(clip.read_bytes())
    found = tmp_path / "found.jsonl"
    single = tmp_path / "one.jsonl"
    assert track(clip, "--detections", det, "--no-media", "--jsonl", single, "-q") == 0
    lines = single.read_text("utf-8")
    found.write_text(lines + lines.replace(str(clip), str(twin)))
    out = tmp_path / "both.jsonl"
    assert track(clip, twin, "--detections", found, "--no-media", "--jsonl", out, "-q") == 0
    both = results(out)
    assert [line["results"] for line in both[:FRAMES]] == [line["results"] for line in both[FRAMES:]]
    assert both[FRAMES]["source"] == str(twin)


def test_an_annotated_copy_and_lines_with_ids(
    clip: Path, det: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert track(clip, "--detections", det, "--out", tmp_path / "out") == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 3 * FRAMES
    assert {line.split("\t")[9] for line in lines} == {"1", "2", "3"}
    with av.open(str(tmp_path / "out" / "walk.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--tracker", "botsrt"], 2, "botsort"),
        (["--set", "track_bufer=3"], 2, "track_buffer"),
        (["--tracker-config", "none.yaml"], 2, "no such file"),
        (["--detections", "none.jsonl"], 2, "no such file"),
        (["--model", "yolo11n"], 2, "leave out --model"),
        (["--reid", "auto"], 2, "no features"),
        (["--reid", "none.onnx"], 2, "no such file"),
        (["--json"], 2, "jsonl"),
    ],
)
def test_what_makes_no_sense_ends_before_any_work(
    clip: Path, det: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    given = [] if "--detections" in arguments else ["--detections", det]
    assert track(clip, *given, *arguments, "--no-media") == code
    said = capfd.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_picture_is_no_video(det: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    picture = tmp_path / "a.png"
    Image.new("RGB", (32, 32)).save(picture)
    assert track(picture, "--detections", det, "--no-media") == 2
    assert "folder of frames" in capfd.readouterr().err


def test_a_picture_among_videos_is_an_error_of_its_own(clip: Path, det: Path, tmp_path: Path) -> None:
    from PIL import Image

    picture, out = tmp_path / "a.png", tmp_path / "r.jsonl"
    Image.new("RGB", (32, 32)).save(picture)
    assert track(clip, picture, "--detections", det, "--no-media", "--jsonl", out, "-q") == 3
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["source"] for line in lines if line["type"] == "error"] == [str(picture)]
    assert len(results(out)) == FRAMES
