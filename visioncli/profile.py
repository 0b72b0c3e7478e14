"""Where the time goes: seconds by stage, over all threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stage:
    """Seconds spent in a stage and the pictures that went through it."""

    seconds: float = 0.0
    items: int = 0


@dataclass
class Profile:
    """A run's stopwatch; `stage` may be entered from several threads at once."""

    stages: dict[str, Stage] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def stage(self, name: str, items: int = 1) -> Iterator[None]:
        """Count what happens inside towards `name`: its time in any case, its items unless it raises."""
        begun = time.perf_counter()
        try:
            yield
        except BaseException:
            items = 0
            raise
        finally:
            spent = time.perf_counter() - begun
            with self._lock:
                stage = self.stages.setdefault(name, Stage())
                stage.seconds += spent
                stage.items += items

    def table(self) -> list[str]:
        """Lines for a person: each stage's time a picture, its share of the run, and which stage bounds it.

        Shares are of wall time and of one thread each: stages overlap, so they add up to more than the whole.
        """
        wall = max(time.perf_counter() - self.started, 1e-9)
        cpu = sum(os.times()[:2])
        lines = [f"{'stage':<10}{'items':>8}{'ms each':>10}{'seconds':>10}{'of wall':>9}"]
        for name in ("load", "decode", "motion", "prepare", "network", "finish", "track", "write"):
            if stage := self.stages.get(name):
                each = 1000 * stage.seconds / max(stage.items, 1)
                share = f"{stage.seconds / wall:.0%}"
                lines.append(f"{name:<10}{stage.items:>8}{each:>10.1f}{stage.seconds:>10.2f}{share:>9}")
        lines.append(f"wall {wall:.2f} s, CPU {cpu:.2f} s on {os.cpu_count()} cores")
        working = {n: s.seconds for n, s in self.stages.items() if n != "load"}
        if working:
            bound = max(working, key=lambda n: working[n])
            if working[bound] < self.stages.get("load", Stage()).seconds:
                lines.append("bounded by: loading the model (a short run)")
            else:
                lines.append(f"bounded by: {bound}")
        return lines
