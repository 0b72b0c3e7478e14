from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.output.samples import FAILURE, RUN, SUMMARY, classification, detection, empty, results, sources
from tests.schema import check, validator
from visioncli import records
from visioncli.errors import InputError, OutputError, UsageError
from visioncli.media.frame import Failure


def whole(*, interrupted: bool = False) -> list[records.Line]:
    return [
        RUN.line(),
        records.result_line(detection()),
        records.result_line(empty()),
        records.result_line(detection("a.mp4", 0, 0.0)),
        records.result_line(classification("a.mp4", 3, 0.12)),
        records.error_line(FAILURE),
        records.done_line("a.mp4", 460, 1),
        records.Summary(4, 1, 1.23456, interrupted).line(),
    ]


def write(path: Path, lines: list[records.Line]) -> bytes:
    with records.RecordWriter(path) as writer:
        for line in lines:
            writer.write(line)
    return path.read_bytes()


def test_a_whole_record_keeps_its_schema(tmp_path: Path) -> None:
    write(tmp_path / "r.jsonl", whole(interrupted=True))
    lines = check(tmp_path / "r.jsonl")
    assert lines == list(records.read(tmp_path / "r.jsonl"))
    assert lines[-1] == {"type": "end", "inputs": 4, "errors": 1, "seconds": 1.2346, "interrupted": True}


def test_the_line_of_a_picture_and_of_a_frame() -> None:
    line = records.result_line(detection())
    assert list(line) == ["type", "source", "width", "height", "results"]
    assert line["results"][0] == {
        "label": "person", "class": 0, "score": 0.9877, "box": [1.23, 2.0, 30.5, 40.0],
    }  # fmt: skip
    assert records.result_line(detection("v", 12, 0.480012))["time"] == 0.48
    assert "box" not in records.result_line(classification())["results"][0]


@settings(max_examples=150, deadline=None)
@given(results())
def test_a_result_comes_back_as_it_was_written(result: records.Result) -> None:
    line = records.result_line(result)
    raw = records.dumps(line)
    assert raw.count(b"\n") == 1
    (back,) = records.read(io.BytesIO(raw))
    assert validator().is_valid(back)
    assert back.pop("source") == records.valid(line.pop("source"))
    assert back == line


@settings(max_examples=150, deadline=None)
@given(sources, st.text(min_size=1), st.none() | st.integers(0, 10**6))
def test_an_error_comes_back_as_it_was_written(source: str, message: str, frame: int | None) -> None:
    raw = records.dumps(records.error_line(Failure(source, "decode", message, frame)))
    (back,) = records.read(io.BytesIO(raw))
    assert validator().is_valid(back)
    assert back["source"].encode("utf-8") and back["frame"] == frame
    assert len(back["source"]) == len(source)


def test_undecodable_bytes_of_a_file_name_become_replacement_characters() -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    assert json.loads(records.dumps(records.result_line(detection(name))))["source"] == "caf\ufffd.jpg"


def test_options_may_hold_paths_and_sets() -> None:
    line = records.dumps({"out": Path("a/b"), "classes": frozenset({"person", "car"}), "odd": "\udcff"})
    assert json.loads(line) == {"out": "a/b", "classes": ["car", "person"], "odd": "\ufffd"}
    with pytest.raises(TypeError):
        records.dumps({"what": object()})


def test_a_record_cut_at_any_byte_is_read_up_to_there(tmp_path: Path) -> None:
    raw = write(tmp_path / "r.jsonl", whole())
    lines = whole()
    for end in range(len(raw) + 1):
        read = list(records.read(io.BytesIO(raw[:end])))
        assert read == lines[: len(read)]
        assert len(read) - raw[:end].count(b"\n") in (0, 1)


@pytest.mark.parametrize(
    "damage", [b"{]\n", b"\n", b"[1]\n", b'{"no": "type"}\n', b'{"type": "resu\n', b"\xff\n"]
)
def test_other_damage_is_refused_with_its_line(tmp_path: Path, damage: bytes) -> None:
    raw = write(tmp_path / "r.jsonl", whole()).splitlines(keepends=True)
    raw.insert(3, damage)
    (tmp_path / "r.jsonl").write_bytes(b"".join(raw))
    with pytest.raises(InputError, match=r"r\.jsonl:4: not a line of a record"):
        list(records.read(tmp_path / "r.jsonl"))


def test_a_newer_schema_and_what_is_no_record_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="schema 2"):
        list(records.read(io.BytesIO(records.dumps(RUN.line() | {"schema": 2}))))
    with pytest.raises(InputError, match="no such file"):
        list(records.read(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="a folder"):
        list(records.read(tmp_path))


def test_an_existing_file_wants_force_and_is_kept_until_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("precious")
    with pytest.raises(UsageError, match=r"exists already.*--force"):
        records.RecordWriter(path)
    writer = records.RecordWriter(path, force=True)
    assert path.read_text() == "precious"
    writer.write(SUMMARY.line())
    assert path.read_bytes() == records.dumps(SUMMARY.line())
    writer.close()


def test_nothing_is_made_before_the_first_line(tmp_path: Path) -> None:
    records.RecordWriter(tmp_path / "r.jsonl").close()
    assert not list(tmp_path.iterdir())


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    writer = records.RecordWriter(tmp_path / "r.jsonl")
    (tmp_path / "r.jsonl").write_text("someone else's")
    with pytest.raises(OutputError, match="appeared"):
        writer.write(SUMMARY.line())
    assert (tmp_path / "r.jsonl").read_text() == "someone else's"


@pytest.mark.parametrize("name", ["missing/r.jsonl", "."])
def test_a_missing_folder_and_a_folder_are_output_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError) as error:
        records.RecordWriter(tmp_path / name)
    assert error.value.exit_code == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_output_error_and_devices_want_no_force() -> None:
    with pytest.raises(OutputError, match=r"/dev/full: .*No space left"):
        records.RecordWriter("/dev/full").write(SUMMARY.line())
    records.RecordWriter("/dev/null").write(SUMMARY.line())


def test_a_write_that_the_disk_cuts_short_is_taken_back(tmp_path: Path) -> None:
    code = """
        import resource, signal, sys
        from visioncli import records
        from visioncli.errors import OutputError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        writer = records.RecordWriter(sys.argv[1])
        try:
            while True:
                writer.write({"type": "note", "filler": "x" * 90})
        except OutputError as error:
            sys.exit(error.exit_code)
    """
    path = tmp_path / "r.jsonl"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), path], timeout=60)
    assert done.returncode == 4
    raw = path.read_bytes()
    assert raw.endswith(b"\n") and 880 < len(raw) <= 1000
    assert len(list(records.read(path))) == raw.count(b"\n")


def test_a_closed_pipe_is_a_broken_pipe() -> None:
    reader, out = os.pipe()
    os.close(reader)
    with os.fdopen(out, "wb", buffering=0) as stream, pytest.raises(BrokenPipeError):
        records.RecordWriter(stream).write(SUMMARY.line())


def test_a_kill_leaves_a_record_that_can_be_read(tmp_path: Path) -> None:
    code = """
        import sys, time
        from visioncli import records
        writer = records.RecordWriter(sys.argv[1])
        for number in range(20_000):
            writer.write({"type": "result", "number": number, "filler": "x" * (number % 5000)})
            time.sleep(0.0005)
    """
    path = tmp_path / "r.jsonl"
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), path])
    try:
        deadline = time.monotonic() + 30
        while not (path.exists() and path.stat().st_size > 50_000) and time.monotonic() < deadline:
            time.sleep(0.01)
        growing = len(list(records.read(path)))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    numbers = [line["number"] for line in records.read(path)]
    assert len(numbers) >= growing > 100 and numbers == list(range(len(numbers)))


def test_a_thousand_lines_a_second_cost_next_to_nothing(tmp_path: Path) -> None:
    line = records.result_line(detection("some/folder/with/a/picture.jpg"))
    began = time.process_time()
    with records.RecordWriter(tmp_path / "r.jsonl") as writer:
        for _ in range(1000):
            writer.write(line)
    assert time.process_time() - began < 0.2  # 0.01 s where nothing else runs


def test_what_check_finds() -> None:
    good = whole()
    check(good)
    check(good[:-2], ended=False)
    for bad in (
        good[1:],  # no run
        good[:-1],  # no end
        good[:-2] + good[-1:],  # no done
        [*good, good[-1]],  # two ends
        [*good[:3], good[4], good[3], *good[5:]],  # frames out of order
        [*good[:-1], good[-1] | {"errors": 0}],
        [*good[:1], good[1] | {"frame": 3}, *good[2:]],  # a frame without its time
        [*good[:1], good[1] | {"results": [{"label": "bus", "class": 0, "score": 0.5}]}, *good[2:]],
    ):
        with pytest.raises(AssertionError):
            check(bad)


def test_the_example_of_the_design_is_a_record() -> None:
    names = ["person"]
    mask = {"size": [1080, 1920], "counts": "abc"}
    person = {
        "label": "person",
        "class": 0,
        "score": 0.91,
        "box": [1, 2, 3, 4],
        "id": 3,
        "mask": mask,
        "area": 9,
    }
    region = {"label": "person", "class": 0, "area": 12, "fraction": 0.5}
    run = RUN.line()
    run["model"]["names"] = names
    check([
        run,
        {"type": "result", "source": "a.mp4", "frame": 12, "time": 0.48, "width": 1920, "height": 1080,
         "results": [person]},
        {"type": "result", "source": "b.png", "width": 5, "height": 5, "mask_file": "masks/b.png",
         "results": [region]},
        {"type": "done", "source": "a.mp4", "frames": 460, "skipped_packets": 0},
        {"type": "end", "inputs": 2, "errors": 0, "seconds": 1.0},
    ])  # fmt: skip
