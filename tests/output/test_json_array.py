from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.output.samples import FAILURE, RUN, SUMMARY, detection, results
from tests.schema import validator
from visioncli import records
from visioncli.errors import UsageError
from visioncli.output.json_array import JsonArray
from visioncli.results import Result


@settings(max_examples=60, deadline=None)
@given(st.lists(results(frames=False), max_size=3), st.booleans())
def test_one_array_of_the_records_objects(some: list[Result], failed: bool) -> None:
    stream = io.BytesIO()
    sink = JsonArray(stream)
    sink.start(RUN)
    for one in some:
        sink.result(one)
    if failed:
        sink.failure(FAILURE)
    sink.end(SUMMARY)
    array = json.loads(stream.getvalue().decode("utf-8"))
    wanted = [records.result_line(one) for one in some] + [records.error_line(FAILURE)] * failed
    assert array == [json.loads(records.dumps(line)) for line in wanted]
    assert all(validator().is_valid(one) for one in array)


def test_nothing_before_the_first_object() -> None:
    stream = io.BytesIO()
    sink = JsonArray(stream)
    sink.start(RUN)
    assert stream.getvalue() == b""
    sink.end(SUMMARY)
    assert stream.getvalue() == b"[]\n"


def test_a_frame_is_refused() -> None:
    assert JsonArray.pictures_only
    with pytest.raises(UsageError, match=r"a\.mp4: --json takes pictures only.*--jsonl"):
        JsonArray(io.BytesIO()).result(detection("a.mp4", 0, 0.0))
