"""`ahead` and `Behind`: order, exceptions, bounds, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visioncli.background import Behind, ahead


def threads(name: str) -> list[str]:
    """The threads of that name which live."""
    return [t.name for t in threading.enumerate() if t.name == name]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers()), st.integers(1, 8))
def test_ahead_gives_everything_in_order(items: list[int], size: int) -> None:
    assert list(ahead(items, size, name="order")) == items
    assert threads("order") == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20), st.integers(1, 5))
def test_ahead_raises_where_its_producer_did(good: int, size: int) -> None:
    def items() -> Iterator[int]:
        yield from range(good)
        raise LookupError("in the producer")

    got: list[int] = []
    with pytest.raises(LookupError, match="in the producer"):
        got.extend(ahead(items(), size, name="raise"))
    assert got == list(range(good))
    assert threads("raise") == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(1, 6))
def test_ahead_ends_its_producer_when_the_consumer_goes(taken: int, size: int) -> None:
    produced = 0
    closed = threading.Event()

    def items() -> Iterator[int]:
        nonlocal produced
        try:
            while True:
                produced += 1
                yield produced
        finally:
            closed.set()

    stream = ahead(items(), size, name="goes")
    for _ in range(taken):
        next(stream)
    stream.close()
    if taken:  # a generator that was never started has no thread to end
        assert closed.is_set()
        assert produced <= taken + size + 2, "bounded"
    assert threads("goes") == []


def test_ahead_is_never_further_ahead_than_its_size() -> None:
    produced = 0

    def items() -> Iterator[int]:
        nonlocal produced
        while produced < 100:
            produced += 1
            yield produced

    stream = ahead(items(), 3, name="bound")
    for taken in range(1, 101):
        assert next(stream) == taken
        time.sleep(0.001)
        assert produced <= taken + 3 + 1  # three in the queue, one in the hand of the producer
    stream.close()


def test_ahead_leaves_a_stuck_producer_after_its_grace() -> None:
    """A read that never returns (a pipe nobody writes to) does not hold up Ctrl-C."""
    free, stop = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        free.wait()

    stream = ahead(items(), 2, name="stuck", stop=stop, grace=0.2)
    assert next(stream) == 1
    stop.set()
    began = time.monotonic()
    assert list(stream) == []
    assert time.monotonic() - began < 2
    free.set()


def test_ahead_raises_what_closing_the_producer_raised() -> None:
    class Items:
        def __iter__(self) -> Items:
            return self

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise OSError("while closing")

    with pytest.raises(OSError, match="while closing"):
        list(ahead(Items(), 1, name="closing"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers()), st.integers(1, 8))
def test_behind_does_everything_in_order(items: list[int], size: int) -> None:
    done: list[int] = []
    lane = Behind(done.append, size, name="lane")
    for item in items:
        lane.put(item)
    lane.close()
    assert done == items
    assert threads("lane") == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 15), st.integers(1, 4))
def test_behind_raises_soon_and_does_no_more(bad: int, size: int) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == bad:
            raise LookupError("at work")
        done.append(item)

    lane = Behind(work, size, name="fails")
    with pytest.raises(LookupError, match="at work"):
        for item in range(100):
            lane.put(item)
            time.sleep(0.0001)
        lane.close()
    assert done == list(range(bad))
    with pytest.raises(LookupError, match="at work"):
        lane.close()
    assert threads("fails") == []


def test_behind_may_be_closed_again() -> None:
    lane = Behind(lambda item: None, 1, name="again")
    for _ in range(4):
        lane.close()
