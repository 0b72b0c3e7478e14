"""The loop: inputs → decoded and prepared frames → batches through the network → results in order.

    read      a thread decodes (pictures: a pool of them) and prepares, `ahead` frames in front of the network
    infer     a thread gathers frames of one network shape into batches and runs them
    answers   the caller's thread finishes (decoding of boxes, NMS) and puts everything back in order

Everything that happens is an event, in the order of the inputs; see `Event`. An exception in any stage
reaches the caller with the name of the input it happened at.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from visioncli.background import TICK, ahead
from visioncli.errors import InputError
from visioncli.media.frame import Failure, Frame, Input
from visioncli.models import Adapter, Array, Batch, Options, prepare
from visioncli.profile import Profile
from visioncli.results import Image, Prediction, Result
from visioncli.runtime import Runtime

if TYPE_CHECKING:
    from visioncli.media.reader import Reader, VideoInfo

NO_IMAGE = np.zeros((0, 0, 3), np.uint8)
LIVE_FRAMES = 2  # of a live source on their way to the network: more would be older when they get there
MOST_HELD = 96 << 20  # bytes of pictures that wait for a batch, and of those that came after them


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run: pictures a batch, what to read of videos, and whether results need their pixels.

    `workers` threads decode and prepare. Without `keep_images` a frame's pixels are dropped once prepared.
    `observe()` is called for each video and gives what its frames are shown to, in order, in the thread that
    decodes (None: nothing); what that returns comes out as the answer's `seen`. `tell` hears of live sources
    that are lost and found again. `least`: pictures may be decoded smaller, to that shorter side (px).
    """

    batch: int = 1
    options: Options = field(default_factory=Options)
    stride: int = 1
    start: float | None = None
    end: float | None = None
    keep_images: bool = True
    workers: int = 2
    observe: Callable[[], Callable[[Image], Any] | None] | None = None
    tell: Callable[[str], None] | None = None
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A video begins."""

    input: Input
    info: VideoInfo


@dataclass(frozen=True, slots=True)
class Answer:
    """One picture or frame has its result. `frame.image` is empty where `keep_images` is off.

    `seen` is what the video's observer returned for the frame (see `Settings.observe`), `signs` the counts to
    draw (see `track.counting.Sign`).
    """

    input: Input
    frame: Frame
    result: Result
    seen: Any = None
    signs: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """A video is through: frames decoded, packets skipped. `cut`: stopped before its end.

    `dropped_frames`: those of a live source that came faster than they could be looked at.
    """

    input: Input
    frames: int
    skipped_packets: int
    cut: bool = False
    dropped_frames: int = 0


Event = Opened | Answer | Closed | Failure


class _Idle:
    """Nothing came for a moment."""


_IDLE = _Idle()


@dataclass(slots=True)
class _Job:
    """A frame on its way. `size` survives when the pixels are dropped; `gate` lets a live one's next in."""

    input: Input
    frame: Frame
    size: tuple[int, int]
    batch: Batch
    seen: Any = None
    gate: threading.Semaphore | None = None

    @property
    def live(self) -> bool:
        """Whether it comes from a live source."""
        return self.gate is not None

    @property
    def bytes(self) -> int:
        """What it holds in memory."""
        return self.frame.pixels.nbytes + sum(a.nbytes for a in self.batch.inputs)


def run(
    inputs: Iterable[Input | Failure],
    adapter: Adapter,
    runtime: Runtime,
    settings: Settings,
    *,
    stop: threading.Event | None = None,
    profile: Profile | None = None,
) -> Generator[Event, None, None]:
    """All events of a run.

    Setting `stop` ends it early: what has been through the network is answered, what has not is dropped, and
    an open video is `cut`. It is set in any case when the run has ended.
    """
    stop = stop or threading.Event()
    profile = profile or Profile()
    names = adapter.names
    with ThreadPoolExecutor(settings.workers, "prepare") as pool:
        jobs = ahead(
            _read(inputs, adapter, settings, pool, stop, profile),
            settings.batch + settings.workers,
            name="read",
            stop=stop,
            grace=1.0,
            idle=_IDLE,
        )
        ran = ahead(_infer(jobs, runtime, settings.batch, stop, profile), 1, name="network")
        try:
            with closing(_answers(ran, adapter, names, settings.options, profile)) as answers:
                yield from answers
        finally:
            stop.set()  # before anything is waited for: whoever still reads or waits gives up now
            ran.close()
            jobs.close()
            pool.shutdown(wait=True, cancel_futures=True)


def _read(
    inputs: Iterable[Input | Failure],
    adapter: Adapter,
    settings: Settings,
    pool: ThreadPoolExecutor,
    stop: threading.Event,
    profile: Profile,
) -> Iterator[Future[_Job] | Event]:
    """Open and decode. Pictures in the pool; a video's frames here, in order, prepared in the pool."""
    from visioncli.media import pictures

    def prepared(
        input: Input, frame: Frame, seen: Any = None, gate: threading.Semaphore | None = None
    ) -> _Job:
        with profile.stage("prepare"), _named(input, frame):
            batch = prepare(adapter, [frame.image], settings.options)
        size = frame.width, frame.height
        kept = frame if settings.keep_images else replace(frame, pixels=NO_IMAGE)
        return _Job(input, kept, size, batch, seen, gate)

    def later(input: Input, frame: Frame, seen: Any, gate: threading.Semaphore | None) -> Future[_Job]:
        job = pool.submit(prepared, input, frame, seen, gate)
        if gate is not None:  # a frame that cannot be prepared does not get to the network, which opens it
            job.add_done_callback(lambda done: None if _went_well(done) else gate.release())
        return job

    def picture(input: Input) -> _Job:
        with profile.stage("decode"), _named(input):
            frame = pictures.read(input, least=settings.least)
        return prepared(input, frame)

    for input in inputs:
        if stop.is_set():
            return
        if isinstance(input, Failure):
            yield input
        elif input.kind == "picture":
            yield pool.submit(picture, input)
        else:
            yield from _video(input, settings, stop, profile, later)


def _video(
    input: Input,
    settings: Settings,
    stop: threading.Event,
    profile: Profile,
    prepare: Callable[[Input, Frame, Any, threading.Semaphore | None], Future[_Job]],
) -> Iterator[Future[_Job] | Event]:
    """One video's events; a failure in the middle keeps what came before it.

    A frame of a live source is asked for when one before it has left the network: so it is the newest.
    """
    from visioncli.media.camera import open_live
    from visioncli.media.video_in import open_video

    gate = threading.Semaphore(LIVE_FRAMES) if input.kind == "camera" else None

    try:
        with _named(input):
            reader: Reader
            if input.kind == "camera":
                reader = open_live(
                    input, stride=settings.stride, end=settings.end, stop=stop, tell=settings.tell
                )
            else:
                reader = open_video(input, stride=settings.stride, start=settings.start, end=settings.end)
    except InputError as error:
        yield Failure(input.source, error.kind, str(error))
        return
    cut = False
    look = settings.observe() if settings.observe is not None else None
    with reader:
        yield Opened(input, reader.info)
        frames = iter(reader)
        while not cut:
            while gate is not None and not gate.acquire(timeout=TICK) and not stop.is_set():
                continue
            try:
                with profile.stage("decode"), _named(input):
                    frame = next(frames)
            except StopIteration:
                break
            except InputError as error:
                yield Failure(input.source, error.kind, str(error), frame=reader.frames)
                break
            seen = None
            if look is not None:
                with profile.stage("motion"), _named(input, frame):
                    frame = replace(frame, pixels=frame.image)  # converted once for all who need it
                    seen = look(frame.image)
            yield prepare(input, frame, seen, gate)
            cut = stop.is_set()
        cut = cut and gate is None  # a live source has no end of its own
        yield Closed(input, reader.frames, reader.skipped_packets, cut, reader.dropped_frames)


def _infer(
    jobs: Iterable[Future[_Job] | Event | _Idle],
    runtime: Runtime,
    size: int,
    stop: threading.Event,
    profile: Profile,
) -> Iterator[_Ran | _Place]:
    """Gather jobs of one shape into batches and run them; every job and event keeps its place in line.

    A picture whose shape is rare waits for others like it while all answers after it are held back: not while
    nothing more comes, nor for more than `4 × size` others, or `MOST_HELD` bytes of them. Smaller batches
    change no answer.
    """
    waiting: dict[object, list[tuple[int, _Job]]] = {}  # the shape that has waited longest comes first
    since: dict[object, int] = {}  # how many bytes had passed when a shape began to wait
    passed = 0
    place = -1
    with _Lanes(runtime, profile, stop) as lanes:

        def go(shape: object, *, alone: bool = False) -> Iterator[_Ran | _Place]:
            since.pop(shape)
            yield from lanes.go(waiting.pop(shape), alone=alone)

        for item in jobs:
            if isinstance(item, _Idle):  # a slow source: what waits is not kept waiting for a full batch
                if waiting and not stop.is_set():
                    yield from go(next(iter(waiting)), alone=True)
                yield from lanes.done()
                continue
            place += 1
            if isinstance(item, Future) and stop.is_set():
                yield _Place(place, _dropped(item))
            elif isinstance(item, Future):
                try:
                    job = item.result()
                except InputError as error:
                    yield _Place(place, _failure(error))
                else:
                    shape = job.batch.shape
                    since.setdefault(shape, passed)
                    group = waiting.setdefault(shape, [])
                    group.append((place, job))
                    passed += job.bytes
                    if len(group) >= size or job.live:
                        yield from go(shape, alone=job.live)
            else:
                yield _Place(place, item)
            if waiting:
                oldest = next(iter(waiting))
                if place - waiting[oldest][0][0] >= 4 * size or passed - since[oldest] > MOST_HELD:
                    yield from go(oldest)
        for left in list(waiting):
            if stop.is_set():
                yield from (_Place(place, _Dropped(job.input)) for place, job in waiting.pop(left))
            else:
                yield from go(left, alone=len(waiting) == 1)
        yield from lanes.over(0)


class _Lanes:
    """Runs batches: several beside each other, each on its share of the cores, given back in order.

    Threads that share one batch wait for each other after every layer, and for a core that the encoder has
    just taken. Two lanes of a thread each, in batches of 2, took 13.0 s and 0.96 GB for 302 frames of 720p,
    where two threads on one batch of 8 took 13.8 s and 1.21 GB. (The default became 1: less memory.)
    """

    def __init__(self, runtime: Runtime, profile: Profile, stop: threading.Event) -> None:
        self._runtime, self._profile, self._stop = runtime, profile, stop
        self._pool = ThreadPoolExecutor(runtime.parallel, "network", initializer=runtime.share)
        self._running: deque[Future[list[_Ran | _Place]]] = deque()

    def __enter__(self) -> _Lanes:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def go(self, group: list[tuple[int, _Job]], *, alone: bool) -> Iterator[_Ran | _Place]:
        """Start a batch, and give back what must be finished first. `alone`: on all cores if none is busy."""
        if alone and not self._running:
            yield from self._run(group)
        else:
            self._running.append(self._pool.submit(self._run, group))
            yield from self.over(self._runtime.parallel)

    def over(self, most: int) -> Iterator[_Ran | _Place]:
        """Wait for the oldest while more than `most` are under way."""
        while len(self._running) > most:
            yield from self._running.popleft().result()

    def done(self) -> Iterator[_Ran | _Place]:
        """What is finished, without waiting."""
        while self._running and self._running[0].done():
            yield from self._running.popleft().result()

    def _run(self, group: list[tuple[int, _Job]]) -> list[_Ran | _Place]:
        """One batch through the network. `stop` drops it if it has not begun."""
        if self._stop.is_set():
            return [_Place(place, _Dropped(job.input)) for place, job in group]
        batch = Batch.join([job.batch for _, job in group])
        for _, job in group:
            job.batch = Batch((), ())  # its copy is in the joined one
        with self._profile.stage("network", len(group)), _named(group[0][1].input, group[0][1].frame):
            outputs = self._runtime(batch.inputs)
        for _, job in group:
            if job.gate is not None:
                job.gate.release()
        return [_Ran(group, batch, outputs)]


def _went_well(job: Future[_Job]) -> bool:
    return not job.cancelled() and job.exception() is None


def _dropped(job: Future[_Job]) -> _Dropped | None:
    """What stands for a job that will not run; None where it had failed anyway."""
    try:
        return _Dropped(job.result().input)
    except InputError:
        return None


@dataclass(slots=True)
class _Ran:
    """A batch that went through the network, with each picture's place in line."""

    group: list[tuple[int, _Job]]
    batch: Batch
    outputs: tuple[Array, ...]


@dataclass(slots=True)
class _Place:
    """An event that has nothing to do with the network, or the lack of one, with its place in line."""

    place: int
    event: Event | _Dropped | None


@dataclass(frozen=True, slots=True)
class _Dropped:
    """A frame that `stop` left without an answer: its video is not whole."""

    input: Input


def _answers(
    ran: Iterable[_Ran | _Place],
    adapter: Adapter,
    names: Sequence[str],
    options: Options,
    profile: Profile,
) -> Generator[Event, None, None]:
    """Finish batches, and give everything out in the order it came in."""
    ready: dict[int, Event | _Dropped | None] = {}
    following = 0
    torn: Input | None = None
    for item in ran:
        if isinstance(item, _Place):
            ready[item.place] = item.event
        else:
            first = item.group[0][1]
            with profile.stage("finish", len(item.group)), _named(first.input, first.frame):
                predictions = adapter.finish(item.outputs, item.batch, options)
            for (place, job), prediction in zip(item.group, predictions, strict=True):
                result = _result(job, options.kept(prediction), names)
                ready[place] = Answer(job.input, job.frame, result, job.seen)
        while following in ready:
            event = ready.pop(following)
            following += 1
            if isinstance(event, _Dropped):
                torn = event.input
            elif isinstance(event, Closed) and event.input is torn and torn.kind != "camera":
                yield replace(event, cut=True)
            elif event is not None:
                yield event


def _result(job: _Job, prediction: Prediction, names: Sequence[str]) -> Result:
    width, height = job.size
    return Result(job.input.source, width, height, prediction, names, job.frame.index, job.frame.time)


class _named:  # noqa: N801 - used like a function
    """Tell an exception which input it happened at: as its source if it is ours, else as a note."""

    def __init__(self, input: Input, frame: Frame | None = None) -> None:
        self._input, self._frame = input, frame

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            error.source = error.source or self._input.source
        elif error is not None:
            at = "" if self._frame is None or self._frame.index is None else f", frame {self._frame.index}"
            error.add_note(f"while working on {self._input.source}{at}")


def _failure(error: InputError) -> Failure:
    return Failure(error.source or "?", error.kind, str(error))


def progress_total(info: VideoInfo, settings: Settings) -> int | None:
    """How many results a video will give, as far as its header tells."""
    if info.frames is None:
        return None
    frames = Fraction(info.frames)
    if info.fps and (settings.start or settings.end is not None):
        length = (info.duration or float(frames / info.fps)) - (settings.start or 0)
        if settings.end is not None:
            length = min(length, settings.end - (settings.start or 0))
        frames = Fraction(max(length, 0)) * info.fps
    return max(int(frames / settings.stride), 1)
