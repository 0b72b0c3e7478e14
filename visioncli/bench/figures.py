"""What was measured, as plain values."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PIECES = 5  # that a measurement is cut into, each with a rate of its own
NOISY = 0.15  # of the median: a wider spread says that something else used the machine


@dataclass(frozen=True, slots=True)
class Spread:
    """The same thing measured several times."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest."""
        return max(self.values)

    @property
    def noisy(self) -> bool:
        """Whether the values lie further apart than a quiet machine's."""
        return self.high - self.low > NOISY * self.median


@dataclass(frozen=True, slots=True)
class Steady:
    """A combination under way: pictures a second of the whole pipeline, and of the network alone.

    `asked` is the precision as it was asked for, `precision` what that became. `stages` are milliseconds a
    picture in one thread, `cpu_ms` CPU milliseconds a picture over all threads of the process, `cpu_s` CPU
    seconds of the process from its start to its end, `peak_mb` the most memory it held until the network was
    run alone. `failed` inputs could not be read.
    """

    runtime: str
    device: str
    asked: str
    precision: str
    batch: int
    parallel: int
    pictures: int
    rate: Spread
    network: Spread
    stages: Mapping[str, float]
    cpu_ms: float
    cpu_s: float
    peak_mb: float
    failed: int

    def roofline(self, cores: int) -> float:
        """Pictures a second that the network alone, or all cores busy with nothing else, would allow."""
        return min(self.network.median, 1000 * cores / max(self.cpu_ms, 1e-9))


@dataclass(frozen=True, slots=True)
class Cold:
    """`vision TASK PICTURE` as a process: seconds, CPU seconds (median) and the peak of memory (median)."""

    runtime: str
    device: str
    asked: str
    precision: str
    seconds: Spread
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A combination that does not run, why, and the exit code that this error has."""

    runtime: str
    asked: str
    batch: int | None
    message: str
    code: int


Figures = Steady | Cold | Failed


def rates(begun: float, marks: Sequence[float], each: int) -> Spread:
    """Pictures a second in up to `PIECES` pieces of a measurement.

    `marks` are the times at which pictures were done, in order, `begun` that of the last one before them.
    Pictures come in bursts of `each`, so pieces are whole bursts. ValueError where there is not one.
    """
    bursts = len(marks) // each
    if not bursts:
        raise ValueError(f"{len(marks)} pictures are less than a burst of {each}")
    pieces = min(PIECES, bursts)
    ends = [round(i * bursts / pieces) * each for i in range(pieces + 1)]
    times = [begun, *marks]
    return Spread(
        tuple((end - start) / max(times[end] - times[start], 1e-9) for start, end in itertools.pairwise(ends))
    )
