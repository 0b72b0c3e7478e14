"""A plugin is found by its entry point, listed, run; a broken one costs a line."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

SOURCE = Path(__file__).parent / "plugin"
Run = Callable[..., CompletedProcess[bytes]]


def install(site: Path, name: str, points: dict[str, str]) -> None:
    """The metadata that pip writes for a package with entry points."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{key} = {value}" for key, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[visioncli.models]", *lines, ""]))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with the plugin of this folder installed in it."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    shutil.copytree(SOURCE / "src", site)
    install(site, project["name"], project["entry-points"]["visioncli.models"])
    return site


def test_listed_and_told(vision: Run, site: Path) -> None:
    env = {"PYTHONPATH": str(site)}
    listed = vision("models", "list", env=env)
    assert listed.returncode == 0, listed.stderr
    assert b"blobs\tdetect\tBlobs\t\t12.5\t1\t\t\tMIT\tno\t\n" in listed.stdout
    assert b"yolo26n\t" in listed.stdout
    told = json.loads(vision("models", "info", "blobs", "--json", env=env).stdout)
    assert (told["plugin"], told["adapter"]) == ("blobs", "vision_blobs.adapter:BlobDetector")
    assert b"blobs" not in vision("models", "list").stdout


def test_it_runs(vision: Run, site: Path, tmp_path: Path) -> None:
    """From the card to the box: the whole command with a stranger's adapter."""
    import torch
    from PIL import Image

    picture = Image.new("RGB", (64, 48))
    picture.paste((255, 255, 255), (10, 20, 30, 40))
    picture.save(tmp_path / "a.png")
    (tmp_path / "weights").mkdir()
    torch.save({"threshold": torch.tensor(100.0)}, tmp_path / "weights" / "blobs.pt")
    ran = vision(
        "detect",
        "a.png",
        "--model",
        "blobs",
        "--offline",
        "--json",
        "--no-media",
        env={"PYTHONPATH": str(site)},
    )
    assert ran.returncode == 0, ran.stderr
    (result,) = json.loads(ran.stdout)
    assert [(r["label"], r["box"]) for r in result["results"]] == [("blob", [10, 20, 30, 40])]


def test_broken_plugins_cost_a_line(vision: Run, site: Path) -> None:
    (site / "broken.py").write_text(
        "def cards(): return ['not a card']\ndef fails(): raise OSError('gone')\n"
    )
    install(site, "broken", {"a": "broken:cards", "b": "broken:fails", "c": "broken:none", "d": "nowhere:x"})
    listed = vision("models", "list", env={"PYTHONPATH": str(site)})
    assert listed.returncode == 0
    assert b"blobs\t" in listed.stdout
    lines = listed.stderr.decode().splitlines()
    assert len(lines) == 4
    assert all(line.startswith("vision: plugin ") for line in lines)


def test_builtin_names_are_not_taken_over(vision: Run, site: Path) -> None:
    """A plugin cannot put itself in the place of yolo26n."""
    (site / "thief.py").write_text(
        "from visioncli.registry.cards import Card\n"
        "cards = [Card('yolo26n', 'detect', 'Thief', 'thief', 'thief:X', 'x')]\n"
    )
    install(site, "thief", {"thief": "thief:cards"})
    told = json.loads(vision("models", "info", "yolo26n", "--json", env={"PYTHONPATH": str(site)}).stdout)
    assert told["family"] == "YOLO26"
