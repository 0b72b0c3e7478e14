"""Import OpenVINO without what reports home.

`import openvino` would load `openvino_telemetry` (which posts events, and keeps a file in the user's home)
where it is installed; OpenVINO goes without where it is not. It is not loaded here, and the one call that
would use it (`convert_model`) is not made: see `convert.py`.
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from visioncli.errors import UsageError

_LOCK = threading.Lock()
_TELEMETRY = "openvino_telemetry"


@contextmanager
def _held_signals() -> Iterator[None]:
    """Ctrl-C waits: an exception out of a signal in the middle of an extension's import can crash it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def openvino() -> ModuleType:
    """The module `openvino`; UsageError where it is not installed."""
    with _LOCK:
        kept = _TELEMETRY in sys.modules
        if not kept:
            sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # to Python: there is no such module
        try:
            with _held_signals():
                module = importlib.import_module("openvino")
        except ImportError as error:
            raise UsageError(
                f"OpenVINO cannot be used: {error}", hint="pip install openvino, or --runtime torch"
            ) from error
        finally:
            if not kept:
                del sys.modules[_TELEMETRY]
    return module


_core: Any = None


def core() -> Any:
    """The process's one `openvino.Core`: making one looks for devices."""
    global _core
    module = openvino()
    with _LOCK:
        if _core is None:
            _core = module.Core()
        return _core
