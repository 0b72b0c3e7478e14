"""How many pictures a batch suits a network on its device: by measuring, briefly.

On GPUs only. On CPUs it is always one, several of them beside each other: with YOLO26n, YOLOv8n, MobileNetV2
and mini every batch of 2 to 16 was slower, with YOLO11n-cls 16 was 8 % faster and the others slower.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, pairwise
from typing import TYPE_CHECKING

import numpy as np

from visioncli import cache
from visioncli.errors import ModelError, OutputError
from visioncli.models import Array, Network, Origin

if TYPE_CHECKING:
    from visioncli.runtime import Runtime

SIZES = (1, 2, 4, 8, 16, 32)
SECONDS = 0.2  # that each size runs for, after one batch that is not counted
LONGEST = 1.0  # seconds a batch may take: larger ones are not tried
WORTH = 1.05  # times as fast: less is no reason to hold more pictures in memory

_GREY = np.full((480, 640, 3), 127, np.uint8)


def tuned(runtime: Runtime, network: Network, origin: Origin, device: str) -> int:
    """`best_batch` for pictures of 4:3, measured once for a network on a `device` of that name, and kept."""
    key = {
        "weights": origin.sha256,
        "card": origin.card,
        "network": network.version,
        "device": device,
        "precision": runtime.precision,
        "parallel": str(runtime.parallel),
        **cache.library_versions("torch"),
    }
    kept = cache.read("batch", key)
    if kept is not None and kept.isdigit():
        return max(int(kept), 1)
    found = best_batch(runtime, origin.example(_GREY))
    with suppress(OutputError):  # measured again next time
        cache.write("batch", key, str(found).encode(), {"model": origin.name})
    return found


def best_batch(
    runtime: Runtime, one: Sequence[Array], sizes: Sequence[int] = SIZES, seconds: float = SECONDS
) -> int:
    """The smallest of `sizes`, ascending, that hardly another one beats; `one` is a batch of one picture.

    It goes on to larger sizes for as long as they gain. The threads are those of a run.
    """
    best, highest = sizes[0], 0.0
    for size in sizes:
        batch = [np.concatenate([array] * size) for array in one]
        try:
            rate, longest = measured(runtime, batch, seconds)
        except ModelError:  # out of memory
            break
        if rate < highest * WORTH:
            break
        best, highest = size, rate
        if longest > LONGEST:
            break
    return best


def measured(runtime: Runtime, inputs: Sequence[Array], seconds: float) -> tuple[float, float]:
    """Pictures a second of one batch repeated in `runtime.parallel` threads, and its longest time (s)."""
    lanes = repeated(runtime, [inputs], seconds)
    longest = max(b - a for begun, done in lanes for a, b in pairwise([begun, *done]))
    return sum(len(done) * len(inputs[0]) / (done[-1] - begun) for begun, done in lanes), longest


def repeated(
    runtime: Runtime, batches: Sequence[Sequence[Array]], seconds: float
) -> list[tuple[float, list[float]]]:
    """Batches through the network alone, again and again, in as many threads as a run has.

    For each thread when it began, after all batches once, and when each batch was done.
    """
    together = threading.Barrier(runtime.parallel)

    def lane(_: int) -> tuple[float, list[float]]:
        together.wait()  # so that each is in a thread of its own
        for batch in batches:
            runtime(batch)
        together.wait()
        begun = time.perf_counter()
        done: list[float] = []
        for batch in cycle(batches):
            runtime(batch)
            done.append(time.perf_counter())
            if done[-1] - begun >= seconds:
                return begun, done
        raise AssertionError("a cycle has no end")

    with ThreadPoolExecutor(runtime.parallel, "alone", initializer=runtime.share) as pool:
        return list(pool.map(lane, range(runtime.parallel)))
