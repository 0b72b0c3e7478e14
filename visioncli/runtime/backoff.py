"""Batches that do not fit into a device's memory run in smaller parts, from then on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch

from visioncli.errors import ModelError
from visioncli.models import Array

Run = Callable[[Sequence[Array]], tuple[Array, ...]]


class Halving:
    """Halves batches until they fit into the memory of `device`, and remembers what fitted.

    `say` is told in a line when later batches will be smaller for it. May be called from several threads.
    """

    def __init__(self, device: str, say: Callable[[str], None] | None = None) -> None:
        self._device, self._say = device, say
        self._fits = sys.maxsize  # pictures: nothing larger is tried
        self._lock = threading.Lock()

    def __call__(self, run: Run, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """What `run` makes of `inputs` (arrays with N first), in as few parts as fit.

        ModelError where a single picture does not fit, and where the outputs of parts cannot be joined.
        """
        count = len(inputs[0])
        first = size = min(count, self._fits)
        parts: list[tuple[Array, ...]] = []
        start = 0
        while start < count:
            part = [a[start : start + size] for a in inputs]
            outputs = _attempt(run, part)
            if outputs is not None:
                parts.append(outputs)
                start += size
            elif len(part[0]) == 1:
                raise ModelError(
                    f"out of memory with a single picture on {self._device}",
                    hint="try a smaller --imgsz, or --device cpu",
                )
            else:
                size = (len(part[0]) + 1) // 2
        if size < first:
            self._remember(first, size)
        return parts[0] if len(parts) == 1 else joined(parts, count)

    def _remember(self, tried: int, fits: int) -> None:
        with self._lock:
            if fits >= self._fits:  # another thread met it first
                return
            self._fits = fits
        if self._say is not None:
            self._say(f"out of memory with a batch of {tried} on {self._device}: going on with {fits}")


def _attempt(run: Run, inputs: Sequence[Array]) -> tuple[Array, ...] | None:
    """What comes out, or None where memory did not suffice.

    A function of its own: the error, and with it what its frames hold in that memory, is gone on return.
    """
    try:
        return run(inputs)
    except torch.cuda.OutOfMemoryError:
        return None


def joined(parts: Sequence[tuple[Array, ...]], count: int) -> tuple[Array, ...]:
    """The outputs of the parts of a batch of `count` as they would be of the whole batch.

    Mask R-CNN's second axis has room for the most objects of a picture in its batch: shorter ones are padded
    with zeros, as the network itself does. ModelError for outputs that are not N first.
    """
    columns = list(zip(*parts, strict=True))
    if any(sum(len(a) if a.ndim else 0 for a in column) != count for column in columns):
        raise ModelError(
            f"out of memory, and this network cannot run a batch of {count} in parts",
            hint="try a smaller --batch",
        )
    return tuple(np.concatenate(_padded(column)) for column in columns)


def _padded(arrays: Sequence[Array]) -> Sequence[Array]:
    """(n, …) arrays with the same sides but the first: zeros at the ends of the shorter."""
    most = np.max([a.shape[1:] for a in arrays], axis=0)
    if all((a.shape[1:] == most).all() for a in arrays):
        return arrays
    return [
        np.pad(a, [(0, 0), *((0, int(m) - n) for m, n in zip(most, a.shape[1:], strict=True))])
        for a in arrays
    ]
