"""What `vision segment` makes of masks, from the command line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from tests import schema
from tests.cli.conftest import Command
from tests.conftest import Run
from tests.output.agreement import agreement, pixels

MODEL = ("--model", "yolov8n-seg")


def png(folder: Path, sources: list[Path]) -> Path:
    """A new folder with the pictures as PNG: what is drawn into them is not lost."""
    folder.mkdir()
    for source in sources:
        with PillowImage.open(source) as image:
            image.convert("RGB").save(folder / f"{source.stem}.png")
    return folder


def test_everything_at_once(command: Command, samples: Path, tmp_path: Path) -> None:
    folder = png(tmp_path / "in", [samples / "dog.jpg", samples / "bus.jpg"])
    options = ["--masks", "m", "--cutouts", "c", "--out", "o", "--alpha", "1", "--polygons", "--jsonl", "r"]
    done = command("segment", folder, *MODEL, *options)
    assert done.returncode == 0, done.stderr.decode()
    pictures, objects, redrawn, off_colour = agreement(tmp_path / "r", tmp_path / "o")
    assert (pictures, redrawn < 0.001, off_colour < 0.01) == (2, True, True)
    results = [r for line in schema.check(tmp_path / "r") for r in line.get("results", ())]
    assert len(list((tmp_path / "c").iterdir())) == len(results) == objects
    for one in results:
        assert abs(outlined(one["polygons"]) - one["area"]) < 0.1 * one["area"] + 20
    again = command("segment", folder, *MODEL, *options)
    assert again.returncode == 2
    assert b"exists already" in again.stderr


def test_a_semantic_mask_file_is_what_the_record_counts(
    command: Command, samples: Path, tmp_path: Path
) -> None:
    folder = png(tmp_path / "in", [samples / "bus.jpg"])
    options = ["--kind", "semantic", "--model", "mini", "--masks", "m", "--out", "o", "--jsonl", "r"]
    done = command("segment", folder, *options)
    assert done.returncode == 0, done.stderr.decode()
    (line,) = [line for line in schema.check(tmp_path / "r") if line["type"] == "result"]
    with PillowImage.open(tmp_path / line["mask_file"]) as image:
        assert image.mode == "P"
        values = np.asarray(image)
    assert len(line["results"]) >= 2
    assert {r["class"]: r["area"] for r in line["results"]} == {
        int(c): int((values == c).sum()) for c in np.unique(values) if c != 255
    }
    changed = (pixels(tmp_path / "o" / "bus.png") != pixels(folder / "bus.png")).any(axis=2)
    tinted = cv2.erode((values > 0).astype(np.uint8), np.ones((9, 9))) > 0
    plain = cv2.dilate((values > 0).astype(np.uint8), np.ones((9, 9))) == 0
    assert changed[tinted].mean() > 0.99
    assert changed[plain].mean() < 0.1  # the legend


def outlined(polygons: list) -> float:
    """The area inside, holes taken off."""
    total = 0.0
    for rings in polygons:
        for ring in rings:
            x, y = np.array(ring, float).T
            total += float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
    return total


def test_a_background_instead_of_drawing(command: Command, samples: Path, tmp_path: Path) -> None:
    """Only the classes that are named stay; a video's frames too."""
    bus, clip = png(tmp_path / "in", [samples / "bus.jpg"]), samples / "people.mp4"
    done = command("segment", bus, *MODEL, "--classes", "bus", "--background", "remove", "--out", "o")
    assert done.returncode == 0, done.stderr.decode()
    opacity = pixels(tmp_path / "o" / "bus.png")[..., 3]
    assert (opacity[280:330, 300:500] == 255).all()
    assert (opacity[:150] == 0).all() and (opacity[950:] == 0).all()
    options = ["--background", "white", "--masks", "m", "--out", "v", "--jsonl", "r"]
    done = command("segment", clip, *MODEL, "--end", 0.3, *options)
    assert done.returncode == 0, done.stderr.decode()
    lines = [line for line in schema.check(tmp_path / "r") if line["type"] == "result"]
    assert [line["mask_file"] for line in lines] == [f"m/people/{i:06d}.png" for i in range(3)]
    assert (tmp_path / "v" / "people.mp4").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--background", "nosuch"], "neither blur, remove, a colour nor a picture"),
        (["--background", "white", "--no-media"], "--no-media forbids"),
        (["--background", "remove"], "takes pictures only, and this is a video"),
        (["--masks", "o", "--out", "o"], "is where the annotated copies go"),
        (["--alpha", "2"], "--alpha"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    command: Command, samples: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    done = command("segment", samples / "people.mp4", *MODEL, *options)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert not list(tmp_path.iterdir())


def test_a_video_among_pictures_cannot_be_transparent(
    command: Command, samples: Path, tmp_path: Path
) -> None:
    options = ["--background", "remove", "--out", "o", "--jsonl", "r"]
    done = command("segment", samples / "dog.jpg", samples / "people.mp4", *MODEL, *options)
    assert done.returncode == 3
    assert [line["type"] for line in schema.check(tmp_path / "r")] == ["run", "result", "error", "end"]
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["dog.png"]


@pytest.mark.slow
def test_masks_record_and_overlay_agree_on_ten_pictures(
    vision: Run, weights: Path, data: Path, tmp_path: Path
) -> None:
    png(tmp_path / "in", sorted((data / "coco" / "images").glob("*.jpg"))[:10])
    options = ["--masks", "m", "--out", "o", "--alpha", "1", "--jsonl", "r"]
    done = vision("segment", "in", *MODEL, "--weights-dir", weights, *options)
    assert done.returncode == 0, done.stderr.decode()
    pictures, objects, redrawn, off_colour = agreement_in(tmp_path)
    assert pictures == 10 and objects >= 30
    assert redrawn < 0.001 and off_colour < 0.01


def agreement_in(folder: Path) -> tuple[int, int, float, float]:
    """`agreement` with the folder as the working one, as the command had it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return agreement(Path("r"), Path("o"))
