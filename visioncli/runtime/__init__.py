"""What runs a `Network`: numpy arrays in, numpy arrays out."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from visioncli.errors import UsageError
from visioncli.models import Array, Network, Origin

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
RUNTIMES = ("auto", "torch", "openvino")


class Runtime(Protocol):
    """A network made ready on a device. `name`, `device` and `precision` say what was chosen.

    `batch` is the size of batch that suits it, `parallel` how many of them it likes to run at once, each in a
    thread that has called `share()`.
    """

    name: str
    device: str
    precision: str
    batch: int
    parallel: int

    def __call__(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Run one batch."""

    def share(self) -> None:
        """From now on the calling thread takes only its share of the cores."""


def make(
    network: Network,
    origin: Origin | None = None,
    *,
    runtime: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    few: bool = False,
    say: Callable[[str], None] | None = None,
) -> Runtime:
    """The runtime for a network. UsageError for a device that is not there or a precision that it lacks.

    `device` may name several GPUs, like `cuda:0,1`: each has a copy of the network.
    `auto` takes OpenVINO on a CPU where the network has been compiled or can be in a moment, else torch. With
    `few` pictures to come it does not compile what nobody has run here before, and runs them on all cores.
    `say` is told, in a line, what takes long, and where memory is short.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"unknown runtime {runtime!r}", hint=f"one of {', '.join(RUNTIMES)}")
    if runtime == "openvino":
        if origin is None or not network.compiles:
            raise UsageError(
                f"{origin.name if origin else 'this model'} does not run compiled", hint="use --runtime torch"
            )
        if device not in ("auto", "cpu"):
            raise UsageError(f"compiled networks run on the CPU, not on {device}", hint="use --runtime torch")
    chosen: Runtime | None
    if runtime != "torch" and origin is not None and network.compiles:
        chosen = _compiled(network, origin, runtime, device, precision, few, say)
        if chosen is not None:
            return chosen
    if "," in device:
        from visioncli.runtime.several import SeveralRuntime, pick_devices

        chosen = SeveralRuntime(network, pick_devices(device), precision, say=say)
    else:
        from visioncli.runtime.torch_runtime import TorchRuntime

        chosen = TorchRuntime(network, device, precision, say=say)
    if chosen.device.startswith("cuda") and origin is not None and not few:
        from visioncli.runtime.torch_runtime import device_name
        from visioncli.runtime.tune import tuned

        chosen.batch = tuned(chosen, network, origin, device_name(chosen.device))
    return chosen


def _compiled(
    network: Network,
    origin: Origin,
    runtime: str,
    device: str,
    precision: str,
    few: bool,
    say: Callable[[str], None] | None,
) -> Runtime | None:
    """The compiled network if it was asked for or is what `auto` stands for here."""
    wanted = runtime == "openvino"
    if not wanted and (device != "cpu" and (device != "auto" or may_have_gpu())):
        return None
    from visioncli.runtime import openvino_runtime as compiled

    if not wanted and not (compiled.installed() and compiled.worth_it(network, origin, few)):
        return None
    try:
        return compiled.OpenVinoRuntime(network, origin, precision, few=few, say=say)
    except compiled.UnfitError as error:
        if wanted:
            raise
        if say is not None:
            say(f"{origin.name}: {error.message}; torch runs it")
        return None


def may_have_gpu() -> bool:
    """Whether there is a device of a kind that torch might use. Without torch, whose import takes seconds."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd"))
