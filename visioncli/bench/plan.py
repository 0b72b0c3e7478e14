"""What is measured, in which order, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from visioncli.bench.figures import Cold, Failed, Figures, Spread, Steady
from visioncli.bench.process import Ran, run
from visioncli.bench.worker import Spec

COLD_RUNS = 3  # of the whole command on one picture, after one that is not counted


@dataclass(frozen=True, slots=True)
class Plan:
    """`spec` is what all combinations share, `picture` the one that cold starts are measured with.

    `batches`: None is what suits the runtime. `cold_runs` 0 leaves cold starts out.
    """

    spec: Spec
    picture: Path
    runtimes: Sequence[str]
    precisions: Sequence[str]
    batches: Sequence[int | None]
    cold_runs: int = COLD_RUNS

    def measure(self, folder: Path, say: Callable[[str], None]) -> Iterator[Figures]:
        """Everything, one after the other; `say` hears what comes next. `folder` is for scratch files.

        A precision that is what `auto` already was is not measured again. What does not run in one batch size
        is not tried in the next ones.
        """
        for runtime in self.runtimes:
            known: set[str] = set()
            for asked in sorted(self.precisions, key=lambda name: name != "auto"):
                if asked in known:
                    continue
                found: Steady | None = None
                for batch in self.batches:
                    say(f"{runtime}, {asked}, batch {batch or 'auto'}")
                    spec = replace(self.spec, runtime=runtime, precision=asked, batch=batch)
                    one = steady(spec, folder)
                    yield one
                    if isinstance(one, Failed):
                        break
                    found = one
                    known.add(one.precision)
                if found is not None and self.cold_runs:
                    say(f"{runtime}, {asked}, cold start")
                    spec = replace(self.spec, runtime=runtime, precision=asked, batch=None)
                    yield cold(spec, self.picture, found, self.cold_runs, folder)


def steady(spec: Spec, folder: Path) -> Steady | Failed:
    """One combination under way."""
    question, answer = folder / "spec.json", folder / "answer.json"
    question.write_text(json.dumps(asdict(spec)), "utf-8")
    answer.unlink(missing_ok=True)
    ran = run([sys.executable, "-m", "visioncli.bench.worker", str(question), str(answer)], _environment())
    if ran.code or not answer.exists():
        return Failed(spec.runtime, spec.precision, spec.batch, _last_words(ran), 1)
    found = json.loads(answer.read_text("utf-8"))
    if "error" in found:
        return Failed(spec.runtime, spec.precision, spec.batch, found["error"], found["code"])
    found |= {"rate": Spread(tuple(found["rate"])), "network": Spread(tuple(found["network"]))}
    return Steady(asked=spec.precision, cpu_s=ran.cpu_s, **found)


def cold(spec: Spec, picture: Path, like: Steady, runs: int, folder: Path) -> Cold | Failed:
    """`vision TASK PICTURE`, as somebody would type it, without media; its network compiled before."""
    empty = folder / "nothing.toml"
    empty.touch()
    command = [
        sys.executable, "-m", "visioncli", spec.task, str(picture), "--model", spec.model,
        "--runtime", spec.runtime, "--precision", spec.precision, "--device", spec.device,
        "--no-media", "--offline", "--quiet", "--config", str(empty),
    ]  # fmt: skip
    if spec.imgsz is not None:
        size = (spec.imgsz,) if isinstance(spec.imgsz, int) else spec.imgsz
        command += ["--imgsz", "x".join(map(str, size))]
    if spec.weights_dir is not None:
        command += ["--weights-dir", spec.weights_dir]
    if spec.trust:
        command.append("--trust-checkpoint")
    done = []
    for _ in range(runs + 1):
        ran = run(command, _environment())
        if ran.code:
            return Failed(spec.runtime, spec.precision, None, f"cold start: {_last_words(ran)}", ran.code)
        done.append(ran)
    counted = done[1:]
    return Cold(
        like.runtime,
        like.device,
        like.asked,
        like.precision,
        Spread(tuple(one.seconds for one in counted)),
        median(one.cpu_s for one in counted),
        median(one.peak_mb for one in counted),
    )


def _environment() -> dict[str, str]:
    """Ours, without defaults of options: every option that matters is given."""
    places = ("VISION_WEIGHTS", "VISION_CACHE")
    return {k: v for k, v in os.environ.items() if not k.startswith("VISION_") or k in places}


def _last_words(ran: Ran) -> str:
    """Why a process ended, in a line."""
    said = [line for line in ran.words.splitlines() if line.strip()]
    how = f"killed by signal {-ran.code}" if ran.code < 0 else f"ended with {ran.code}"
    return said[-1].removeprefix("vision: ") if said else how


def machine() -> dict[str, object]:
    """What it was measured on."""
    import platform

    from visioncli import __version__
    from visioncli.cache import library_versions

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_name(),
        "cores": cores,
        "system": platform.platform(),
        "python": platform.python_version(),
        "vision": __version__,
        **library_versions("torch", "openvino"),
    }


def _cpu_name() -> str:
    import platform

    told = Path("/proc/cpuinfo")
    if told.is_file():
        for line in told.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()
