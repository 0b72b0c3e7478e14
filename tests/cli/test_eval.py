"""`vision eval` as a user types it."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build_weights import ROOT
from tests.cli.test_help import command, imported
from tests.conftest import Run
from tests.evaluate.test_boxes import shaken
from tests.evaluate.test_labels import image_tree
from visioncli.cli import main

GUARD = """
import sys
sys.modules[{module!r}] = None
from visioncli.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def answers(data: Path, tmp_path: Path) -> Path:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(shaken(data / "coco" / "instances.json")))
    return file


def test_lines_in_a_pipe(vision: Run, data: Path, answers: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "thresholds.json"
    run = vision("eval", "detect", "--data", data / "coco", "--records", answers, "--sweep", sweep)
    assert run.returncode == 0, run.stderr
    rows = [line.split("\t") for line in run.stdout.decode().splitlines()]
    assert [row[1] for row in rows[:3]] == ["map", "map50", "map75"]
    assert {row[0] for row in rows} == {"figure", "class"}
    person = next(row for row in rows if row[:2] == ["class", "person"])
    assert int(person[2]) == 154
    thresholds = json.loads(sweep.read_text())["conf"]
    assert thresholds["person"] == pytest.approx(float(person[-1]), abs=1e-4)


@pytest.mark.slow
def test_json(vision: Run, data: Path, answers: Path) -> None:
    run = vision("eval", "segment", "--data", data / "coco", "--records", answers, "--json")
    tree = json.loads(run.stdout)
    assert (tree["task"], tree["data"]["pictures"], tree["data"]["objects"]) == ("segment", 64, 430)
    assert 0 < tree["figures"]["map"] < 1
    assert tree["figures"]["box_map"] != tree["figures"]["map"]
    assert len(tree["classes"]) == 80


def test_masks_of_a_folder(vision: Run, data: Path) -> None:
    run = vision("eval", "segment", "--data", data / "voc", "--records", data / "voc" / "masks")
    assert run.stdout.startswith(b"figure\tmiou\t1.000000\nfigure\tpixel_accuracy\t1.000000\n")


@pytest.mark.parametrize(
    ("task", "module", "package"),
    [("detect", "faster_coco_eval", "faster-coco-eval"), ("track", "trackers", "trackers")],
)
def test_without_the_extra(data: Path, task: str, module: str, package: str, tmp_path: Path) -> None:
    folder = data / ("coco" if task == "detect" else "mot/TUD-Campus")
    records = tmp_path / "r.json"
    records.write_text("[]")
    code = GUARD.format(module=module)
    run = subprocess.run(
        [sys.executable, "-c", code, "eval", task, "--data", folder, "--records", records],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert package in line
    assert "pip install 'visioncli[eval]'" in line


def test_usage(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = data / "coco"
    answers = tmp_path / "answers.json"
    answers.write_text("[]")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("mine")
    for arguments, said in {
        ("detect", "--data", tmp_path / "nothing"): "no such file or folder",
        ("detect", "--data", coco, "--records", tmp_path / "none"): "no such file",
        ("detect", "--data", coco, "--records", answers, "--report", tmp_path / "report"): "--force",
        ("detect", "--data", coco, "--records", answers, "--report", answers): "is a file",
        ("classify", "--data", coco, "--sweep", tmp_path / "s.json"): "--sweep is for detect and segment",
        ("detect", "--data", coco, "--records", data / "voc"): "a file is wanted",
        ("guess", "--data", coco): "guess",
    }.items():
        with pytest.raises(SystemExit) as exit:
            main(["eval", *map(str, arguments)])
        told = capsys.readouterr()
        assert exit.value.code == 2, (arguments, told.err)
        assert said in told.err
        assert len(told.err.splitlines()) == 1
        assert not told.out
    assert (tmp_path / "report" / "index.html").read_text() == "mine"


def test_help_imports_nothing_heavy() -> None:
    assert imported(command("eval", "--help")) == set()


@pytest.mark.slow
def test_tracks_of_a_model(vision: Run, data: Path, weights: Path, tmp_path: Path) -> None:
    """A sequence of frames: the figures of a run are those of the files that `vision track` writes."""
    import av

    (frames := tmp_path / "mot" / "S1" / "img1").mkdir(parents=True)
    folder = data / "mot" / "ADL-Rundle-6"
    with av.open(str(folder / "video.mp4")) as video:
        for number, frame in zip(range(1, 9), video.decode(video=0), strict=False):
            frame.to_image().save(frames / f"{number:06d}.jpg", quality=95)
    (tmp_path / "mot" / "S1" / "gt").mkdir()
    kept = [line for line in (folder / "gt.txt").read_text().splitlines() if int(line.split(",")[0]) <= 8]
    (tmp_path / "mot" / "S1" / "gt" / "gt.txt").write_text("\n".join(kept))
    env = {"VISION_WEIGHTS": str(weights)}
    common = ("--model", "yolo26n", "--precision", "fp32", "--runtime", "torch", "--imgsz", "320")
    run = vision("eval", "track", "--data", tmp_path / "mot", *common, "--json", env=env)
    assert run.returncode == 0, run.stderr
    asked = json.loads(run.stdout)
    assert asked["data"]["frames"] == 8
    assert asked["figures"]["hota"] > 0.2
    tracks = tmp_path / "S1.txt"
    run = vision(
        "track", frames, *common, "--classes", "person", "--conf", "0.25", "--no-media", "--mot", tracks,
        "--max-det", "300", env=env,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    run = vision("eval", "track", "--data", tmp_path / "mot", "--records", tracks, "--json")
    assert json.loads(run.stdout)["figures"] == pytest.approx(asked["figures"], abs=1e-3)


@pytest.mark.slow
def test_classify_by_folders(vision: Run, data: Path, weights: Path, tmp_path: Path) -> None:
    """WordNet ids, names and a CSV lead to the same figures; a model's record to those of the model."""
    env = {"VISION_WEIGHTS": str(weights)}
    told = []
    for column in ("wnid", "name"):
        image_tree(data, tmp_path / column, name=column, few=12)
    flat = tmp_path / "flat"
    flat.mkdir()
    with (data / "imagenet" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:12]
    for row in rows:
        shutil.copy(data / "imagenet" / row["path"], flat)
    (flat / "labels.csv").write_text(
        "file,label\n" + "".join(f"{Path(r['path']).name},{r['wnid']}\n" for r in rows)
    )
    for folder in ("wnid", "name", "flat"):
        run = vision(
            "eval", "classify", "--data", tmp_path / folder, "--model", "yolo11n-cls", "--json", env=env
        )
        assert run.returncode == 0, run.stderr
        told.append(json.loads(run.stdout)["figures"])
    assert told[0] == told[1] == told[2]
    record = tmp_path / "r.jsonl"
    vision("classify", flat, "--model", "yolo11n-cls", "--no-media", "--jsonl", record, env=env)
    run = vision("eval", "classify", "--data", flat, "--records", record, "--json")
    assert json.loads(run.stdout)["figures"]["top1"] == told[0]["top1"]


@pytest.mark.slow
def test_a_picture_that_is_missing(vision: Run, data: Path, weights: Path, tmp_path: Path) -> None:
    tree = json.loads((data / "coco" / "instances.json").read_text())
    tree["images"] = tree["images"][:3]
    for one in tree["images"][:2]:
        shutil.copy(data / "coco" / "images" / one["file_name"], tmp_path)
    (tmp_path / "instances.json").write_text(json.dumps(tree))
    run = vision(
        "eval", "detect", "--data", tmp_path / "instances.json", "--model", "yolo26n", "--json",
        "--report", tmp_path / "report", env={"VISION_WEIGHTS": str(weights)},
    )  # fmt: skip
    assert run.returncode == 3
    assert tree["images"][2]["file_name"] in run.stderr.decode()
    figures = json.loads(run.stdout)
    assert figures["data"]["pictures"] == 3
    assert figures["published"]["map"] == pytest.approx(0.409)
    assert (tmp_path / "report" / "index.html").is_file()


@pytest.mark.slow
def test_conf_file(vision: Run, weights: Path, tmp_path: Path) -> None:
    env = {"VISION_WEIGHTS": str(weights)}
    picture = ROOT / "sample_media" / "bus.jpg"
    file = tmp_path / "conf.json"

    def found(text: str, *more: str) -> dict[str, list[float]]:
        file.write_text(text)
        run = vision(
            "detect",
            picture,
            "--model",
            "yolo26n",
            "--no-media",
            "--json",
            "--conf-file",
            file,
            *more,
            env=env,
        )
        assert run.returncode == 0, run.stderr
        scores: dict[str, list[float]] = {}
        for one in json.loads(run.stdout)[0]["results"]:
            scores.setdefault(one["label"], []).append(one["score"])
        return scores

    scores = found('{"conf": {"person": 0.8}}')
    assert min(scores["person"]) >= 0.8
    assert "bus" in scores, "--conf is for the other classes"
    assert found('{"conf": {"person": 0.8}}', "--conf", "0.95") == {"person": scores["person"]}
    assert len(found('{"conf": {"person": 0.01}}')["person"]) > len(scores["person"])
    for text, said in {"[]": "no thresholds", '{"conf": {"yeti": 0.5}}': "yeti", "{": "not JSON"}.items():
        file.write_text(text)
        run = vision("detect", picture, "--model", "yolo26n", "--no-media", "--conf-file", file, env=env)
        assert run.returncode == 2
        assert said in run.stderr.decode()
