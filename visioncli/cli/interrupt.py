"""Ctrl-C and SIGTERM: the first one drains the run, the second one ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupt:
    """While entered, a signal sets `stop` and `code` (130 or 143); the next one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.code: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on(self, number: int, frame: FrameType | None) -> None:
        if self.stop.is_set() and self.code is not None:
            raise KeyboardInterrupt
        self.code = 128 + number
        self.stop.set()
