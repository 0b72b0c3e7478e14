"""`make bench`: `vision` beside the usual tools, whole processes started cold, taking turns.

Each round runs ours and the peer as it comes, against which the bars are; the peer runs once more with
OMP_NUM_THREADS = cores. Two runs of ours before the first are not counted: its network is compiled by then.
All run offline and, but for timm's, on the same weights.

    python tests/bench/bench.py [--runs 5] [--only NAME] [--list] [--json] [--write]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench import listing, report  # noqa: E402
from tests.bench.race import Contest, Run, measure, median, quiet_peer, race  # noqa: E402
from tests.build_weights import build, shared  # noqa: E402
from visioncli.bench.plan import machine  # noqa: E402
from visioncli.cache import library_versions  # noqa: E402

__all__ = ["Contest", "Run", "contests", "measure", "median", "quiet_peer"]  # what tests/acceptance uses

PAGE = ROOT / "docs" / "performance.md"
BUSY = 0.5  # processes that want a core: torch's threads wait for each other, and suffer most
LIBRARIES = ("torch", "openvino", "torchvision", "ultralytics", "timm")


def contests(
    runs: int, say: Callable[[str], object] = lambda _: None, only: Collection[str] = ()
) -> list[Contest]:
    """Run the contests whose titles hold one of `only`, or all; the first failure is raised.

    FileNotFoundError without VISION_SHARED.
    """
    with prepared(only) as (chosen, environment):
        for contest in chosen:
            race(contest, runs, environment, say)
    return chosen


@contextmanager
def prepared(only: Collection[str]) -> Iterator[tuple[list[Contest], dict[str, str]]]:
    """The contests of that name, all that they need, and the environment they run in."""
    weights = build(ROOT / "build" / "weights", quiet=True)
    folder = shared()
    assert folder is not None  # or build() would have raised
    with tempfile.TemporaryDirectory(prefix="vision-bench-") as scratch:
        places = listing.Places(folder.resolve() / "data", weights, Path(scratch))
        listing.link_photographs(places)
        environment = quiet_peer(places.scratch) | {"VISION_WEIGHTS": str(weights)}
        yield named(listing.contests(places), only), environment


def named(all_of_them: list[Contest], only: Collection[str]) -> list[Contest]:
    """Those whose titles hold one of these words, or all where there are no words."""
    return [one for one in all_of_them if not only or any(word.lower() in one.title.lower() for word in only)]


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    options = arguments()
    chosen = named(listing.contests(listing.Places(Path(), Path(), Path())), options.only)
    if not chosen:
        say(f"no contest is called {' or '.join(options.only)}: see --list")
        return 2
    if options.list:
        for contest in chosen:
            print(f"{contest.title}\t{report.bars(contest)}")
        return 0
    setting = report.Setting(
        date.today(), {**machine(), **library_versions(*LIBRARIES)}, options.runs, os.getloadavg()[0]
    )
    if setting.load > BUSY:
        say(f"this machine is busy (load {setting.load:.2f}): the ratios will not mean much")
    code = 0
    try:
        with prepared(options.only) as (chosen, environment):
            for contest in chosen:
                try:
                    race(contest, options.runs, environment, say)
                except RuntimeError as error:
                    say(f"{contest.title}: {error}")
                    code = 1
    except FileNotFoundError as error:
        say(str(error))
        return 3
    except KeyboardInterrupt:
        say("stopped: the last contest may have fewer runs than the line below says")
        code = 130
    print(report.as_json(setting, chosen) if options.json else f"{report.table(chosen)}\n\n{setting}")
    if options.write and (code or options.only):
        say(f"{PAGE.name} is left as it is: not everything was measured")
    elif options.write:
        report.write(f"{report.table(chosen)}\n\n{setting}", PAGE)
    return code


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="vision beside the usual tools, taking turns")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each (default 5)")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="contests with this in their name; repeatable",
    )
    parser.add_argument("--list", action="store_true", help="the contests and their bars; run nothing")
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of the table")
    parser.add_argument(
        "--write", action="store_true", help=f"write the table of docs/{PAGE.name} when all have run"
    )
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs: at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
