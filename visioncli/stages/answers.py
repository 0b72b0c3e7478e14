"""The last stage: outputs become results, and everything leaves in the order in which it came."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace

from visioncli.media.frame import Input
from visioncli.models import Adapter, Options
from visioncli.profile import Profile
from visioncli.results import Prediction, Result
from visioncli.stages.events import Answer, Closed, Dropped, Event, Job, Place, Ran, named


def in_order(
    ran: Iterable[Ran | Place],
    adapter: Adapter,
    names: Sequence[str],
    options: Options,
    profile: Profile,
) -> Generator[Event, None, None]:
    """Finish batches, and give everything out in the order it came in."""
    ready: dict[int, Event | Dropped | None] = {}
    following = 0
    torn: Input | None = None
    for item in ran:
        if isinstance(item, Place):
            ready[item.place] = item.event
        else:
            first = item.group[0][1]
            with profile.stage("finish", len(item.group)), named(first.input, first.frame):
                predictions = adapter.finish(item.outputs, item.batch, options)
            for (place, job), prediction in zip(item.group, predictions, strict=True):
                result = _result(job, options.kept(prediction), names)
                ready[place] = Answer(job.input, job.frame, result, job.seen)
        while following in ready:
            event = ready.pop(following)
            following += 1
            if isinstance(event, Dropped):
                torn = event.input
            elif isinstance(event, Closed) and event.input is torn and torn.kind != "camera":
                yield replace(event, cut=True)
            elif event is not None:
                yield event


def _result(job: Job, prediction: Prediction, names: Sequence[str]) -> Result:
    width, height = job.size
    return Result(job.input.source, width, height, prediction, names, job.frame.index, job.frame.time)
