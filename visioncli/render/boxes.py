"""Boxes with label tags, drawn in place on the touched pixels only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from visioncli.render.canvas import Canvas
from visioncli.render.style import Colour, Style, object_colours
from visioncli.render.tags import Rect, Tag, object_tag, overlap
from visioncli.results import Detections


def draw_boxes(canvas: Canvas, detections: Detections, names: Sequence[str], style: Style) -> None:
    """Draw every object, the best on top."""
    height, width = canvas.height, canvas.width
    line = style.line_width(width, height)
    rects = [_outline(box, width, height) for box in detections.boxes.tolist()]
    colours = object_colours(detections)
    for rect, colour in zip(reversed(rects), reversed(colours), strict=True):
        _draw_rectangle(canvas, rect, line, colour)
    if not style.labels:
        return
    size = style.font_size(width, height)
    placed: list[Rect] = []
    blits: list[tuple[Tag, int, int]] = []
    for i, (rect, colour) in enumerate(zip(rects, colours, strict=True)):
        tag = object_tag(detections, i, names, colour, size, width, style.scores)
        if tag is None or tag.pixels.shape[0] > height:
            continue
        tag_height, tag_width = tag.pixels.shape[:2]
        spot = _place(rect, tag_width, tag_height, width, height, line, placed)
        placed.append(spot)
        blits.append((tag, spot[0], spot[1]))
    for tag, x, y in reversed(blits):
        canvas.put(tag, x, y)


def _outline(box: Sequence[float], width: int, height: int) -> Rect:
    """The box in whole pixels inside the frame, at least one pixel in each direction."""
    x1, y1, x2, y2 = box
    left = min(max(round(x1), 0), width - 1)
    top = min(max(round(y1), 0), height - 1)
    return left, top, max(min(round(x2), width), left + 1), max(min(round(y2), height), top + 1)


def _draw_rectangle(canvas: Canvas, rect: Rect, line: int, colour: Colour) -> None:
    """The line, centred on the box's edge; thin dark edges on both sides set it off light grounds."""
    x1, y1, x2, y2 = rect
    outer = line // 2
    inner = line - outer
    if line > 1:
        halo = max(1, line // 4)
        _frame(
            canvas, (x1 - outer - halo, y1 - outer - halo, x2 + outer + halo, y2 + outer + halo), halo, None
        )
        _frame(canvas, (x1 + inner, y1 + inner, x2 - inner, y2 - inner), halo, None)
    _frame(canvas, (x1 - outer, y1 - outer, x2 + outer, y2 + outer), line, colour)


def _frame(canvas: Canvas, rect: Rect, thickness: int, colour: Colour | None) -> None:
    """A rectangle's border, `thickness` px inwards from `rect`, in `colour` or (None) darkened."""
    height, width = canvas.height, canvas.width
    x1, y1, x2, y2 = rect
    if x2 <= x1 or y2 <= y1:
        return
    # Where the border is thicker than the rectangle, its strips must not leave it.
    across, down = min(thickness, x2 - x1), min(thickness, y2 - y1)
    strips = (
        (x1, y1, x2, y1 + down),
        (x1, max(y2 - down, y1 + down), x2, y2),
        (x1, y1 + down, x1 + across, y2 - down),
        (max(x2 - across, x1 + across), y1 + down, x2, y2 - down),
    )
    for left, top, right, bottom in strips:
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if left >= right or top >= bottom:
            continue
        if colour is None:
            canvas.darken((left, top, right, bottom))
        else:
            canvas.fill((left, top, right, bottom), colour)


def _place(
    rect: Rect, tag_width: int, tag_height: int, width: int, height: int, line: int, placed: Sequence[Rect]
) -> Rect:
    """Where a tag goes: the first spot at its box that covers no other, else the one that covers least."""
    best: Rect | None = None
    least = -1
    for x, y in _spots(rect, tag_width, tag_height, height, line):
        x = min(max(x, 0), width - tag_width)
        y = min(max(y, 0), height - tag_height)
        spot = (x, y, x + tag_width, y + tag_height)
        covered = sum(overlap(spot, other) for other in placed)
        if covered == 0:
            return spot
        if best is None or covered < least:
            best, least = spot, covered
    assert best is not None  # _spots gives at least one
    return best


def _spots(rect: Rect, tag_width: int, tag_height: int, height: int, line: int) -> Iterator[tuple[int, int]]:
    """The spots for a tag by preference: on the box, in its top corner, at its right end, below it."""
    x1, y1, x2, y2 = rect
    left, right = x1 - line // 2, x2 + line // 2 - tag_width
    above, inside, below = y1 - line // 2 - tag_height, y1 - line // 2, y2 + line // 2
    if above >= 0:
        yield left, above
    yield left, inside
    if above >= 0:
        yield right, above
    yield right, inside
    if below + tag_height <= height:
        yield left, below
        yield right, below
    yield left, y2 + line // 2 - tag_height
