"""`make demo`: a tour of `vision` on sample_media, each command as one would type it.

With VISION_SHARED at hand the real weights of two small networks are built from it first; without, `mini`,
which comes with the package, answers, and no network is needed. Exits 1 where a command does not end as it
should.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.build_weights import build, shared  # noqa: E402

WEIGHTS, OUT = Path("build/weights"), Path("build/demo")
NETWORKS = {"yolo26n": "yolo26n.pt", "mobilenet_v2": "mobilenet_v2.pth"}
COLUMNS = 100
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Step(NamedTuple):
    """A command line, why one would type it, the exit code it must end with, and what it must leave."""

    why: str
    line: str
    code: int = 0
    leaves: str = ""


def tour(real: bool) -> list[Step]:
    """The steps, with the real weights of two networks or with those of `mini` only."""
    classifier = " --model mobilenet_v2" if real else ""
    mini = [Step("What comes with vision, and serves every command", "vision models info mini")]
    steps = [
        Step("What there is: eighty classifiers, some fifty detectors", "vision models list --family YOLO26"),
        Step("One of them", "vision models info yolo26n"),
        Step(
            "What is in a picture",
            f"vision classify sample_media/cat.jpg{classifier} --out {OUT}/labels",
            leaves="labels/cat.jpg",
        ),
        Step(
            "Where things are, in a folder of pictures",
            f"vision detect 'sample_media/*.jpg' --out {OUT}/boxes",
            leaves="boxes/bus.jpg",
        ),
        Step(
            "The same in a video: H.264 out, its timestamps kept",
            f"vision detect --video sample_media/people.mp4 --out {OUT}/boxes",
            leaves="boxes/people.mp4",
        ),
        Step(
            "What moves where, with a number for each",
            f"vision track sample_media/people.mp4 --end 2 --out {OUT}/tracks",
            leaves="tracks/people.mp4",
        ),
        Step(
            "Which pixels are what",
            f"vision segment sample_media/bus.jpg --model mini --out {OUT}/regions",
            leaves="regions/bus.jpg",
        ),
        Step(
            "In a pipe stdout is data, tab-separated: count what was found",
            "find sample_media -name '*.jpg' -print0 | vision detect -0 - --no-media"
            " | cut -f4 | sort | uniq -c | sort -rn",
        ),
        Step(
            "The record, one JSON object a line; its last line sums up",
            f"vision detect sample_media/bus.jpg --no-media --jsonl {OUT}/bus.jsonl"
            f" && tail -n 1 {OUT}/bus.jsonl",
            leaves="bus.jsonl",
        ),
        Step(
            "A model that is named has no substitute: one line that says what to do, exit code 5",
            "vision detect sample_media/bus.jpg --model yolo26x --offline --no-media",
            5,
        ),
    ]
    return steps if real else mini + steps


def main() -> int:
    os.chdir(ROOT)
    began = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    steps = tour(find_weights())
    failed = [step.line for step in steps if not show(step)]
    files = sorted(p for p in OUT.rglob("*") if p.is_file())
    if files:
        say(f"\nLook at what it made, in {OUT}:", "1")
        for file in files:
            say(f"  {file.relative_to(OUT)}  {file.stat().st_size / 1e3:,.0f} kB")
    seconds = time.monotonic() - began
    say(f"\n{len(steps) - len(failed)} of {len(steps)} commands did as they should, {seconds:.0f} s", "2")
    for line in failed:
        say(f"not so: {line}", "31")
    return 1 if failed else 0


def find_weights() -> bool:
    """Build or find real weights; says which, in one line."""
    if shared() is not None:
        say("Building the real weights of two small networks from $VISION_SHARED, once …", "2")
        build(WEIGHTS, quiet=True, only=NETWORKS)
    elif not all((WEIGHTS / file).exists() for file in NETWORKS.values()):
        say("No weights here but those of mini, which come with vision: they answer.", "33")
        os.environ["VISION_OFFLINE"] = "1"
        say("$ export VISION_OFFLINE=1", "1;36")
        return False
    os.environ["VISION_WEIGHTS"] = str(WEIGHTS)
    say(f"$ export VISION_WEIGHTS={WEIGHTS}", "1;36")
    return True


def show(step: Step) -> bool:
    """Print the command, run it as in a terminal, and tell whether it ended as it should."""
    say(f"\n# {step.why}", "2")
    say(f"$ {step.line}", "1;36")
    code = run(step.line)
    if code:
        say(f"(exit code {code})", "2")
    return code == step.code and (not step.leaves or (OUT / step.leaves).stat().st_size > 0)


def run(line: str) -> int:
    """Run a shell line with a terminal as its stdout: this one, or else one that is read from here."""
    command = ["bash", "-o", "pipefail", "-c", line]
    if sys.stdout.isatty():
        return subprocess.run(command).returncode
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(COLUMNS), "LINES": "40"}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=follower, stderr=subprocess.PIPE, env=env
    )
    os.close(follower)
    messages = threading.Thread(target=lambda: copy(process.stderr.fileno()), daemon=True)
    messages.start()
    copy(leader)
    messages.join()
    os.close(leader)
    return process.wait()


def copy(source: int) -> None:
    """Print what comes out of a file descriptor, without the terminal's control sequences."""
    left = ""
    while chunk := read(source):
        *lines, left = (left + chunk.decode("utf-8", "replace")).replace("\r\n", "\n").split("\n")
        for text in lines:
            say(ESCAPES.sub("", text).rstrip())
    if left:
        say(ESCAPES.sub("", left))


def read(source: int) -> bytes:
    try:
        return os.read(source, 1 << 16)
    except OSError:  # how a terminal says that nobody writes to it any more
        return b""


def say(text: str, style: str = "") -> None:
    """Print a line, in colour where somebody sees it."""
    coloured = style and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"\x1b[{style}m{text}\x1b[0m" if coloured else text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
