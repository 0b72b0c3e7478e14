"""The contests of `make bench`: what both sides run, and the bars."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.race import Contest, Side

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
PEERS = Path(__file__).resolve().parent / "peers"
TORCHVISION_LOOP = PEERS / "torchvision_loop.py"
TIMM_INFERENCE = PEERS / "timm_inference.py"
YOLOS = ("yolo26n", "yolo11n", "yolov8n")
PHOTOGRAPHS = 1000


@dataclass(frozen=True)
class Places:
    """The real media, the real weights, and a scratch folder."""

    data: Path
    weights: Path
    scratch: Path

    def folder(self, name: str) -> Path:
        """Where the photographs of data/`name` are, repeated to a thousand."""
        return self.scratch / f"{PHOTOGRAPHS} of {name}"


def contests(places: Places) -> list[Contest]:
    """All of them, in the order in which they run. Nothing needs to be there yet."""
    clip = places.data / "perf" / "people720.mp4"
    bus, cat = (ROOT / "sample_media" / name for name in ("bus.jpg", "cat.jpg"))
    photographs, scenes = places.folder("imagenet"), places.folder("coco")
    return [
        *(yolo(places, f"video, {name}, H.264 out", clip, name, 3.3, 0.5) for name in YOLOS),
        *(yolo(places, f"video, {name}, records", clip, name, 3.8, 0.5, save=False) for name in YOLOS),
        yolo(
            places, "video, yolo26n, fp32, H.264 out", clip, "yolo26n", 2.4, 0.5, ours=["--precision", "fp32"]
        ),
        yolo(places, "video, yolo26n, BoT-SORT, H.264 out", clip, "yolo26n", 2.0, mode="track"),
        yolo(places, "one picture, yolo26n", bus, "yolo26n", 1 / 0.2, 0.3),
        torchvision(places, "one picture, mobilenet_v2", cat, 1 / 0.35),
        torchvision(places, f"{PHOTOGRAPHS:,} photographs, mobilenet_v2", photographs, 3.0, 0.5),
        yolo(places, f"{PHOTOGRAPHS:,} photographs, yolo26n", scenes, "yolo26n", 2.5, 0.5, save=False),
        Contest(
            f"{PHOTOGRAPHS:,} photographs, mobilenet_v2",
            "timm's inference",
            classify(photographs),
            Side(
                [sys.executable, TIMM_INFERENCE, photographs, places.scratch / "timm" / "labels.csv"],
                places.scratch / "timm",
            ),
        ),
    ]


def yolo(
    places: Places,
    name: str,
    source: Path,
    model: str,
    bar: float,
    memory_bar: float | None = None,
    *,
    mode: str = "predict",
    save: bool = True,
    ours: Iterable[object] = (),
) -> Contest:
    """Beside `yolo predict` or `yolo track`; without `save` no media: we write the record, and it prints."""
    out = places.scratch / re.sub(r"\W+", "-", name)
    command = [BIN / "vision", "detect" if mode == "predict" else "track", source, "--model", model, *ours]
    command += (
        ["--out", out / "vision"] if save else ["--no-media", "--jsonl", out / "vision" / "record.jsonl"]
    )
    peer = [BIN / "yolo", mode, f"model={places.weights / model}.pt", f"source={source}"]
    peer += [f"project={out / 'yolo'}"]
    peer += ["tracker=botsort.yaml"] if mode == "track" else []
    peer += [] if save else ["save=False"]
    return Contest(
        name,
        f"yolo {mode}",
        Side(command, out / "vision"),
        Side(peer, out / "yolo" if save else None),
        bar,
        memory_bar,
    )


def torchvision(
    places: Places, name: str, source: Path, bar: float, memory_bar: float | None = None
) -> Contest:
    """Beside the loop of torchvision's documentation."""
    peer = Side([sys.executable, TORCHVISION_LOOP, places.weights / "mobilenet_v2.pth", source])
    return Contest(name, "a torchvision loop", classify(source), peer, bar, memory_bar)


def classify(source: Path) -> Side:
    """`vision` prints its labels, as the peers do."""
    return Side([BIN / "vision", "classify", source, "--model", "mobilenet_v2", "--no-media"])


def link_photographs(places: Places) -> None:
    """Make the two folders of a thousand: links to the few that there are, again and again."""
    for name in ("imagenet", "coco"):
        folder = places.folder(name)
        folder.mkdir()
        there = sorted((places.data / name).resolve().rglob("*.jpg"))
        for number, path in enumerate(itertools.islice(itertools.cycle(there), PHOTOGRAPHS)):
            (folder / f"{number:04}-{path.name}").symlink_to(path)
