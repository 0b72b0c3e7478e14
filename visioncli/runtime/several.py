"""One network on several devices: a copy on each, and a batch at a time for each of them."""

from __future__ import annotations

import copy
import itertools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from visioncli.errors import UsageError
from visioncli.models import Array, Network
from visioncli.runtime.torch_runtime import TorchRuntime, pick_device, share_cores


class SeveralRuntime:
    """A `TorchRuntime` on each of `devices`. Whole batches go to one of them; none is divided.

    A thread that has called `share` keeps to one device, the next such thread to the next; any other uses the
    first.
    """

    name = "torch"

    def __init__(
        self,
        network: Network,
        devices: Sequence[str],
        precision: str = "auto",
        *,
        say: Callable[[str], None] | None = None,
    ) -> None:
        # Built once and copied: an adapter may give the same module when it is asked again, and a module
        # lies on one device.
        with torch.inference_mode(False):
            built = network.build()
        copied = replace(network, build=lambda: copy.deepcopy(built))
        self._runtimes = [TorchRuntime(copied, device, precision, say=say) for device in devices]
        self.device = ",".join(runtime.device for runtime in self._runtimes)
        self.precision = self._runtimes[0].precision
        self.batch = self._runtimes[0].batch
        self.parallel = len(self._runtimes)
        self._thread = threading.local()
        # In turn: as many threads as there are devices have one each, whichever of them was the last one's.
        self._turn = itertools.cycle(self._runtimes)
        self._lock = threading.Lock()

    def __call__(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Run one batch on the calling thread's device."""
        runtime: TorchRuntime = getattr(self._thread, "runtime", self._runtimes[0])
        return runtime(inputs)

    def share(self) -> None:
        """From now on the calling thread uses the next device, and its share of the cores."""
        with self._lock:
            self._thread.runtime = next(self._turn)
        share_cores(self.parallel)


def pick_devices(text: str) -> list[str]:
    """`cuda:0,1` or `cuda:0,cuda:1` to the name of each. UsageError for what is not there, or comes twice."""
    if not re.fullmatch(r"cuda(:\d+)?(,(cuda:)?\d+)+", text):
        raise UsageError(f"unknown devices {text!r}", hint="several GPUs are written cuda:0,1")
    numbers = [int(word.removeprefix("cuda").removeprefix(":") or 0) for word in text.split(",")]
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"--device {text} names a device twice", hint="each of them once, like cuda:0,1")
    return [str(pick_device(f"cuda:{number}")) for number in numbers]
