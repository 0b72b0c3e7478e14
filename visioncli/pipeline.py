"""The loop: inputs → decoded and prepared frames → batches through the network → results in order.

    read      a thread decodes (pictures: a pool of them) and prepares, `ahead` frames in front of the network
    infer     a thread gathers frames of one network shape into batches and runs them
    answers   the caller's thread finishes (decoding of boxes, NMS) and puts everything back in order

Everything that happens is an event, in the order of the inputs; see `Event`. An exception in any stage
reaches the caller with the name of the input it happened at.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING

from visioncli.background import ahead
from visioncli.media.frame import Failure, Input
from visioncli.models import Adapter
from visioncli.profile import Profile
from visioncli.runtime import Runtime
from visioncli.stages.answers import in_order
from visioncli.stages.events import IDLE, NO_IMAGE, Answer, Closed, Event, Opened, Settings
from visioncli.stages.infer import infer
from visioncli.stages.read import read

if TYPE_CHECKING:
    from visioncli.media.reader import VideoInfo

__all__ = ["NO_IMAGE", "Answer", "Closed", "Event", "Opened", "Settings", "progress_total", "run"]


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
            read(inputs, adapter, settings, pool, stop, profile),
            settings.batch + settings.workers,
            name="read",
            stop=stop,
            grace=1.0,
            idle=IDLE,
        )
        ran = ahead(infer(jobs, runtime, settings.batch, stop, profile), 1, name="network")
        try:
            with closing(in_order(ran, adapter, names, settings.options, profile)) as answers:
                yield from answers
        finally:
            stop.set()  # before anything is waited for: whoever still reads or waits gives up now
            ran.close()
            jobs.close()
            pool.shutdown(wait=True, cancel_futures=True)


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
