from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.output.samples import FAILURE, RUN, SUMMARY, classification, detection, empty, results
from visioncli.errors import OutputError, UsageError
from visioncli.output.csv_file import COLUMNS, CsvFile
from visioncli.records import valid
from visioncli.results import Result


def test_rows_in_a_file_under_its_name_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    sink = CsvFile(path)
    assert not list(tmp_path.iterdir())
    sink.start(RUN)
    for one in (detection(), empty(), detection("a.mp4", 3, 0.12), classification()):
        sink.result(one)
    sink.failure(FAILURE)
    assert not path.exists()
    sink.end(SUMMARY)
    sink.close()
    assert list(tmp_path.iterdir()) == [path]
    raw = path.read_bytes()
    assert raw.splitlines()[0].decode() == ",".join(COLUMNS)
    assert raw.count(b"\r\n") == raw.count(b"\n") == 1 + 3 + 3 + 3 + 1
    rows = list(csv.DictReader(io.StringIO(raw.decode(), newline="")))
    assert rows[0] == {
        "source": "bus.jpg", "frame": "", "time": "", "width": "640", "height": "480", "label": "person",
        "class": "0", "score": "0.9877", "x1": "1.23", "y1": "2.0", "x2": "30.5", "y2": "40.0", "id": "",
        "error": "",
    }  # fmt: skip
    assert (rows[3]["frame"], rows[3]["time"]) == ("3", "0.12")
    assert rows[6]["x1"] == "" and rows[6]["label"] == "traffic light"
    assert rows[-1]["error"] == "decode: broken.jpg: cannot be decoded: truncated"


def test_a_run_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    sink = CsvFile(tmp_path / "r.csv")
    sink.start(RUN)
    sink.result(detection())
    sink.close()
    sink.close()
    assert not list(tmp_path.iterdir())


def test_an_existing_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old")
    with pytest.raises(UsageError, match="--force"):
        CsvFile(path)
    sink = CsvFile(path, force=True)
    sink.start(RUN)
    assert path.read_text() == "old"
    sink.end(SUMMARY)
    assert path.read_text().startswith("source,")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_is_written_to_as_it_is() -> None:
    with pytest.raises(OutputError, match="/dev/full"):
        CsvFile("/dev/full").start(RUN)


@settings(max_examples=150, deadline=None)
@given(results())
def test_fields_come_back_whatever_they_hold(result: Result) -> None:
    stream = io.BytesIO()
    CsvFile(stream).result(result)
    rows = list(csv.reader(io.StringIO(stream.getvalue().decode("utf-8"), newline="")))
    assert len(rows) == len(result)
    for row, wanted in zip(rows, result.objects(), strict=True):
        fields = dict(zip(COLUMNS, row, strict=True))
        assert fields["source"] == valid(result.source) and fields["label"] == wanted["label"]
        assert float(fields["score"]) == wanted["score"] and int(fields["class"]) == wanted["class"]
        assert [float(fields[c]) for c in ("x1", "y1", "x2", "y2") if fields[c]] == wanted.get("box", [])
        assert fields["frame"] == ("" if result.frame is None else str(result.frame))
