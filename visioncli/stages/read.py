"""The first stage: inputs are opened, decoded and prepared for the network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visioncli.background import TICK
from visioncli.errors import InputError
from visioncli.media.frame import Failure, Frame, Input
from visioncli.models import Adapter, prepare
from visioncli.profile import Profile
from visioncli.results import Image
from visioncli.stages.events import NO_IMAGE, Closed, Event, Job, Opened, Settings, named

if TYPE_CHECKING:
    from visioncli.media.reader import Reader

LIVE_FRAMES = 2  # of a live source on their way to the network: more would be older when they get there


def read(
    inputs: Iterable[Input | Failure],
    adapter: Adapter,
    settings: Settings,
    pool: ThreadPoolExecutor,
    stop: threading.Event,
    profile: Profile,
) -> Iterator[Future[Job] | Event]:
    """Open and decode. Pictures in the pool; a video's frames here, in order, prepared in the pool."""
    from visioncli.media import pictures

    def prepared(
        input: Input,
        frame: Frame,
        image: Image | None = None,
        seen: Any = None,
        gate: threading.Semaphore | None = None,
    ) -> Job:
        with profile.stage("prepare"), named(input, frame):
            batch = prepare(adapter, [frame.image if image is None else image], settings.options)
        size = frame.width, frame.height
        kept = frame if settings.keep_images else replace(frame, pixels=NO_IMAGE)
        return Job(input, kept, size, batch, seen, gate)

    def later(
        input: Input, frame: Frame, image: Image | None, seen: Any, gate: threading.Semaphore | None
    ) -> Future[Job]:
        job = pool.submit(prepared, input, frame, image, seen, gate)
        if gate is not None:  # a frame that cannot be prepared does not get to the network, which opens it
            job.add_done_callback(lambda done: None if _went_well(done) else gate.release())
        return job

    def picture(input: Input) -> Job:
        with profile.stage("decode"), named(input):
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
    prepare: Callable[[Input, Frame, Image | None, Any, threading.Semaphore | None], Future[Job]],
) -> Iterator[Future[Job] | Event]:
    """One video's events; a failure in the middle keeps what came before it.

    A frame of a live source is asked for when one before it has left the network: so it is the newest.
    """
    from visioncli.media.camera import open_live
    from visioncli.media.video_in import open_video

    gate = threading.Semaphore(LIVE_FRAMES) if input.kind == "camera" else None

    try:
        with named(input):
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
                with profile.stage("decode"), named(input):
                    frame = next(frames)
            except StopIteration:
                break
            except InputError as error:
                yield Failure(input.source, error.kind, str(error), frame=reader.frames)
                break
            image = seen = None
            if look is not None:
                with profile.stage("motion"), named(input, frame):
                    image = frame.image
                    seen = look(image)
            yield prepare(input, frame, image, seen, gate)
            cut = stop.is_set()
        cut = cut and gate is None  # a live source has no end of its own
        yield Closed(input, reader.frames, reader.skipped_packets, cut, reader.dropped_frames)


def _went_well(job: Future[Job]) -> bool:
    return not job.cancelled() and job.exception() is None
