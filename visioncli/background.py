"""Two ways to do work beside the main thread, both bounded: produce ahead of it, or consume behind it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

TICK = 0.1  # seconds between looks at whether anybody still wants the result


class _End:
    """Closes a queue: with the exception that ended its producer, or none."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(
    items: Iterable[T],
    size: int,
    *,
    name: str,
    stop: threading.Event | None = None,
    grace: float | None = None,
    idle: T | None = None,
) -> Generator[T, None, None]:
    """Yield `items`, produced in a thread of its own up to `size` ahead. Their exception is raised here.

    When the consumer stops, so does the producer. `grace`: after `stop` is set, how many seconds a producer
    that is stuck in a read (a terminal, a pipe nobody writes to) is waited for before it is left behind.
    `idle` is given out whenever nothing came for a `TICK`.
    """
    line: queue.Queue[Any] = queue.Queue(size)
    gone = threading.Event()

    def put(item: object) -> bool:
        while not gone.is_set():
            try:
                line.put(item, timeout=TICK)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        error: BaseException | None = None
        iterator = iter(items)
        try:
            for item in iterator:
                if not put(item):
                    break
        except BaseException as caught:
            error = caught
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                try:
                    close()  # a generator's `finally` closes what it has open
                except BaseException as caught:
                    error = error or caught
            put(_End(error))

    thread = threading.Thread(target=produce, name=name, daemon=True)
    thread.start()
    waited = 0.0
    try:
        while True:
            try:
                item = line.get(timeout=TICK)
            except queue.Empty:
                if stop is not None and stop.is_set() and grace is not None:
                    waited += TICK
                    if waited > grace:
                        return
                if idle is not None:
                    yield idle
                continue
            waited = 0.0
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        gone.set()
        if grace is None:
            thread.join()


class Behind(Generic[T]):
    """Calls `work(item)` for each item put, in order, in a thread of its own, at most `size` waiting.

    An exception of `work` is raised by the next `put` or by `close`; after it nothing more is done.
    """

    def __init__(self, work: Callable[[T], object], size: int, *, name: str) -> None:
        self._work = work
        self._line: queue.Queue[Any] = queue.Queue(size)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            item = self._line.get()
            if isinstance(item, _End):
                return
            if self._error is None:
                try:
                    self._work(item)
                except BaseException as caught:
                    self._error = caught

    def put(self, item: T) -> None:
        """Hand over one item; waits while `size` are waiting."""
        if self._error is not None:
            raise self._error
        self._line.put(item)

    def close(self) -> None:
        """Wait until all is done; raise what went wrong. May be called again."""
        if self._thread.is_alive():
            self._line.put(_End())
            self._thread.join()
        if self._error is not None:
            raise self._error
