"""Lines and zones: what `--line` and `--zone` say, and where points lie beside them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visioncli.errors import UsageError

Point = tuple[float, float]

FARTHEST = 1e6  # px: a coordinate beyond it is a slip


@dataclass(frozen=True, slots=True)
class Line:
    """From `start` to `end`, in px or, where no coordinate is above 1, in shares of width and height."""

    name: str
    start: Point
    end: Point

    def on(self, width: int, height: int) -> Line:
        """The line in px of a picture."""
        start, end = _in_pixels((self.start, self.end), width, height)
        return Line(self.name, start, end)

    def side(self, point: Point) -> float:
        """How far (px) a point lies to the right of the line, which goes on beyond its ends."""
        (x1, y1), (x2, y2) = self.start, self.end
        return ((x2 - x1) * (point[1] - y1) - (y2 - y1) * (point[0] - x1)) / math.dist(self.start, self.end)

    def passed_between(self, before: Point, after: Point) -> bool:
        """Whether a step from one side of it to the other goes through it rather than round an end."""
        a, b = self.side(before), self.side(after)
        share = a / (a - b)
        x, y = (p + share * (q - p) for p, q in zip(before, after, strict=True))
        (x1, y1), (x2, y2) = self.start, self.end
        along = (x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)
        return 0 <= along <= (x2 - x1) ** 2 + (y2 - y1) ** 2


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon, its corners in px or, where no coordinate is above 1, in shares of width and height."""

    name: str
    points: tuple[Point, ...]

    def on(self, width: int, height: int) -> Zone:
        """The zone in px of a picture."""
        return Zone(self.name, _in_pixels(self.points, width, height))

    def depth(self, point: Point) -> float:
        """How far (px) a point is inside, negative outside. What lies twice inside is outside (even-odd)."""
        inside, nearest = False, math.inf
        x, y = point
        for (x1, y1), (x2, y2) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                inside = not inside
            dx, dy = x2 - x1, y2 - y1
            share = min(max(((x - x1) * dx + (y - y1) * dy) / ((dx * dx + dy * dy) or 1), 0), 1)
            nearest = min(nearest, math.hypot(x - x1 - share * dx, y - y1 - share * dy))
        return nearest if inside else -nearest


def parse_line(text: str, number: int = 1) -> Line:
    """`x1,y1,x2,y2` or `x1,y1,x2,y2,name` as a line; without a name it is `line NUMBER`.

    Raises: UsageError.
    """
    *head, name = [*text.split(",", 4), ""][:5] if text.count(",") >= 4 else [*text.split(","), ""]
    numbers = [_number(part) for part in head]
    wanted = "x1,y1,x2,y2 or x1,y1,x2,y2,name: pixels, or shares of width and height (0 to 1)"
    if len(numbers) != 4 or None in numbers:
        raise UsageError(f"--line {text}: not a line", hint=wanted)
    x1, y1, x2, y2 = (n for n in numbers if n is not None)
    if (x1, y1) == (x2, y2):
        raise UsageError(f"--line {text}: both ends are the same point", hint=wanted)
    return Line(name.strip() or f"line {number}", (x1, y1), (x2, y2))


def read_zones(path: Path) -> list[Zone]:
    """The zones of a JSON file: `{"door": [[x, y], …], …}`, or a list of polygons without names.

    Raises: UsageError for what is no such file.
    """
    wanted = '{"name": [[x, y], [x, y], [x, y], …], …}'
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"--zone {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"--zone {path}: not JSON: {error}", hint=wanted) from error
    if isinstance(content, list):
        content = {f"zone {i}": points for i, points in enumerate(content, 1)}
    if not isinstance(content, dict) or not content:
        raise UsageError(f"--zone {path}: no zones in it", hint=wanted)
    return [
        Zone(name, _polygon(points, f"--zone {path}: {name}", wanted)) for name, points in content.items()
    ]


def check_names(lines: Sequence[Line], zones: Sequence[Zone]) -> None:
    """UsageError where two lines or zones have one name: nobody could tell their counts apart."""
    names = Counter([*(line.name for line in lines), *(zone.name for zone in zones)])
    twice = next((name for name, times in names.items() if times > 1), None)
    if twice is not None:
        raise UsageError(f"two lines or zones are called {twice!r}", hint="give each a name of its own")


def outside(shape: Line | Zone, width: int, height: int) -> bool:
    """Whether none of it lies in a picture of that size: pixels of another video, perhaps."""
    placed = shape.on(width, height)
    points = (placed.start, placed.end) if isinstance(placed, Line) else placed.points
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return max(xs) < 0 or max(ys) < 0 or min(xs) > width or min(ys) > height


def _polygon(points: object, where: str, wanted: str) -> tuple[Point, ...]:
    if not isinstance(points, list) or not all(isinstance(p, list) and len(p) == 2 for p in points):
        raise UsageError(f"{where}: not a list of points", hint=wanted)
    corners = tuple((x, y) for x, y in points)
    if not all(_is_number(v) for corner in corners for v in corner):
        raise UsageError(f"{where}: a point is two numbers", hint=wanted)
    if len(set(corners)) < 3:
        raise UsageError(f"{where}: a polygon has three corners or more", hint=wanted)
    return tuple((float(x), float(y)) for x, y in corners)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FARTHEST


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= FARTHEST else None


def _in_pixels(points: Sequence[Point], width: int, height: int) -> tuple[Point, ...]:
    if all(0 <= v <= 1 for point in points for v in point):
        return tuple((x * width, y * height) for x, y in points)
    return tuple(points)
