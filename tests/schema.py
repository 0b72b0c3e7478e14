"""`check(record)`: every line of a record against its JSON Schema, and the rules about their order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parent.parent / "docs" / "record.schema.json"


@cache
def validator() -> Draft202012Validator:
    """The validator of one line."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check(
    record: str | Path | bytes | Iterable[dict[str, Any]], *, ended: bool = True
) -> list[dict[str, Any]]:
    """Assert that `record` (a path, its bytes, or its lines) is one; return its lines.

    With `ended=False` the end may be missing and a video open, as a kill leaves it.
    """
    lines = _lines(record)
    assert lines, "an empty record"
    for number, line in enumerate(lines, 1):
        problem = next(iter(validator().iter_errors(line)), None)
        assert problem is None, f"line {number}: {problem.message} at {problem.json_path}: {line}"
    types = [line["type"] for line in lines]
    assert types[0] == "run", f"the first line is {types[0]}"
    assert types.count("run") == 1, "several run lines"
    assert types.count("end") == types[-1:].count("end"), "an end line before the end"
    if ended:
        assert types[-1] == "end", "no end line"
    _check_classes(lines)
    _check_videos(lines, ended=ended)
    if types[-1] == "end":
        errors = types.count("error")
        assert lines[-1]["errors"] == errors, (
            f"the end line says {lines[-1]['errors']} errors, there are {errors}"
        )
    return lines


def _lines(record: str | Path | bytes | Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(record, str | Path):
        record = Path(record).read_bytes()
    if not isinstance(record, bytes):
        return list(record)
    assert record.endswith(b"\n"), "the last line is cut"
    return [json.loads(line) for line in record.decode("utf-8").split("\n")[:-1]]


def _check_classes(lines: list[dict[str, Any]]) -> None:
    names = lines[0]["model"]["names"]
    for line in lines:
        for one in line.get("results", ()):
            assert names[one["class"]] == one["label"], f"class {one['class']} is not {one['label']}: {line}"
        scores = [one["score"] for one in line.get("results", ()) if "score" in one]
        if "id" not in next(iter(line.get("results", ())), {}):
            assert scores == sorted(scores, reverse=True), f"not best first: {line}"


def _check_videos(lines: list[dict[str, Any]], *, ended: bool) -> None:
    """Frames of a source rise, and its `done` comes after them (a source may be named twice)."""
    latest: dict[str, int] = {}
    counts: dict[str, int] = {}
    for line in lines:
        source = line.get("source", "")
        if line["type"] == "result" and "frame" in line:
            assert line["frame"] > latest.get(source, -1), f"{source}: frame {line['frame']} out of order"
            latest[source] = line["frame"]
            counts[source] = counts.get(source, 0) + 1
        if line["type"] == "done":
            results = counts.pop(source, 0)
            assert line["frames"] >= results, f"{source}: {line['frames']} frames, but {results} results"
            latest.pop(source, None)
    if ended and not lines[-1].get("interrupted"):
        assert not latest, f"no done line for {sorted(latest)}"
