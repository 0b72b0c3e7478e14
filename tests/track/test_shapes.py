"""Lines and zones as users write them, and where points lie beside them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from visioncli.errors import UsageError
from visioncli.track.shapes import Line, Zone, check_names, outside, parse_line, read_zones

GATE = Line("gate", (0, 0.5), (1, 0.5))
DOOR = Zone("door", ((0, 0), (1, 0), (1, 1)))


def test_depth_against_opencv() -> None:
    import cv2

    corners = [(10, 10), (200, 30), (120, 90), (220, 200), (40, 180)]
    zone = Zone("a", tuple((float(x), float(y)) for x, y in corners))
    outline = np.array(corners, np.float32)
    for x, y in itertools.product(range(0, 240, 7), range(0, 220, 7)):
        expected = cv2.pointPolygonTest(outline, (float(x), float(y)), True)
        assert zone.depth((x, y)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0,0.5,1,0.5", Line("line 3", (0, 0.5), (1, 0.5))),
        ("10, 20, 300.5, 40", Line("line 3", (10, 20), (300.5, 40))),
        ("0,0,1,1,gate", Line("gate", (0, 0), (1, 1))),
        ("0,0,1,1,north, upper gate", Line("north, upper gate", (0, 0), (1, 1))),
        ("0,0,1,1,", Line("line 3", (0, 0), (1, 1))),
    ],
)
def test_lines_as_they_are_written(text: str, line: Line) -> None:
    assert parse_line(text, 3) == line


def test_shares_and_pixels() -> None:
    assert parse_line("0,0.5,1,0.5").on(640, 360) == Line("line 1", (0, 180), (640, 180))
    assert parse_line("0,0.5,2,0.5").on(640, 360) == Line("line 1", (0, 0.5), (2, 0.5))
    assert outside(parse_line("700,0,800,300"), 640, 360)
    assert not outside(parse_line("600,0,800,300"), 640, 360)


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "1,2,3,nan", "1,2,3,inf,a", "5,5,5,5", "1;2;3;4"])
def test_no_line(text: str) -> None:
    with pytest.raises(UsageError, match="--line"):
        parse_line(text)


def test_zones_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "zones.json"
    file.write_text(json.dumps({"door": [[0, 0], [0.5, 0], [0.5, 1]]}))
    (door,) = read_zones(file)
    assert door == Zone("door", ((0, 0), (0.5, 0), (0.5, 1)))
    assert door.on(640, 360).points == ((0, 0), (320, 0), (320, 360))
    file.write_text(json.dumps([[[0, 0], [9, 0], [9, 9]], [[0, 0], [5, 0], [5, 5]]]))
    assert [zone.name for zone in read_zones(file)] == ["zone 1", "zone 2"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "{}", "[]", "3", '{"a": 3}', '{"a": [[0, 0], [1, 1]]}', '{"a": [[0, 0], [1, 1], [0, 0]]}',
     '{"a": [[0, 0], [1, 1], [1, "x"]]}', '{"a": [[0, 0], [1, 1], [1, 2, 3]]}',
     '{"a": [[0, 0], [1, 1], [1, NaN]]}'],
)  # fmt: skip
def test_no_zones(tmp_path: Path, content: str) -> None:
    file = tmp_path / "zones.json"
    file.write_text(content)
    with pytest.raises(UsageError, match="--zone"):
        read_zones(file)
    with pytest.raises(UsageError, match="No such file"):
        read_zones(tmp_path / "none.json")


def test_names_are_told_apart() -> None:
    check_names([GATE], [DOOR])
    with pytest.raises(UsageError, match="two lines or zones are called 'gate'"):
        check_names([GATE], [Zone("gate", DOOR.points)])
