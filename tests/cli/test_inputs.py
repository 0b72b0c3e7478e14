"""Everything that may be named as an input, through the command itself."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SAMPLES, Command
from tests.schema import check

BARE = ("--no-media", "--imgsz", "64", "--jsonl", "-")
# Names that have broken other tools: spaces, quotes, a newline, a tab, non-ASCII, a bidi mark, a glob.
NAMES = [
    "two words.jpg",
    'it\'s "quoted".jpg',
    "new\nline.jpg",
    "tab\tstop.jpg",
    "Straße ラベル 😀.jpg",
    "[1]*?.jpg",
    "-dash.jpg",
    " .jpg",
]


def sources(output: bytes) -> list[str]:
    """The sources of a record's results, in order; the record is checked on the way."""
    return [line["source"] for line in check(output) if line["type"] == "result"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`in/`: two pictures, a note, and a sub-folder with one more."""
    place = tmp_path / "in"
    (place / "sub").mkdir(parents=True)
    shutil.copy(SAMPLES / "dog.jpg", place / "dog10.jpg")
    shutil.copy(SAMPLES / "cat.jpg", place / "cat9.jpg")
    shutil.copy(SAMPLES / "bus.jpg", place / "sub" / "bus.jpg")
    (place / "note.txt").write_text("not a picture\n")
    return place


def test_names(command: Command, tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copy(SAMPLES / "cat.jpg", tmp_path / name)
    run = command("detect", *BARE, "--", *NAMES)
    assert run.returncode == 0, run.stderr
    assert sources(run.stdout) == NAMES

    listed = "\0".join(NAMES).encode() + b"\0"
    again = command("detect", *BARE, "-0", "-", input=listed)
    assert sources(again.stdout) == NAMES

    lines = (
        command("detect", "--no-media", "--conf", "0.01", "--imgsz", "64", "-0", "-", input=listed)
        .stdout.decode()
        .splitlines()
    )
    assert len({line.split("\t")[0] for line in lines}) == len(NAMES)
    assert all(line.count("\t") == 9 for line in lines), "every line has ten fields, whatever the name"


def test_undecodable_name(command: Command, tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    shutil.copy(SAMPLES / "cat.jpg", raw)
    run = command("detect", *BARE, "-0", "-", input=raw + b"\0")
    assert run.returncode == 0, run.stderr
    assert sources(run.stdout)[0].endswith("caf\ufffd.jpg")
    media = command("detect", "--out", "out", "--", os.fsdecode(raw))
    assert media.returncode == 0, media.stderr
    assert [os.fsencode(p.name) for p in (tmp_path / "out").iterdir()] == [b"caf\xe9.jpg"]


def test_lists(command: Command, folder: Path, tmp_path: Path) -> None:
    wanted = ["in/dog10.jpg", "in/cat9.jpg"]
    text = "\r\n".join(wanted).encode()
    assert sources(command("detect", *BARE, "-", input=text).stdout) == wanted
    assert sources(command("detect", *BARE, input=text).stdout) == wanted  # nothing named: stdin
    (tmp_path / "list").write_bytes(text)
    assert sources(command("detect", *BARE, "--from-file", "list").stdout) == wanted
    (tmp_path / "list0").write_bytes("\0".join(wanted).encode())
    assert sources(command("detect", *BARE, "-0", "--from-file", "list0").stdout) == wanted


def test_bytes_on_stdin(command: Command, tmp_path: Path) -> None:
    picture = command("detect", "-", "--jsonl", input=(SAMPLES / "dog.jpg").read_bytes())
    (line,) = [line for line in check(picture.stdout) if line["type"] == "result"]
    assert line["source"] == "-"
    assert "dog" in {found["label"] for found in line["results"]}
    assert (tmp_path / "vision-out" / "stdin.jpg").is_file()

    clip = (SAMPLES / "people.mp4").read_bytes()
    video = command("detect", "-", "--end", "0.2", "--jsonl", input=clip)
    lines = check(video.stdout)
    assert [line["frame"] for line in lines if line["type"] == "result"][:2] == [0, 1]
    assert (tmp_path / "vision-out" / "stdin.mp4").is_file()


def test_folders_and_globs(command: Command, folder: Path) -> None:
    assert sources(command("detect", *BARE, "in").stdout) == ["in/cat9.jpg", "in/dog10.jpg"]
    assert sources(command("detect", *BARE, "--dir", "in", "-r").stdout) == [
        "in/cat9.jpg", "in/dog10.jpg", "in/sub/bus.jpg",
    ]  # fmt: skip
    assert sources(command("detect", *BARE, "in/d*.jpg").stdout) == ["in/dog10.jpg"]
    assert sources(command("detect", *BARE, "in/**/*.jpg").stdout)[-1] == "in/sub/bus.jpg"


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--video", SAMPLES / "cat.jpg"], "unsupported"),
        (["--image", SAMPLES / "people.mp4"], "unsupported"),
        (["--image", "in"], "unsupported"),
        (["--dir", SAMPLES / "cat.jpg"], "unsupported"),
        (["--dir", "nowhere"], "not_found"),
        (["in/note.txt"], "unsupported"),
        (["*.webp"], "not_found"),
        (["empty"], "not_found"),
        (["99"], None),
        (["ftp://example.org/a.jpg"], "unsupported"),
        (["-"], "not_found"),
    ],
)
def test_refused(
    command: Command, folder: Path, tmp_path: Path, arguments: list[Any], kind: str | None
) -> None:
    (tmp_path / "empty").mkdir()
    run = command("detect", *BARE, *arguments)
    assert run.returncode == 3, run.stderr
    (error,) = [line for line in check(run.stdout) if line["type"] == "error"]
    assert kind is None or error["kind"] == kind
    assert len(run.stderr.splitlines()) == 1
    assert error["message"] in run.stderr.decode()


def test_output_inside_the_input(command: Command, folder: Path, tmp_path: Path) -> None:
    """A second run over the same tree does not take what the first one wrote, nor does the first itself."""
    for _ in range(2):
        run = command("detect", ".", "-r", "--jsonl")
        assert run.returncode == 0, run.stderr
        assert sources(run.stdout) == ["in/cat9.jpg", "in/dog10.jpg", "in/sub/bus.jpg"]
        written = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("vision-out/**/*.jpg"))
        assert written == ["vision-out/bus.jpg", "vision-out/cat9.jpg", "vision-out/dog10.jpg"]
    named = command("detect", "vision-out/bus.jpg", "--no-media", "--jsonl")
    assert sources(named.stdout) == ["vision-out/bus.jpg"]


def test_same_name_in_two_folders(command: Command, tmp_path: Path) -> None:
    for name, picture in (("a", "dog.jpg"), ("b", "cat.jpg")):
        (tmp_path / name).mkdir()
        shutil.copy(SAMPLES / picture, tmp_path / name / "same.jpg")
    before = (tmp_path / "a" / "same.jpg").read_bytes()
    run = command("detect", "a/same.jpg", "b/same.jpg", "--out", "out")
    assert run.returncode == 0, run.stderr
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.jpg")) == [
        "b/same.jpg", "same.jpg",
    ]  # fmt: skip
    onto_itself = command("detect", "a/same.jpg", "--out", "a", "--force")
    assert onto_itself.returncode == 2
    assert (tmp_path / "a" / "same.jpg").read_bytes() == before


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A web server of the sample pictures: its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=SAMPLES)
    ) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http_server.server_port}", asked
        http_server.shutdown()


def test_addresses(command: Command, server: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = server
    run = command("detect", f"{address}/dog.jpg", f"{address}/none.jpg", "--jsonl")
    assert run.returncode == 3
    lines = check(run.stdout)
    assert [line["type"] for line in lines] == ["run", "result", "error", "end"]
    assert lines[2]["kind"] == "not_found"
    assert (tmp_path / "vision-out" / "dog.jpg").is_file()

    asked.clear()
    refused = command("detect", *BARE, "--offline", f"{address}/dog.jpg")
    assert refused.returncode == 3
    assert json.loads(refused.stdout.splitlines()[1])["kind"] == "offline"
    assert asked == [], "an offline run connects to nothing"
