"""`open_sinks`: which outputs there are, and what is refused before any work."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.output.samples import FAILURE, RUN, SUMMARY, detection, empty
from tests.schema import check
from visioncli.errors import OutputError, UsageError
from visioncli.output import Sink, open_sinks
from visioncli.output.jsonl import JsonLines
from visioncli.output.terminal import Terminal


def kinds(**options: object) -> list[str]:
    return [type(sink).__name__ for sink in open_sinks(Terminal(), **options)]  # type: ignore[arg-type]


@pytest.mark.usefixtures("capfd")  # stdout is no terminal
def test_which_sinks_there_are(tmp_path: Path) -> None:
    record, table = str(tmp_path / "r.jsonl"), str(tmp_path / "r.csv")
    assert kinds() == ["Lines"]
    assert kinds(jsonl=record) == ["JsonLines", "Lines"]
    assert kinds(jsonl=record, csv=table, json=True) == ["JsonLines", "CsvFile", "JsonArray"]
    assert kinds(jsonl="-") == ["JsonLines"]
    assert kinds(csv="-", jsonl=record) == ["JsonLines", "CsvFile"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options", [{"json": True, "jsonl": "-"}, {"jsonl": "-", "csv": "-"}, {"jsonl": "a", "csv": "a"}]
)
def test_two_outputs_do_not_share_a_place(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="cannot share"):
        kinds(**options)


@pytest.mark.usefixtures("capfd")
def test_existing_files_and_missing_folders_are_refused(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("old")
    for name in ("jsonl", "csv"):
        with pytest.raises(UsageError, match="exists already"):
            kinds(**{name: str(old)})
        with pytest.raises(OutputError, match="there is no folder"):
            kinds(**{name: str(tmp_path / "none" / "r")})
        assert kinds(**{name: str(old)}, force=True)
    assert old.read_text() == "old"


def test_the_base_sink_takes_everything_and_does_nothing() -> None:
    sink = Sink()
    sink.start(RUN)
    sink.result(detection())
    sink.failure(FAILURE)
    sink.done("a.mp4", 1, 0)
    sink.end(SUMMARY)
    sink.close()
    assert not sink.pictures_only


def test_the_record_as_a_sink_is_a_record() -> None:
    stream = io.BytesIO()
    sink = JsonLines(stream)
    sink.start(RUN)
    for one in (detection(), empty(), detection("a.mp4", 0, 0.0), empty("a.mp4", 1, 0.04)):
        sink.result(one)
    sink.failure(FAILURE)
    sink.done("a.mp4", 2, 0)
    sink.end(SUMMARY)
    sink.close()
    types = [line["type"] for line in check(stream.getvalue())]
    assert types == ["run", "result", "result", "result", "result", "error", "done", "end"]


ROOT = Path(__file__).parent.parent.parent
PIPE = """
    import sys
    from tests.output.samples import *
    from visioncli.output import open_sinks
    from visioncli.output.terminal import Terminal
    terminal = Terminal()
    sinks = [*open_sinks(terminal), terminal.progress("detect")]
    for sink in sinks: sink.start(RUN)
    try:
        for number in range(20_000):
            for sink in sinks: sink.result(detection())
    except BrokenPipeError:
        sys.exit(7)
    finally:
        loaded = [name for name in ("rich", "torch", "cv2", "av") if name in sys.modules]
        print(loaded, file=sys.stderr)
"""


def test_a_reader_that_leaves_is_a_broken_pipe_and_nothing_else() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PIPE)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith(b"bus.jpg\t")
    process.stdout.close()
    # Nothing is left in a buffer that the interpreter would complain about at its end; rich was not needed.
    assert process.stderr.read() == b"[]\n"
    process.stderr.close()
    assert process.wait(60) == 7
