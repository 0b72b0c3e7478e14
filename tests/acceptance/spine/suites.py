"""What whole test files prove, and the bench: counts and figures."""

from __future__ import annotations

import functools
import re
import sys
import time

from tests.acceptance import BIN, World, bar, check

QUICK_SECONDS = 120
BENCH_RUNS = 3
RACES = ("video, yolo26n, H.264 out", "one picture, yolo26n")
FASTER = (1.5, 1 / 0.8)  # the bars of this issue: `make bench` has later ones
# Which tests prove an item, as pytest takes them; a path that is gone is an error of the check.
SUITES = {
    "shell": (
        "tests/cli/test_inputs.py", "tests/cli/test_stdout.py", "tests/cli/test_exit_codes.py",
        "tests/cli/test_interrupt.py", "tests/media/test_sources.py",
    ),
    "trust": ("tests/trust", "tests/registry/test_checkpoints.py", "tests/registry/test_pickles.py",
              "tests/registry/test_download.py"),
    "batches": ("tests/test_pipeline.py", "-k", "one_answer"),
}  # fmt: skip


def pytest(world: World, *arguments: str) -> tuple[str, float]:
    """Run tests; their closing line and the seconds. AssertionError where one failed or none ran."""
    began = time.perf_counter()
    done = world.run(sys.executable, "-m", "pytest", "-q", *arguments)
    seconds = time.perf_counter() - began
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()[-300:]]
    closing = re.sub(r"[ =]*$|^[ =]*", "", lines[-1])
    if done.returncode:
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        raise AssertionError(f"{closing}: {' '.join(failed)[:400]}")
    return closing, seconds


def tests(what: str, world: World) -> str:
    """The tests of `SUITES[what]`, the slow ones too."""
    closing, seconds = pytest(world, *SUITES[what])
    return f"{closing.partition(' in ')[0]}, {seconds:.0f} s"


for number, title, suite in (
    ("11.6", "shell citizenship", "shell"),
    ("11.8", "trust", "trust"),
    ("11.10", "one answer at batch 1, 4 and 16", "batches"),
):
    check(number, title)(functools.partial(tests, suite))


@check("11.9", "the video beside yolo predict", timed=True)
def video_speed(world: World) -> str:
    return speed(world, 0)


@check("11.9", "a picture, started cold, beside yolo predict", timed=True)
def picture_speed(world: World) -> str:
    return speed(world, 1)


def raced(world: World) -> list:
    from tests.bench.bench import contests

    return contests(BENCH_RUNS, only=RACES)


def speed(world: World, which: int) -> str:
    contest = world.once(raced)[which]
    ours, theirs = contest.memory
    figure = (
        f"{contest.ratio:.2f} times as fast ({contest.spread[0]:.2f} to {contest.spread[1]:.2f}),"
        f" bar {FASTER[which]:.2f}; peak memory {ours:.0f} MB, theirs {theirs:.0f} MB"
    )
    return bar(contest.ratio >= FASTER[which] and (ours <= theirs or which == 1), figure)


@check("11.11", "ruff and mypy --strict")
def lint(world: World) -> str:
    for command in (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy", "--strict", "visioncli"),
    ):
        done = world.run(BIN / command[0], *command[1:])
        last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
        assert done.returncode == 0, f"{' '.join(command)}: {last}"
    return last


@check("11.11", "the quick tests", timed=True)
def quick(world: World) -> str:
    closing, seconds = pytest(world, "-m", "not slow")
    return bar(seconds <= QUICK_SECONDS, f"{closing}, {seconds:.0f} s of {QUICK_SECONDS}")
