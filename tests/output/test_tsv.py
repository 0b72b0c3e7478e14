from __future__ import annotations

import io
import os
import re

from hypothesis import given, settings

from tests.output.samples import classification, detection, empty, results, sources
from visioncli.output import tsv
from visioncli.results import Result


def written(*some: Result) -> list[list[str]]:
    stream = io.BytesIO()
    sink = tsv.Lines(stream)
    for one in some:
        sink.result(one)
    text = os.fsdecode(stream.getvalue())
    assert text == "" or text.endswith("\n")
    return [line.split("\t") for line in text.split("\n")[:-1]]


def unescape(field: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}[m[1]], field)


def test_the_columns_of_a_picture_a_frame_and_a_label() -> None:
    assert written(detection())[0] == [
        "bus.jpg", "", "", "person", "0.9877", "1.23", "2.00", "30.50", "40.00", "",
    ]  # fmt: skip
    assert written(detection("a.mp4", 12, 0.48))[1][:5] == ["a.mp4", "12", "0.4800", "bus", "0.5000"]
    assert written(classification())[0] == ["cat.jpg", "", "", "traffic light", "0.7000", "", "", "", "", ""]


def test_nothing_found_is_no_line() -> None:
    assert written(empty()) == []


@settings(max_examples=150, deadline=None)
@given(results())
def test_every_line_has_ten_fields_that_come_back(result: Result) -> None:
    rows = written(result)
    assert len(rows) == len(result)
    for row, wanted in zip(rows, result.objects(), strict=True):
        assert len(row) == 10
        assert unescape(row[0]) == result.source
        assert unescape(row[3]) == wanted["label"]
        assert float(row[4]) == wanted["score"]
        assert [float(v) for v in row[5:9] if v] == wanted.get("box", [])


@given(sources)
def test_a_name_comes_out_byte_for_byte(source: str) -> None:
    raw = tsv.line([source, "end"])
    assert raw.count(b"\n") == 1 and raw.count(b"\t") == 1
    assert os.fsencode(unescape(os.fsdecode(raw.split(b"\t")[0]))) == os.fsencode(source)


def test_a_lone_surrogate_does_not_stop_the_run() -> None:
    assert tsv.line(["a\ud800b"]) == b"a?b\n"
