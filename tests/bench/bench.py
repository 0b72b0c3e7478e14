"""`make bench`: `vision` beside `yolo`, detecting and tracking, whole processes started cold, alternating.

A video is read, detected or tracked in, drawn and written; a picture likewise. Seconds and peak memory are
those of the whole process as the system counts them. Both sides run as they come, on the same weights,
offline.

    python tests/bench/bench.py [--runs 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.build_weights import build, shared  # noqa: E402
from visioncli.bench import process  # noqa: E402

MODEL = "yolo26n"
MODES = ("predict", "track")
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Run:
    """One process: wall time, CPU time of all its threads, and the most memory it held."""

    seconds: float
    cpu: float
    megabytes: float


@dataclass
class Contest:
    """The same work done by both, run after run, ours first in each pair."""

    name: str
    bar: float  # the peer's time must be at least so many times ours
    ours: list[Run] = field(default_factory=list)
    theirs: list[Run] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times as fast ours is: median by median."""
        return median(self.theirs, "seconds") / median(self.ours, "seconds")

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio of the pairs."""
        ratios = [t.seconds / o.seconds for o, t in zip(self.ours, self.theirs, strict=True)]
        return min(ratios), max(ratios)

    @property
    def memory(self) -> tuple[float, float]:
        """Peak memory, MB, ours and theirs: medians."""
        return median(self.ours, "megabytes"), median(self.theirs, "megabytes")

    @property
    def fast(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio >= self.bar

    @property
    def lean(self) -> bool:
        """Whether the peak of memory is no higher than the peer's."""
        return self.memory[0] <= self.memory[1]


def median(runs: list[Run], what: str) -> float:
    """The median of one of a run's figures."""
    return statistics.median(getattr(run, what) for run in runs)


def contests(
    runs: int, say: Callable[[str], object] = lambda _: None, modes: Collection[str] = ("predict",)
) -> list[Contest]:
    """Run both sides `runs` times each in the peer's `modes`. FileNotFoundError without VISION_SHARED."""
    weights = build(ROOT / "build" / "weights", quiet=True, only={MODEL}) / f"{MODEL}.pt"
    folder = shared()
    assert folder is not None  # or build() would have raised
    video, picture = folder / "data" / "perf" / "people720.mp4", ROOT / "sample_media" / "bus.jpg"
    work = [
        (Contest("people720.mp4, 302 frames of 1280×720", 1.5), video, "predict"),
        (Contest("bus.jpg, one picture of 810×1080", 1 / 0.8), picture, "predict"),
        (Contest("people720.mp4, BoT-SORT", 2.0), video, "track"),
    ]
    work = [one for one in work if one[2] in modes]
    with tempfile.TemporaryDirectory(prefix="vision-bench-") as scratch:
        environment = quiet_peer(Path(scratch))
        for contest, source, mode in work:
            command, tracker = ("detect", []) if mode == "predict" else ("track", ["tracker=botsort.yaml"])
            for number in range(runs):
                out = Path(scratch) / f"{source.stem}-{mode}-{number}"
                ours = [
                    BIN / "vision", command, source, "--model", weights, "--out", out / "ours", "--quiet"
                ]  # fmt: skip
                theirs = [
                    BIN / "yolo", mode, f"model={weights}", f"source={source}", f"project={out}", *tracker
                ]  # fmt: skip
                contest.ours.append(measure(ours, environment))
                contest.theirs.append(measure(theirs, environment))
                say(
                    f"{command} {source.name} {number + 1}/{runs}: vision {contest.ours[-1].seconds:.1f} s,"
                    f" yolo {contest.theirs[-1].seconds:.1f} s"
                )
                for side in ("ours", mode):
                    if not any((out / side).iterdir()):
                        raise RuntimeError(f"{side}: nothing was written for {source.name}")
    return [contest for contest, _, _ in work]


def quiet_peer(folder: Path) -> dict[str, str]:
    """An environment in which the peer keeps its settings in `folder` and tries no network."""
    settings = folder / "Ultralytics" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"sync": False}))
    return {**os.environ, "YOLO_CONFIG_DIR": str(folder), "YOLO_AUTOINSTALL": "0", "YOLO_OFFLINE": "true"}


def measure(command: list[object], environment: dict[str, str]) -> Run:
    """Run a process to its end. RuntimeError with its last words where it fails."""
    done = process.run([str(part) for part in command], environment)
    if done.code:
        raise RuntimeError(f"{Path(str(command[0])).name} ended with {done.code}: {done.words[-800:]}")
    return Run(done.seconds, done.cpu_s, done.peak_mb)


def table(results: list[Contest]) -> str:
    """The figures as a Markdown table."""
    rows = [
        "| whole process | vision | yolo | times as fast (spread) | bar | peak memory | |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results:
        ours, theirs = median(one.ours, "seconds"), median(one.theirs, "seconds")
        low, high = one.spread
        memory = f"{one.memory[0]:.0f} MB, yolo {one.memory[1]:.0f} MB"
        verdict = "reached" if one.fast and one.lean else "missed"
        rows.append(
            f"| {one.name} | {ours:.2f} s | {theirs:.2f} s | {one.ratio:.2f} ({low:.2f} to {high:.2f})"
            f" | {one.bar:.2f} | {memory} | {verdict} |"
        )
    return "\n".join(rows)


def as_json(results: list[Contest]) -> str:
    """Every run and the medians."""
    return json.dumps(
        {
            "system": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "model": MODEL,
            "contests": [
                {**asdict(one), "ratio": one.ratio, "spread": one.spread, "memory": one.memory,
                 "fast": one.fast, "lean": one.lean}
                for one in results
            ],
        },
        indent=1,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="vision beside yolo, alternating")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each side (default 3)")
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of the table")
    options = parser.parse_args()
    try:
        results = contests(
            options.runs, say=lambda line: print(line, file=sys.stderr, flush=True), modes=MODES
        )
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 3
    print(as_json(results) if options.json else table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
