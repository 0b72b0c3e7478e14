"""The reference runtime: torch, on any device it knows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
import torch

from visioncli.errors import ModelError, UsageError
from visioncli.models import Array, Network
from visioncli.runtime.backoff import Halving

_SHARING = threading.Lock()
MOST_LANES = 4  # batches at once on a CPU: each needs its own activations
# YOLO26n on 720p video, two lanes on two cores: batches of 1, 2, 4 and 8 took 13.9, 13.1, 12.7 and 13.6 s
# with 0.90, 0.96, 1.17 and 1.44 GB.
CPU_BATCH, GPU_BATCH = 1, 16

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchRuntime:
    """A network in torch. On a GPU in fp32, TF32 is off: promise 1 (the library's answer) holds there too.

    `say` is told, in a line, when batches turn out too large for the device's memory.
    """

    name = "torch"

    def __init__(
        self,
        network: Network,
        device: str = "auto",
        precision: str = "auto",
        *,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._device = pick_device(device)
        self.device = str(self._device)
        self.precision = pick_precision(precision, self._device, network.fp32_only)
        self._dtype = DTYPES[self.precision]
        on_cpu = self._device.type == "cpu"
        self.batch = CPU_BATCH if on_cpu else GPU_BATCH
        # One at a time on a GPU: modules keep tensors from call to call (torchvision's anchors, RT-DETR's),
        # which two streams would share with nothing to order them.
        self.parallel = min(torch.get_num_threads(), MOST_LANES) if on_cpu else 1
        self._halving = Halving(self.device, say)
        with torch.inference_mode(False):
            module = network.build()
        try:
            # channels_last is what convolutions like best on CPUs and tensor cores alike.
            self._module = module.to(self._device).to(memory_format=torch.channels_last).eval()
        except torch.cuda.OutOfMemoryError as error:
            raise ModelError(
                f"the network does not fit into the memory of {self.device}", hint="try --device cpu"
            ) from error

    def __call__(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Run one batch: arrays in, arrays out (float32 or integer, on the host).

        In parts where the device's memory is too small for it. ModelError where it is for a single picture.
        """
        return self._halving(self._run, inputs)

    def _run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self._device.type == "cuda":
                stack.enter_context(torch.cuda.device(self._device))
            if self._dtype is not torch.float32:
                stack.enter_context(torch.autocast(self._device.type, dtype=self._dtype))
            elif self._device.type == "cuda":
                stack.enter_context(NO_TF32)
            # A frozen array, or one with odd strides, is copied: torch takes neither.
            arrays = [np.require(a, requirements=["C", "W"]) for a in inputs]
            outputs = self._module(*(self._sent(torch.from_numpy(a)) for a in arrays))
            return self._fetched([o.float() if o.is_floating_point() else o for o in outputs])

    def _sent(self, tensor: torch.Tensor) -> torch.Tensor:
        """On the device. To a GPU from pinned memory, which this thread need not wait for."""
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)

    def _fetched(self, tensors: Sequence[torch.Tensor]) -> tuple[Array, ...]:
        """On the host. From a GPU into pinned memory, and waited for once, after the last."""
        if self._device.type != "cuda":
            return tuple(t.cpu().numpy() for t in tensors)
        here = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for t in tensors]
        for target, tensor in zip(here, tensors, strict=True):
            target.copy_(tensor, non_blocking=True)
        torch.cuda.current_stream(self._device).synchronize()
        return tuple(t.numpy() for t in here)

    def share(self) -> None:
        """This thread computes with its share of torch's threads; no other thread is touched."""
        share_cores(self.parallel)


def share_cores(lanes: int) -> None:
    """From now on the calling thread computes with one part in `lanes` of torch's threads."""
    with _SHARING:
        before = torch.get_num_threads()
        torch.set_num_threads(max(before // lanes, 1))
        # That also set what threads yet to come begin with: put back, by a thread that is gone at once.
        restore = threading.Thread(target=torch.set_num_threads, args=(before,))
        restore.start()
        restore.join()


class _NoTf32:
    """Full fp32 in convolutions on GPUs while any thread is inside: cuDNN's switch is the process's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside, self._before = 0, True

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = torch.backends.cudnn.allow_tf32
                torch.backends.cudnn.allow_tf32 = False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.backends.cudnn.allow_tf32 = self._before


NO_TF32 = _NoTf32()


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps` to a device that is there; UsageError where it is not."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdecimal()) or (index and kind != "cuda"):
        raise UsageError(f"unknown device {name!r}", hint="auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda":
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not there:
            raise UsageError("there is no CUDA device on this machine", hint="use --device cpu")
        if int(index or 0) >= there:
            raise UsageError(
                f"there is no device {name}: this machine has {there}", hint="cuda:0 is the first"
            )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("there is no MPS device on this machine", hint="use --device cpu")
    return torch.device(f"cuda:{int(index or 0)}" if kind == "cuda" else kind)


def device_name(device: str) -> str:
    """What a GPU is called: what is measured on it holds for all of that name."""
    return torch.cuda.get_device_name(torch.device(device.partition(",")[0]))


def pick_precision(name: str, device: torch.device, fp32_only: bool) -> str:
    """`auto` is fp16 on a GPU and fp32 elsewhere; UsageError for what the device cannot do."""
    if name == "auto":
        return "fp16" if device.type == "cuda" and not fp32_only else "fp32"
    if name not in DTYPES:
        raise UsageError(f"unknown precision {name!r}", hint="auto, fp32, bf16 or fp16")
    if name != "fp32" and fp32_only:
        raise UsageError(f"this model runs in fp32 only, not in {name}", hint="leave out --precision")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is slow and inexact on a CPU", hint="use --precision bf16")
    return name
