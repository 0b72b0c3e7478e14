"""The fast way on a CPU: the network compiled by OpenVINO, kept between runs; no torch from the second on.

What is kept of a network (see `visioncli.cache`), by the hash of its weights, its version and the
libraries': the network itself in OpenVINO's form, of any shape, made by torch once; and compiled from it, for
this CPU and a precision, one form for all shapes and one each for shapes that keep coming.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np

from visioncli import cache
from visioncli.errors import ModelError, OutputError, UsageError
from visioncli.models import Array, Network, Origin
from visioncli.runtime._openvino import core

Say = Callable[[str], None]

# Streams of a thread each, in batches of 1: YOLO26n at 384×640 took 28.7 ms of CPU time a frame in fp32 and
# 14.5 in bf16, where one stream of two threads took 35.8 and 14.5 with batches of 8, 35.0 and 19.9 without.
MOST_LANES = 8
# A network compiled for one shape takes an eighth less time than one for all of them; compiling takes 0.2 s.
# Each holds memory of its own: 1,000 photographs of many shapes took 731 MB with networks for four, 505 MB
# with one, 428 with none.
OFTEN = 24  # pictures of a shape since one came of the shape that has its own
LARGEST = 400 << 20  # bytes of weights; larger networks are compiled when asked for, not by themselves

_GREY = np.full((64, 64, 3), 127, np.uint8)

# The process's first batch runs alone. OpenVINO's bindings make something when they are first called, and let
# go of the interpreter's lock in the middle: a second thread then waited with that lock, both for good.
_ALONE = threading.Lock()
_begun = threading.Event()

Shape = tuple[tuple[int, ...], ...]


def installed() -> bool:
    """Whether OpenVINO is there at all."""
    return importlib.util.find_spec("openvino") is not None


def kept(network: Network, origin: Origin) -> bool:
    """Whether it has been traced already, so that a run needs no torch."""
    return cache.exists("network", _key(network, origin))


def worth_it(network: Network, origin: Origin, few: bool = False) -> bool:
    """Whether to compile it unasked, which takes longer than a picture in torch: 4 s of CPU for a nano YOLO.

    For `few` pictures only where the model has been run before: then there will be more of them.
    """
    if kept(network, origin) or (network.graph is not None):
        return True
    if few and not cache.exists("asked", _key(network, origin)):
        with suppress(OutputError):
            cache.write("asked", _key(network, origin), b"", {"model": origin.name})
        return False
    small = origin.weights.stat().st_size <= LARGEST
    return small and not cache.exists("unfit", _key(network, origin))


class UnfitError(ModelError):
    """The network does not convert, or answers otherwise once it has."""


class OpenVinoRuntime:
    """A network compiled for this CPU. `say` is told when something takes long.

    A thread that has called `share` works in one of `parallel` streams, any other on all cores. For `few`
    pictures there is but one stream, on all cores, and it is being loaded when the constructor returns.
    Raises UnfitError where the network does not convert.
    """

    name = "openvino"
    device = "cpu"
    batch = 1

    def __init__(
        self,
        network: Network,
        origin: Origin,
        precision: str = "auto",
        *,
        few: bool = False,
        say: Say | None = None,
    ) -> None:
        if not network.compiles:
            raise UsageError(f"{origin.name} does not run compiled", hint="use --runtime torch")
        self._network, self._origin, self._say = network, origin, say or (lambda line: None)
        self._key = _key(network, origin)
        self.precision = pick_precision(precision, network)
        self._threads = _cores()
        self.parallel = 1 if few else min(self._threads, MOST_LANES)
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._compiled: dict[tuple[Shape | None, bool], Any] = {}
        self._seen: Counter[Shape] = Counter()
        self._held: bytes | None = None  # the network, where it cannot be kept in a file
        if not kept(network, origin):
            self._trace()
        if few:  # beside the import of decoders and the decoding: 0.2 of a cold picture's 1.1 s
            threading.Thread(target=self._load_ahead, name="load", daemon=True).start()

    def __call__(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Run one batch: arrays in, arrays out (float32 or integer)."""
        if _begun.is_set():
            return self._run(inputs)
        with _ALONE:
            outputs = self._run(inputs)
        _begun.set()
        return outputs

    def _run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        arrays = [np.require(a, requirements=["C"]) for a in inputs]
        with self._lock:
            compiled = self._for(tuple(a.shape for a in arrays))
        request = self._request(compiled)
        request.infer(arrays, share_inputs=True)
        return tuple(np.array(request.get_output_tensor(i).data) for i in range(len(compiled.outputs)))

    def _request(self, compiled: Any) -> Any:
        """The calling thread's request of a network; those of networks that are gone go with them."""
        requests: list[tuple[Any, Any]] = self._thread.__dict__.setdefault("requests", [])
        for network, request in requests:
            if network is compiled:
                return request
        there = list(self._compiled.values())
        requests[:] = [one for one in requests if any(one[0] is network for network in there)]
        requests.append((compiled, compiled.create_infer_request()))
        return requests[-1][1]

    def ready(self) -> None:
        """Have it compiled for what most runs begin with, before the first batch comes."""
        shape = tuple(a.shape for a in self._origin.example(_GREY)) if self._network.fixed else None
        with self._lock:
            if (shape, False) not in self._compiled:
                self._compiled[shape, False] = self._load(shape, False)

    def _load_ahead(self) -> None:
        with suppress(Exception):  # the first batch meets it again, and says it
            self.ready()

    def share(self) -> None:
        """From now on the calling thread works in a stream of its own."""
        self._thread.shares = True

    def _for(self, shape: Shape) -> Any:
        """What is compiled for a shape: for it alone where that pays or is there already, else for all.

        One shape has a network of its own, until another one comes again and again and it does not.
        """
        shares = self.parallel > 1 and getattr(self._thread, "shares", False)
        if (shape, shares) in self._compiled:
            self._seen.clear()
            return self._compiled[shape, shares]
        own = {s for s, _ in self._compiled if s is not None}
        first = shape not in self._seen and not own
        self._seen[shape] += shape[0][0]
        alone = (self._network.fixed and shape[0][0] == 1) or self._seen[shape] > OFTEN
        if not alone and first and (None, shares) not in self._compiled:
            alone = cache.exists("compiled", self._compiled_key(shape))
        key = (shape if alone or shape in own else None), shares
        if key[0] is not None:
            self._compiled = {k: v for k, v in self._compiled.items() if k[0] in (None, shape)}
        if not shares and (key[0], True) in self._compiled:
            return self._compiled[key[0], True]  # a lane's will do for a batch that finds the lanes idle
        if key not in self._compiled:
            self._compiled[key] = self._load(*key)
        return self._compiled[key]

    def _load(self, shape: Shape | None, shares: bool) -> Any:
        """Compiled networks from the cache, else compiled now and kept."""
        key = self._compiled_key(shape)
        setting = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[self.precision],
            "NUM_STREAMS": str(self.parallel if shares else 1),
            "INFERENCE_NUM_THREADS": str(self._threads),
            "ENABLE_CPU_PINNING": "NO",  # the threads that decode and encode need the cores too
        }
        content = cache.read("compiled", key)
        if content is not None:
            try:
                return core().import_model(content, "CPU", setting)
            except RuntimeError:  # another build of the same version, say: compiled anew
                pass
        model = core().read_model(*self._read())
        if shape is not None:
            model.reshape({i: list(one) for i, one in enumerate(shape)})
        compiled = core().compile_model(model, "CPU", setting)
        self._keep("compiled", key, compiled.export_model().getvalue(), shape)
        return compiled

    def _read(self) -> tuple[bytes, bytes]:
        """The network in OpenVINO's form; traced again where what was kept is broken."""
        from visioncli.runtime.convert import unpacked

        content = self._held or cache.read("network", self._key)
        return unpacked(content if content is not None else self._trace())

    def _trace(self) -> bytes:
        from visioncli.runtime.convert import convert

        began = time.monotonic()
        cache.forget(self._key, ("network", "compiled", "unfit", "asked"))
        try:
            content = convert(self._network, self._origin)
        except UnfitError as error:
            cache.write("unfit", self._key, str(error).encode())
            raise
        self._keep("network", self._key, content, None)
        if not kept(self._network, self._origin):
            self._held = content
        seconds = time.monotonic() - began
        if seconds > 1:
            self._say(f"{self._origin.name}: compiled for this CPU, once, in {seconds:.1f} s")
        return content

    def _keep(self, kind: str, key: cache.Key, content: bytes, shape: Shape | None) -> None:
        about = {"model": self._origin.name, "weights": str(self._origin.weights), "shape": _written(shape)}
        try:
            cache.write(kind, key, content, {**about, "precision": key.get("precision")})
        except OutputError as error:
            self._say(f"{self._origin.name} is compiled again next time: {error}")

    def _compiled_key(self, shape: Shape | None) -> dict[str, str]:
        return {
            **self._key,
            "shape": _written(shape),
            "precision": self.precision,
            "cpu": _cpu(),
        }


def _key(network: Network, origin: Origin) -> dict[str, str]:
    """What decides what the traced network is."""
    return {
        "weights": origin.sha256,
        "card": origin.card,
        "network": network.version,
        "precise": network.precise,
        "sizes": ",".join(str(a.shape[1:]) for a in origin.example(_GREY)) if network.fixed else "any",
        **cache.library_versions("openvino", "torch", "torchvision", "ultralytics"),
    }


def _written(shape: Shape | None) -> str:
    return "any" if shape is None else ",".join("x".join(map(str, one)) for one in shape)


@once
def _cpu() -> str:
    """This CPU: its name and, in short, what it can do."""
    features = " ".join(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    told = Path("/proc/cpuinfo")
    if told.is_file():
        features += next((line for line in told.read_text().splitlines() if line.startswith("flags")), "")
    digest = hashlib.sha256(features.encode()).hexdigest()[:12]
    return f"{platform.machine()} {core().get_property('CPU', 'FULL_DEVICE_NAME')} {digest}"


def _cores() -> int:
    """How many cores this process may use: `OMP_NUM_THREADS` where the user set it, as in torch."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(limit), there) if limit.isdecimal() and int(limit) > 0 else there


def pick_precision(name: str, network: Network) -> str:
    """`auto` is what the network bears of what this CPU does fast; UsageError for what it cannot do."""
    from visioncli.runtime import PRECISIONS

    if name not in PRECISIONS:
        raise UsageError(f"unknown precision {name!r}", hint="auto, fp32, bf16 or fp16")
    if name == "auto":
        fast = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if fast and network.bf16 and not network.fp32_only else "fp32"
    if name != "fp32" and network.fp32_only:
        raise UsageError(f"this model runs in fp32 only, not in {name}", hint="leave out --precision")
    if name == "fp16":
        raise UsageError("fp16 is slow and inexact on a CPU", hint="use --precision bf16")
    return name
