"""What runs a `Network`: numpy arrays in, numpy arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from visioncli.errors import UsageError
from visioncli.models import Array, Network

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
RUNTIMES = ("auto", "torch")


class Runtime(Protocol):
    """A network made ready on a device. `device` and `precision` say what was chosen.

    `batch` is the size of batch that suits it, `parallel` how many of them it likes to run at once, each in a
    thread that has called `share()`.
    """

    device: str
    precision: str
    batch: int
    parallel: int

    def __call__(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Run one batch."""

    def share(self) -> None:
        """From now on the calling thread takes only its share of the cores."""


def make(
    network: Network, *, runtime: str = "auto", device: str = "auto", precision: str = "auto"
) -> Runtime:
    """The runtime for a network. UsageError for a device that is not there or a precision that it lacks."""
    if runtime not in RUNTIMES:
        raise UsageError(f"unknown runtime {runtime!r}", hint=f"one of {', '.join(RUNTIMES)}")
    from visioncli.runtime.torch_runtime import TorchRuntime

    return TorchRuntime(network, device, precision)
