"""The second stage: prepared frames are gathered into batches, which the network runs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from visioncli.errors import InputError
from visioncli.models import Batch
from visioncli.profile import Profile
from visioncli.runtime import Runtime
from visioncli.stages.events import Dropped, Event, Idle, Job, Place, Ran, failure, named

MOST_HELD = 96 << 20  # bytes of pictures that wait for a batch, and of those that came after them


def infer(
    jobs: Iterable[Future[Job] | Event | Idle],
    runtime: Runtime,
    size: int,
    stop: threading.Event,
    profile: Profile,
) -> Iterator[Ran | Place]:
    """Gather jobs of one shape into batches and run them; every job and event keeps its place in line.

    A picture whose shape is rare waits for others like it while all answers after it are held back: not while
    nothing more comes, nor for more than `4 × size` others, or `MOST_HELD` bytes of them. Smaller batches
    change no answer.
    """
    waiting: dict[object, list[tuple[int, Job]]] = {}  # the shape that has waited longest comes first
    since: dict[object, int] = {}  # how many bytes had passed when a shape began to wait
    passed = 0
    place = -1
    with Lanes(runtime, profile, stop) as lanes:

        def go(shape: object, *, alone: bool = False) -> Iterator[Ran | Place]:
            since.pop(shape)
            yield from lanes.go(waiting.pop(shape), alone=alone)

        for item in jobs:
            if isinstance(item, Idle):  # a slow source: what waits is not kept waiting for a full batch
                if waiting and not stop.is_set():
                    yield from go(next(iter(waiting)), alone=True)
                yield from lanes.done()
                continue
            place += 1
            if isinstance(item, Future) and stop.is_set():
                yield Place(place, _dropped(item))
            elif isinstance(item, Future):
                try:
                    job = item.result()
                except InputError as error:
                    yield Place(place, failure(error))
                else:
                    shape = job.batch.shape
                    since.setdefault(shape, passed)
                    group = waiting.setdefault(shape, [])
                    group.append((place, job))
                    passed += job.bytes
                    if len(group) >= size or job.live:
                        yield from go(shape, alone=job.live)
            else:
                yield Place(place, item)
            if waiting:
                oldest = next(iter(waiting))
                if place - waiting[oldest][0][0] >= 4 * size or passed - since[oldest] > MOST_HELD:
                    yield from go(oldest)
        for left in list(waiting):
            if stop.is_set():
                yield from (Place(place, Dropped(job.input)) for place, job in waiting.pop(left))
            else:
                yield from go(left, alone=len(waiting) == 1)
        yield from lanes.over(0)


class Lanes:
    """Runs batches: several beside each other, each on its share of the cores, given back in order.

    Threads that share one batch wait for each other after every layer, and for a core that the encoder has
    just taken. Two lanes of a thread each, in batches of 2, took 13.0 s and 0.96 GB for 302 frames of 720p,
    where two threads on one batch of 8 took 13.8 s and 1.21 GB. (The default became 1: less memory.)
    """

    def __init__(self, runtime: Runtime, profile: Profile, stop: threading.Event) -> None:
        self._runtime, self._profile, self._stop = runtime, profile, stop
        self._pool = ThreadPoolExecutor(runtime.parallel, "network", initializer=runtime.share)
        self._running: deque[Future[list[Ran | Place]]] = deque()

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def go(self, group: list[tuple[int, Job]], *, alone: bool) -> Iterator[Ran | Place]:
        """Start a batch, and give back what must be finished first. `alone`: on all cores if none is busy."""
        if alone and not self._running:
            yield from self._run(group)
        else:
            self._running.append(self._pool.submit(self._run, group))
            yield from self.over(self._runtime.parallel)

    def over(self, most: int) -> Iterator[Ran | Place]:
        """Wait for the oldest while more than `most` are under way."""
        while len(self._running) > most:
            yield from self._running.popleft().result()

    def done(self) -> Iterator[Ran | Place]:
        """What is finished, without waiting."""
        while self._running and self._running[0].done():
            yield from self._running.popleft().result()

    def _run(self, group: list[tuple[int, Job]]) -> list[Ran | Place]:
        """One batch through the network. `stop` drops it if it has not begun."""
        if self._stop.is_set():
            return [Place(place, Dropped(job.input)) for place, job in group]
        batch = Batch.join([job.batch for _, job in group])
        for _, job in group:
            job.batch = Batch((), ())  # its copy is in the joined one
        with self._profile.stage("network", len(group)), named(group[0][1].input, group[0][1].frame):
            outputs = self._runtime(batch.inputs)
        for _, job in group:
            if job.gate is not None:
                job.gate.release()
        return [Ran(group, batch, outputs)]


def _dropped(job: Future[Job]) -> Dropped | None:
    """What stands for a job that will not run; None where it had failed anyway."""
    try:
        return Dropped(job.result().input)
    except InputError:
        return None
