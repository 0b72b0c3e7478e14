"""Area and fraction of masks and maps in every output."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from tests import schema
from tests.output.samples import FAILURE, NAMES, RUN, SUMMARY, empty
from tests.output.test_terminal import on_terminal, plain
from visioncli import records, rle
from visioncli.output.csv_file import CsvFile
from visioncli.output.tsv import Lines
from visioncli.results import Detections, Masks, Regions, Result

SEGMENT = replace(RUN, task="segment", options={"kind": "instance"})


def instances(frame: int | None = None) -> Result:
    """A square of 100 px and a row of 30, in 20 × 40."""
    square, row = np.ones((10, 10), bool), np.ones((1, 30), bool)
    masks = Masks.of((20, 40), [(5, 5, square), (0, 10, row)])
    boxes = np.array([[5, 5, 15, 15], [10, 0, 40, 1]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.5], np.float32), np.array([0, 1]), masks)
    return Result("a.jpg", 40, 20, found, NAMES, frame, None if frame is None else frame / 25)


def semantic(frame: int | None = None) -> Result:
    """Three quarters one class, a quarter another."""
    labels = np.full((20, 40), 2, np.uint8)
    labels[:10, :20] = 1
    return Result("b.jpg", 40, 20, Regions.of(labels), NAMES, frame, None if frame is None else frame / 25)


def test_the_record() -> None:
    line = schema.check(
        [SEGMENT.line(), records.result_line(instances()), replace(SUMMARY, errors=0).line()]
    )[1]
    first, second = line["results"]
    assert (first["area"], first["fraction"]) == (100, 0.125)
    assert (second["area"], second["fraction"]) == (30, 0.0375)
    for i, row in enumerate(line["results"]):
        assert np.array_equal(rle.decode(row["mask"]), instances().masks.full(i))
    mapped = schema.check(
        [SEGMENT.line(), records.result_line(semantic()), replace(SUMMARY, errors=0).line()]
    )[1]
    assert mapped["results"] == [
        {"label": "traffic light", "class": 2, "area": 600, "fraction": 0.75},
        {"label": "bus", "class": 1, "area": 200, "fraction": 0.25},
    ]


def test_tab_separated_lines() -> None:
    stream = io.BytesIO()
    for result in (instances(), semantic()):
        Lines(stream).result(result)
    rows = [line.split("\t") for line in stream.getvalue().decode().splitlines()]
    assert [row[3:] for row in rows] == [
        ["person", "0.9000", "5.00", "5.00", "15.00", "15.00", "", "100", "0.1250"],
        ["bus", "0.5000", "10.00", "0.00", "40.00", "1.00", "", "30", "0.0375"],
        ["traffic light", "", "", "", "", "", "", "600", "0.7500"],
        ["bus", "", "", "", "", "", "", "200", "0.2500"],
    ]


def test_csv_has_two_columns_more() -> None:
    stream = io.BytesIO()
    sink = CsvFile(stream)
    sink.start(SEGMENT)
    for result in (instances(), semantic(), empty()):
        sink.result(result)
    sink.failure(FAILURE)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue().decode())))
    assert [(r["area"], r["fraction"], r["error"]) for r in rows[:3]] == [
        ("100", "0.125", ""),
        ("30", "0.0375", ""),
        ("600", "0.75", ""),
    ]
    assert rows[-1]["error"].startswith("decode: ")
    assert None not in rows[-1]


def test_the_table_of_a_semantic_run() -> None:
    sent = on_terminal(
        """
        from dataclasses import replace
        from tests.output.test_shapes import semantic
        sinks = open_sinks(terminal)
        each("start", replace(RUN, task="segment", options={"kind": "semantic"}))
        each("result", semantic())
        for i in range(4):
            each("result", semantic(i))
        each("done", "b.jpg", 4, 0)
        each("end", SUMMARY)
        """
    )
    text = plain(sent)
    assert "75.0% traffic light · 25.0% bus" in text
    assert " ".join(text.split()).count("traffic light 4 75.0% 75.0% 0.00 s 0.12 s") == 1
    assert "object" not in text


def test_what_a_result_has() -> None:
    assert instances().masks.areas.tolist() == [100, 30]
    assert semantic().labels == ["traffic light", "bus"]
    with pytest.raises(AttributeError, match="no masks"):
        empty().masks  # noqa: B018
    with pytest.raises(AttributeError, match="scores"):
        semantic().scores  # noqa: B018


def test_supervision_gets_the_masks() -> None:
    supervision = pytest.importorskip("supervision")
    theirs = instances().to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert theirs.mask.shape == (2, 20, 40)
    assert theirs.mask.sum((1, 2)).tolist() == [100, 30]


def test_masks_are_cut_down_to_their_objects() -> None:
    whole = np.zeros((20, 40), bool)
    whole[3:7, 8:9] = True
    masks = Masks.of((20, 40), [(0, 0, whole), (2, 5, np.zeros((3, 3), bool))])
    assert masks.corners.tolist()[0] == [3, 8]
    assert [crop.shape for crop in masks.crops] == [(4, 1), (0, 0)]
    assert np.array_equal(masks.full(0), whole)
    assert not masks.full(1).any()
    assert masks[masks.areas > 0].areas.tolist() == [4]


def test_regions_leave_out_what_is_no_class() -> None:
    labels = np.array([[255, 3], [3, 255], [0, 255]], np.uint8)
    found = Regions.of(labels)
    assert (found.classes.tolist(), found.areas.tolist()) == ([3, 0], [2, 1])
    wide = Regions.of(np.full((600, 3), 300, np.uint16))
    assert (wide.classes.tolist(), wide.areas.tolist()) == ([300], [1800])
