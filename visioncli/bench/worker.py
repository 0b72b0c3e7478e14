"""The process that measures one combination: `python -m visioncli.bench.worker SPEC ANSWER`, both JSON files.

It is set up as the command's own process is, loads the model, runs the pipeline over the inputs again and
again without writing media, then the network alone on the same pictures.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visioncli.bench.figures import rates
from visioncli.errors import InputError, VisionError

if TYPE_CHECKING:
    from visioncli.api import Model
    from visioncli.media.frame import Input
    from visioncli.models import Batch

MOST_INPUTS = 1000  # of what the user named: the rest is not looked at
# Pictures before counting begins (a compiled network is fitted to a shape at its 25th), and the most seconds.
WARM, WARM_SECONDS = 32, 5.0
ALONE = 4  # different pictures that the network alone is run on


@dataclass(frozen=True, slots=True)
class Spec:
    """A combination, and what is the same for all: the model, its options, the inputs.

    `batch` None is what suits the runtime. `seconds` are those that each of pipeline and network is counted.
    """

    model: str
    task: str
    inputs: Sequence[str]
    runtime: str
    precision: str
    batch: int | None
    seconds: float
    device: str = "auto"
    imgsz: int | tuple[int, int] | None = None
    weights_dir: str | None = None
    trust: bool = False
    recursive: bool = False


def measure(spec: Spec) -> dict[str, Any]:
    """What `figures.Steady` has of a combination, rates as tuples. VisionError where it cannot run."""
    import resource

    from visioncli.api import Model, choose
    from visioncli.bench.process import RSS_UNIT
    from visioncli.media.frame import Input
    from visioncli.media.sources import find

    where = None if spec.weights_dir is None else Path(spec.weights_dir)
    resolved = choose(spec.model, spec.task, weights_dir=where, offline=True, progress=False)
    size = tuple(spec.imgsz) if isinstance(spec.imgsz, list) else spec.imgsz
    model = Model(
        resolved,
        device=spec.device,
        precision=spec.precision,
        runtime=spec.runtime,
        imgsz=size,
        trust=spec.trust,
    )
    batch = spec.batch or model.runtime.batch
    found = itertools.islice(find(list(spec.inputs), recursive=spec.recursive, offline=True), MOST_INPUTS)
    inputs = [item for item in found if isinstance(item, Input)]
    whole = pipeline(model, inputs, batch, spec.seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    runtime = model.runtime
    return {
        "runtime": runtime.name,
        "device": runtime.device,
        "precision": runtime.precision,
        "batch": batch,
        "parallel": runtime.parallel,
        **whole,
        "peak_mb": peak,
        "network": network(model, _batches(model, inputs, batch), spec.seconds),
    }


def pipeline(model: Model, inputs: Sequence[Input], batch: int, seconds: float) -> dict[str, Any]:
    """Pictures a second, CPU time and stages of the whole pipeline over the inputs, again and again.

    InputError where none of them can be read.
    """
    from visioncli.media.frame import Failure
    from visioncli.pipeline import Answer, Settings, run
    from visioncli.profile import Profile

    profile = Profile()
    settings = Settings(batch, model.options(), keep_images=False)
    endless = itertools.chain.from_iterable(itertools.repeat(inputs))
    each = batch * model.runtime.parallel
    marks: list[float] = []
    begun = cpu = 0.0
    before: dict[str, tuple[float, int]] = {}
    warm = 0
    broken: set[str] = set()
    started = time.perf_counter()
    with closing(run(endless, model.adapter, model.runtime, settings, profile=profile)) as events:
        for event in events:
            if isinstance(event, Failure):
                broken.add(event.source)
                if not warm and len(broken) == len({item.source for item in inputs}):
                    raise InputError(event.message, kind=event.kind)
            if not isinstance(event, Answer):
                continue
            now = time.perf_counter()
            if not begun:
                warm += 1
                if warm >= max(WARM, each) or now - started >= WARM_SECONDS:
                    begun, cpu = now, _cpu()
                    before = _stages(profile)
                continue
            marks.append(now)
            if now - begun >= seconds and len(marks) % each == 0:
                break
        cpu = _cpu() - cpu
        after = _stages(profile)
    return {
        "pictures": len(marks),
        "rate": rates(begun, marks, each).values,
        "stages": {
            name: 1000 * (spent - before.get(name, (0.0, 0))[0]) / items
            for name, (spent, total) in after.items()
            if (items := total - before.get(name, (0.0, 0))[1])
        },
        "cpu_ms": 1000 * cpu / len(marks),
        "failed": len(broken),
    }


def network(model: Model, batches: Sequence[Batch], seconds: float) -> tuple[float, ...]:
    """Pictures a second of the network alone, in as many threads as the pipeline runs it in."""
    from visioncli.runtime.tune import repeated

    runtime, size = model.runtime, len(batches[0])
    lanes = repeated(runtime, [batch.inputs for batch in batches], seconds)
    done = sorted(time for _, times in lanes for time in times)
    marks = [time for time in done for _ in range(size)]
    return rates(min(begun for begun, _ in lanes), marks, size * runtime.parallel).values


def _batches(model: Model, inputs: Sequence[Input], size: int) -> list[Batch]:
    """Whole batches, one of each of the first few pictures: their shapes are those of the pipeline's."""
    from visioncli.models import Batch, prepare
    from visioncli.pipeline import Answer, Settings, run

    options = model.options()
    events = run(inputs, model.adapter, model.runtime, Settings(1, options))
    with closing(events):
        answers: Iterator[Answer] = (event for event in events if isinstance(event, Answer))
        images = [a.frame.image for a in itertools.islice(answers, max(1, min(ALONE, 32 // size)))]
    return [Batch.join([prepare(model.adapter, [image], options)] * size) for image in images]


def _cpu() -> float:
    return sum(os.times()[:2])


def _stages(profile: Any) -> dict[str, tuple[float, int]]:
    """Seconds and pictures by stage, so far."""
    return {name: (stage.seconds, stage.items) for name, stage in list(profile.stages.items())}


def main() -> None:
    """Measure, write the answer (figures, or an error with its exit code), and be gone."""
    from visioncli.cli import set_up_process

    set_up_process()
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    try:
        answer = measure(spec)
    except VisionError as error:
        answer = {"error": str(error), "code": error.exit_code}
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        answer = {"error": "out of memory (try a smaller --batch or --imgsz)", "code": 1}
    Path(sys.argv[2]).write_text(json.dumps(answer), "utf-8")
    os._exit(0)  # as the command's own process ends: without taking torch apart


if __name__ == "__main__":
    main()
