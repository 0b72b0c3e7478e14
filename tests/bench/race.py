"""One contest: the same work done by `vision` and by a peer, whole processes that take turns."""

from __future__ import annotations

import json
import os
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from visioncli.bench import process
from visioncli.bench.plan import machine

WARM_UPS = 2  # of ours: a run with a picture or two compiles its network only when it is the second


@dataclass(frozen=True)
class Run:
    """One process: wall time, CPU time of all its threads, and the most memory it held."""

    seconds: float
    cpu: float
    megabytes: float


@dataclass(frozen=True)
class Side:
    """A command, and the folder that it must write something to: made anew for each run."""

    command: list[object]
    out: Path | None = None

    def run(self, environment: dict[str, str]) -> Run:
        """Run it once. RuntimeError where it fails or writes nothing."""
        if self.out is None:
            return measure(self.command, environment)
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        run = measure(self.command, environment)
        if not any(path.is_file() for path in self.out.rglob("*")):
            raise RuntimeError(f"{Path(str(self.command[0])).name} wrote nothing to {self.out}")
        return run


@dataclass(frozen=True)
class Round:
    """One run of each, ours and the peer's as it comes."""

    ours: Run
    theirs: Run


@dataclass
class Contest:
    """The same work for both, what is asked of us, and what was measured.

    `threaded` is one run of the peer with OMP_NUM_THREADS = cores.
    """

    name: str
    peer: str
    ours: Side
    theirs: Side
    bar: float | None = None  # the peer's time, as it comes, must be at least so many times ours
    memory_bar: float | None = None  # our peak of memory must be at most this share of the peer's
    rounds: list[Round] = field(default_factory=list)
    threaded: Run | None = None

    @property
    def title(self) -> str:
        """What is done, and beside what."""
        return f"{self.name}, beside {self.peer}"

    @property
    def ratio(self) -> float:
        """How many times as fast ours is: median by median."""
        return self.median("theirs") / self.median("ours")

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio of the rounds."""
        ratios = [one.theirs.seconds / one.ours.seconds for one in self.rounds]
        return min(ratios), max(ratios)

    @property
    def threaded_ratio(self) -> float | None:
        """`ratio` to that run, if there was one."""
        return None if self.threaded is None else self.threaded.seconds / self.median("ours")

    @property
    def memory(self) -> tuple[float, float]:
        """Peak memory, MB, ours and the peer's as it comes: medians."""
        return self.median("ours", "megabytes"), self.median("theirs", "megabytes")

    @property
    def fast(self) -> bool:
        """Whether the bar of time is reached, or there is none."""
        return self.bar is None or self.ratio >= self.bar

    @property
    def lean(self) -> bool:
        """Whether the bar of memory is reached, or there is none."""
        ours, theirs = self.memory
        return self.memory_bar is None or ours <= self.memory_bar * theirs

    def median(self, side: str, what: str = "seconds") -> float:
        """The median of one figure of one side's runs."""
        return median([getattr(one, side) for one in self.rounds], what)


def race(
    contest: Contest, runs: int, environment: dict[str, str], say: Callable[[str], object] = lambda _: None
) -> None:
    """Run a contest's rounds, adding each to it when it is whole; RuntimeError where a side fails."""
    turns = {"ours": (contest.ours, "vision"), "theirs": (contest.theirs, contest.peer)}
    for _ in range(WARM_UPS):
        run = contest.ours.run(environment)
        say(f"{contest.name}, not counted: vision {run.seconds:.2f} s, {run.megabytes:.0f} MB")
    for number in range(1, runs + 1):
        done = {}
        for turn, (side, who) in turns.items():
            done[turn] = run = side.run(environment)
            say(f"{contest.name} {number}/{runs}: {who} {run.seconds:.2f} s, {run.megabytes:.0f} MB")
        contest.rounds.append(Round(**done))
    run = contest.theirs.run(environment | {"OMP_NUM_THREADS": str(machine()["cores"])})
    contest.threaded = run
    say(f"{contest.name}: {contest.peer} with OMP_NUM_THREADS = cores {run.seconds:.2f} s")


def measure(command: list[object], environment: dict[str, str]) -> Run:
    """Run a process to its end. RuntimeError with its last words where it fails."""
    done = process.run([str(part) for part in command], environment)
    if done.code:
        raise RuntimeError(f"{Path(str(command[0])).name} ended with {done.code}: {done.words[-800:]}")
    return Run(done.seconds, done.cpu_s, done.peak_mb)


def median(runs: list[Run], what: str) -> float:
    """The median of one of the figures of runs."""
    return statistics.median(getattr(run, what) for run in runs)


def quiet_peer(folder: Path) -> dict[str, str]:
    """An environment in which the peer keeps its settings in `folder`, picks its threads and goes offline."""
    settings = folder / "Ultralytics" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"sync": False}))
    kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return {**kept, "YOLO_CONFIG_DIR": str(folder), "YOLO_AUTOINSTALL": "0", "YOLO_OFFLINE": "true"}
