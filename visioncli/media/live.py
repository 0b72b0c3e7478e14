"""Live sources: the newest frame wins, and a connection that is lost is made again."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from typing import Any

from visioncli.errors import InputError
from visioncli.media.frame import Frame
from visioncli.media.reader import Reader, VideoInfo
from visioncli.results import Image

TIME_BASE = Fraction(1, 1_000_000)  # times of live frames are whole microseconds
DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)  # s before each attempt to connect again; then it is given up
APART = 3.0  # s by which a camera's clock may differ from ours before its times are fitted to ours again
LATENCY = 0.1  # s between looks at whether anybody still wants frames
PATIENCE = 1.0  # s for which a connection that does not answer is waited for when it is closed


class Feed(ABC):
    """One connection to a live source. Opening it raises InputError."""

    fps: Fraction | None
    codec: str
    skipped_packets: int = 0

    @abstractmethod
    def frames(self) -> Iterator[tuple[Any, float | None]]:
        """Frames as they come, with their own times (s) or None; when lost it ends or raises InputError."""

    @abstractmethod
    def picture(self, frame: Any) -> Image:
        """A frame as (H, W, 3) uint8 RGB."""

    @abstractmethod
    def close(self) -> None:
        """Give it back."""


class LiveReader(Reader):
    """The newest frame of a live source, each time one is asked for; older ones are dropped and counted.

    `time` is seconds since the first frame, by the source's clock where it has one; it goes on through a lost
    connection. `frames` counts what came, whether it was given out or not; `dropped_frames` what was not
    (but for `stride`, which leaves out frames on purpose).

    `connect` opens a feed. After a loss it is tried again after each of `delays`; when the last fails,
    InputError `network` is raised. `stop` ends the frames, wherever the reader waits; `tell` hears of losses.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Feed],
        *,
        stride: int = 1,
        end: float | None = None,
        stop: threading.Event | None = None,
        tell: Callable[[str], None] | None = None,
        delays: Sequence[float] = DELAYS,
    ) -> None:
        self.name = name
        self.frames = self.skipped_packets = self.dropped_frames = 0
        self._connect, self._stride, self._end, self._delays = connect, stride, end, delays
        self._stop = stop or threading.Event()
        self._tell = tell or (lambda text: None)
        self._closed = threading.Event()
        self._fresh = threading.Condition()
        self._newest: tuple[Feed, Any, int, Fraction] | None = None
        self._error: BaseException | None = None
        self._over = False
        self._began: float | None = None
        self._latest = Fraction(-1)
        feed = connect()
        self._thread = threading.Thread(target=self._run, args=(feed,), name="live", daemon=True)
        self._thread.start()
        first = self._next()
        if first is None:
            self.close()
            raise InputError(f"{name}: stopped before the first frame", kind="unreadable")
        self._first: Frame | None = first
        self.info = VideoInfo(
            width=first.width, height=first.height, fps=feed.fps, time_base=TIME_BASE, duration=None,
            frames=None, rotation=0, codec=feed.codec, has_audio=False, sample_aspect_ratio=Fraction(1),
        )  # fmt: skip

    def __next__(self) -> Frame:
        frame, self._first = self._first or self._next(), None
        if frame is None:
            raise StopIteration
        return frame

    def close(self) -> None:
        """Hang up. A connection that hangs itself is left behind."""
        self._closed.set()
        self._thread.join(PATIENCE)

    def _next(self) -> Frame | None:
        """The newest frame that was not given out yet; None when there will be no more."""
        with self._fresh:
            while self._newest is None and not self._over and not self._stop.is_set():
                self._fresh.wait(LATENCY)
            if self._stop.is_set():
                return None
            newest, self._newest = self._newest, None
            if newest is None:
                if self._error is not None:
                    raise self._error
                return None
        feed, raw, index, at = newest
        return Frame(feed.picture(raw), index=index, time=float(at), pts=at)

    def _run(self, feed: Feed) -> None:
        try:
            self._follow(feed)
        except BaseException as error:  # raised where the frames are asked for
            self._error = error
        with self._fresh:
            self._over = True
            self._fresh.notify()

    def _follow(self, feed: Feed) -> None:
        """Frames of one connection after the other."""
        while True:
            with closing(feed):
                why = self._take(feed)
            if why is None:
                return
            if not self.frames:
                raise why
            self._tell(f"{self.name}: connection lost ({why.message}); trying again")
            lost = time.monotonic()
            found = self._again()
            if found is None:
                return
            feed = found
            self._tell(f"{self.name}: connected again after {time.monotonic() - lost:.1f} s")

    def _take(self, feed: Feed) -> InputError | None:
        """The frames of one connection until it is lost (then why) or nobody wants any more."""
        shift: float | None = None
        skipped = 0
        try:
            for raw, seconds in feed.frames():
                if self._closed.is_set() or self._stop.is_set():
                    return None
                now = time.monotonic()
                self._began = now if self._began is None else self._began
                now -= self._began
                if seconds is None:
                    at = now
                else:
                    if shift is None or abs(seconds + shift - now) > APART:
                        shift = now - seconds
                    at = seconds + shift
                self.skipped_packets += feed.skipped_packets - skipped
                skipped = feed.skipped_packets
                if not self._offer(feed, raw, at):
                    return None
        except InputError as error:
            return error
        return InputError("the stream ended")

    def _offer(self, feed: Feed, raw: Any, seconds: float) -> bool:
        """Put a frame in the place of the one before; False where it comes after `end`."""
        at = max(Fraction(round(seconds / TIME_BASE)) * TIME_BASE, self._latest + TIME_BASE)
        if self._end is not None and at >= self._end:
            return False
        self._latest = at
        index = self.frames
        with self._fresh:
            self.frames += 1
            if index % self._stride == 0:
                self.dropped_frames += self._newest is not None
                self._newest = feed, raw, index, at
                self._fresh.notify()
        return True

    def _again(self) -> Feed | None:
        """A new connection, or None where nobody wants one any more."""
        for delay in self._delays:
            until = time.monotonic() + delay
            while time.monotonic() < until:
                if self._closed.wait(LATENCY) or self._stop.is_set():
                    return None
            try:
                return self._connect()
            except InputError:
                continue
        raise InputError(
            f"{self.name}: the connection was lost and did not come back ({len(self._delays)} attempts)",
            kind="network",
        )
