"""What a person counts on a clip is what the lines and zones count; memory stays flat while they do."""

from __future__ import annotations

import csv
import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.acceptance import BIN, NotHereError, World, bar, check

# intel_car-detection.mp4, by eye, frame after frame: four cars. The first frame in which a car's lower edge
# is beyond the line at 0.6 of the height, and the way it goes (in: down, out: up).
BY_EYE = [(85, "out"), (201, "in"), (217, "out"), (329, "in")]
# Each of the four is in the zone between 0.25 and 0.75 of the height once, and leaves it.
VISITS = 4


def counted(world: World, name: str, *more: str) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """The events and the record of a run."""
    folder = world.folder(name)
    (folder / "zones.json").write_text(json.dumps({"court": [[0, 0.25], [1, 0.25], [1, 0.75], [0, 0.75]]}))
    world.vision(
        "track", world.data / "video" / "intel_car-detection.mp4", "--model", "yolo11n",
        "--precision", "fp32", "--line", "0,0.6,1,0.6,street", "--zone", "zones.json",
        "--events", "events.csv", "--jsonl", "run.jsonl", "--no-media", *more, cwd=folder,
    )  # fmt: skip
    with (folder / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows, [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]


def first_count(world: World) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """One run for the checks that look at it."""
    return counted(world, "counts")


@check("14.6", "a line, against a hand count")
def line(world: World) -> str:
    rows, _ = world.once(first_count)
    crossings = sorted((int(row["frame"]), row["event"]) for row in rows if row["where"] == "street")
    same = [way for _, way in crossings] == [way for _, way in BY_EYE]
    off = [ours - eye for (ours, _), (eye, _) in zip(crossings, BY_EYE, strict=False)]
    ways = Counter(way for _, way in crossings)
    return bar(
        same and max(map(abs, off)) <= 2,
        f"in {ways['in']} of 2, out {ways['out']} of 2, frames off by {off}",
    )


@check("14.6", "a zone, against a hand count")
def zone(world: World) -> str:
    rows, lines = world.once(first_count)
    ways = Counter(row["event"] for row in rows if row["where"] == "court")
    began, ended = ways["enter"] + ways["appear"], ways["exit"]
    (summary,) = (one for one in lines if one["type"] == "summary")
    dwell = summary["counts"][1]["dwell"]
    figure = f"{began} visits of {VISITS}, {ended} exits of {VISITS}, mean stay {dwell['mean']:.2f} s"
    return bar(began == ended == VISITS and ways["vanish"] == 0, figure)


@check("14.6", "events are written once, and add up to the record's totals")
def once(world: World) -> str:
    rows, lines = world.once(first_count)
    keys = Counter((row["where"], row["event"], row["id"], row["frame"]) for row in rows)
    (summary,) = (one for one in lines if one["type"] == "summary")
    street, court = summary["counts"]
    totals = {way: sum(street[way].values()) for way in ("in", "out")}
    totals |= {"exit": sum(court["exits"].values()), "enter": sum(court["entries"].values())}
    ways = Counter(row["event"] for row in rows)
    agree = all(ways[way] == n for way, n in totals.items())
    return bar(max(keys.values()) == 1 and agree, f"{len(rows)} events, all different, totals agree")


@check("14.3", "counts and events at --batch 4, against those at the default")
def batches(world: World) -> str:
    ours, _ = world.once(first_count)
    other, _ = counted(world, "counts in batches", "--batch", "4")

    def plain(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
        return [(row["where"], row["event"], row["id"], row["frame"], row["label"]) for row in rows]

    return bar(plain(ours) == plain(other), f"{len(ours)} events alike")


@check("14.5", "memory over 1,300 frames, annotated, counted, with trails")
def memory(world: World) -> str:
    clip = world.data / "video" / "intel_one-by-one-person-detection.mp4"
    folder = world.folder("memory of tracks")
    record = folder / "r.jsonl"
    process = subprocess.Popen(
        [BIN / "vision", "track", clip, "--model", "yolo11n", "--imgsz", "320", "--line", "0.5,0,0.5,1",
         "--out", folder / "out", "--jsonl", record, "--quiet"],
        cwd=folder, env=world.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    sizes: dict[int, float] = {}
    while process.poll() is None:
        time.sleep(0.2)
        frames = record.read_bytes().count(b"\n") if record.exists() else 0
        size = resident(process.pid)
        if size is not None:
            sizes[frames] = size
    assert process.returncode == 0, f"exit code {process.returncode}"
    early = max(size for frames, size in sizes.items() if 150 <= frames <= 450)
    late = max(size for frames, size in sizes.items() if frames >= 1100)
    figure = f"{early:.0f} MB by frame 450, {late:.0f} MB after frame 1,100 of {max(sizes)}"
    return bar(late - early < 40, figure)


def resident(pid: int) -> float | None:
    """MB of memory that a process holds; None when it has just gone."""
    status = Path(f"/proc/{pid}/status")
    if not Path("/proc").is_dir():
        raise NotHereError("needs /proc")
    try:
        found = [row.split() for row in status.read_text().splitlines() if row.startswith("VmRSS")]
    except OSError:
        return None
    return int(found[0][1]) / 1024 if found else None
