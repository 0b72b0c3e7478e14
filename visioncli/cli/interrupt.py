"""Ctrl-C and SIGTERM: while work is under way the first one drains the run; any other ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType


class Interrupt:
    """While entered, signals end the run with 130 or 143, in two ways.

    Before `drain()` a signal raises SystemExit: nothing is lost that a second try would not do again. After
    it the first signal sets `stop` and `code`; the second raises SystemExit, which removes what is
    unfinished; the third leaves at once, for a network that would still run for minutes.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.code: int | None = None
        self._draining = False
        self._count = 0
        self._before: dict[int, object] = {}

    def drain(self) -> None:
        """From now on the first signal only sets `stop`."""
        self._draining = True

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self.code is not None and not self._draining and isinstance(error, Exception):
            # An extension that was being imported made our SystemExit an error of its own.
            raise SystemExit(self.code) from error

    def _on(self, number: int, frame: FrameType | None) -> None:
        self.code = 128 + number
        self._count += 1
        if self._count > 2:
            os._exit(self.code)
        if self._draining and self._count == 1:
            self.stop.set()
        else:
            raise SystemExit(self.code)
