"""What the user names: real files, folders, lists, pipes and a real HTTP server."""

from __future__ import annotations

import functools
import http.server
import io
import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visioncli.media import folders, pictures, sniff, sources, spool
from visioncli.media.frame import Failure, Input


@pytest.fixture
def here(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a picture `a.jpg`, a video `v.mp4` and an animated `anim.gif`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes((data / "corner" / "hopper_gray.jpg").read_bytes())
    (tmp_path / "v.mp4").write_bytes((data / "video" / "decord_video_0.mov").read_bytes())
    (tmp_path / "anim.gif").write_bytes((data / "corner" / "chi.gif").read_bytes())
    return tmp_path


def found(*arguments: str, **options: object) -> list[Input | Failure]:
    return list(sources.find(arguments, **options))  # type: ignore[arg-type]


def names(items: list[Input | Failure]) -> list[str]:
    return [item.source for item in items]


def only(items: list[Input | Failure]) -> Input:
    (item,) = items
    assert isinstance(item, Input), item
    return item


def failure(items: list[Input | Failure]) -> Failure:
    (item,) = items
    assert isinstance(item, Failure), item
    return item


def test_files_by_content(here: Path) -> None:
    (here / "picture.mp4").write_bytes((here / "a.jpg").read_bytes())
    (here / "video").write_bytes((here / "v.mp4").read_bytes())
    kinds = [item.kind for item in found("a.jpg", "picture.mp4", "video", "v.mp4", "anim.gif")]
    assert kinds == ["picture", "picture", "video", "video", "picture"]
    item = only(found("./a.jpg"))
    assert (item.source, item.where, item.relative) == ("./a.jpg", Path("a.jpg"), PurePath("a.jpg"))


def test_a_file_named_twice_comes_twice(here: Path) -> None:
    assert names(found("a.jpg", "a.jpg")) == ["a.jpg", "a.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        "new\nline.jpg",
        "日本 ü.jpg",
        "-dash.jpg",
        "quote'\".jpg",
        "[1].jpg",
        "*.jpg",
        "no suffix",
        "7",
    ],
)
def test_odd_names(here: Path, name: str) -> None:
    (here / name).write_bytes((here / "a.jpg").read_bytes())
    item = only(found(name))
    assert (item.kind, item.source, item.where) == ("picture", name, Path(name))
    assert pictures.read(item).width == 128
    assert names(found("-", stdin=io.BytesIO(os.fsencode(name) + b"\0"), null=True)) == [name]


def test_a_name_that_is_not_utf8(here: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    (here / name).write_bytes((here / "a.jpg").read_bytes())
    for item in (only(found(name)), only(found("-", stdin=io.BytesIO(b"caf\xe9.jpg\n")))):
        assert item.source == "caf\ufffd.jpg"
        assert item.source.encode() and pictures.read(item).width == 128


def test_what_is_not_there(here: Path) -> None:
    (here / "notes.txt").write_text("some words\nand more\n")
    (here / "noise").write_bytes(bytes(range(256)) * 20)
    (here / "empty").mkdir()
    for argument, kind, words in (
        ("none.jpg", "not_found", "no such file"),
        ("none*.jpg", "not_found", "no file matches"),
        ("*.txt", "not_found", "no picture or video"),
        ("emp*", "not_found", "no file matches"),
        ("a.jpg/b.jpg", "not_found", "no such file"),
        ("nul\0byte", "not_found", "no such file"),
        ("x" * 300, "unreadable", "too long"),
        ("notes.txt", "unsupported", "--from-file"),
        ("noise", "unsupported", "neither a picture nor a video"),
        ("empty", "not_found", "use --recursive"),
        ("s3://bucket/x.jpg", "unsupported", "s3://"),
        ("/dev/null", "unsupported", "device"),
        ("", "not_found", "no such file"),
    ):
        item = failure(found(argument))
        assert item.kind == kind and words in item.message, item
    link = here / "loop"
    link.symlink_to(link)
    assert failure(found("loop")).kind == "unreadable"


def test_flags_check_the_kind(here: Path) -> None:
    for options, words in (
        ({"images": ["v.mp4"]}, "--video"),
        ({"videos": ["a.jpg"]}, "--image"),
        ({"images": ["."]}, "--dir"),
        ({"videos": ["."]}, "--dir"),
        ({"dirs": ["a.jpg"]}, "--image"),
    ):
        item = failure(found(**options))
        assert item.kind == "unsupported" and words in item.message
    assert only(found(videos=["anim.gif"])).kind == "video"
    assert only(found(images=["anim.gif"])).kind == "picture"
    assert only(found(videos=["*.gif"])).kind == "video"
    assert only(found(videos=["0"])).kind == "camera"
    assert len(found(images=["a.jpg"], videos=["v.mp4"], dirs=["."])) == 5


def test_folders(here: Path) -> None:
    for name in (
        "img10.jpg",
        "img2.jpg",
        "IMG1.jpg",
        ".hidden.jpg",
        "sub/deep/z.jpg",
        "sub/y.jpg",
        ".git/x.jpg",
    ):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes((here / "a.jpg").read_bytes())
    (here / "README.md").write_text("words")
    (here / "labels.csv").write_text("a,b\n")
    (here / "text.jpg").write_text("words")
    (here / "code.ts").write_text("const words = 1;\n")
    (here / "unnamed").write_bytes((here / "a.jpg").read_bytes())
    (here / "sub" / "up").symlink_to(here)
    flat = sources.find(["."])
    expected = ["a.jpg", "anim.gif", "IMG1.jpg", "img2.jpg", "img10.jpg", "text.jpg", "unnamed", "v.mp4"]
    assert names(list(flat)) == expected
    assert flat.skipped == 3
    deep = found(str(here), recursive=True)
    assert [str(item.relative) for item in deep if isinstance(item, Input)] == [
        *expected, "sub/y.jpg", "sub/deep/z.jpg"
    ]  # fmt: skip
    assert deep[-1].source == f"{here}/sub/deep/z.jpg"
    # By suffix it claims to be a picture: reading it says that it is not.
    assert next(item for item in deep if item.source.endswith("text.jpg")).kind == "picture"  # type: ignore[union-attr]


def test_a_link_that_leads_nowhere_is_not_lost(here: Path) -> None:
    (here / "gone.jpg").symlink_to(here / "nowhere.jpg")
    items = {item.source: item for item in found(".")}
    gone = items["gone.jpg"]
    assert isinstance(gone, Failure) and gone.kind == "not_found"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(here: Path) -> None:
    (here / "locked").mkdir(mode=0)
    assert failure(found("locked")).kind == "unreadable"


def test_globs(here: Path) -> None:
    for name in ("x/1.jpg", "x/10.jpg", "x/2.jpg", "x/y/3.jpg", "x/.h.jpg", "x/n.txt"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes((here / "a.jpg").read_bytes() if name.endswith("jpg") else b"words")
    assert names(found("x/*.jpg")) == ["x/1.jpg", "x/2.jpg", "x/10.jpg"]
    assert names(found("x/[12].jpg")) == ["x/1.jpg", "x/2.jpg"]
    assert names(found("x/?.jpg")) == ["x/1.jpg", "x/2.jpg"]
    assert set(names(found("**/*.jpg"))) == {"a.jpg", "x/1.jpg", "x/2.jpg", "x/10.jpg", "x/y/3.jpg"}
    assert names(found("*/y/*.jpg")) == ["x/y/3.jpg"]
    star = sources.find(["x/*"])
    assert names(list(star)) == ["x/1.jpg", "x/2.jpg", "x/10.jpg"] and star.skipped == 1
    deep = next(item for item in found(f"{here}/x/**/*.jpg") if item.source.endswith("3.jpg"))
    assert isinstance(deep, Input) and deep.relative == PurePath("y/3.jpg")
    assert names(found(images=["x/*.jpg"])) == ["x/1.jpg", "x/2.jpg", "x/10.jpg"]


def test_lists(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "b.jpg").write_bytes((here / "a.jpg").read_bytes())
    (here / "list.txt").write_bytes(b"a.jpg\r\n\nsub\nnone.jpg\n*.gif\n-\nv.mp4")
    expected = ["a.jpg", "sub/b.jpg", "none.jpg", "anim.gif", "-", "v.mp4"]
    from_file = found(from_files=["list.txt"])
    assert names(from_file) == expected
    assert [type(item) for item in from_file].count(Failure) == 2
    for options in ({"arguments": ["-"]}, {"arguments": [], "from_files": ["-"]}):
        with (here / "list.txt").open("rb") as stdin:
            assert names(list(sources.find(**options, stdin=stdin))) == expected  # type: ignore[arg-type]
    (here / "list0").write_bytes(b"a.jpg\0new\nline.jpg\0")
    assert names(found(from_files=["list0"], null=True)) == ["a.jpg", "new\nline.jpg"]
    assert failure(found(from_files=["none.txt"])).kind == "not_found"
    assert failure(found("-", stdin=io.BytesIO())).kind == "not_found"


def test_a_long_list_is_never_held(here: Path) -> None:
    """A list that never ends, longer than memory: what is asked for comes, and little was read ahead."""

    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            line = b"a.jpg\n" * (len(buffer) // 6)
            buffer[: len(line)] = line
            Endless.given += len(line)
            return len(line)

    items = sources.find(["-"], stdin=io.BufferedReader(Endless()))
    assert names(list(itertools.islice(items, 100))) == ["a.jpg"] * 100
    assert Endless.given < 1 << 20


def test_what_is_no_list_at_all(here: Path) -> None:
    (here / "noise").write_bytes(b"x" * (3 << 20))
    with (here / "noise").open("rb") as stdin:
        assert failure(found("-", stdin=stdin, null=True)).kind == "unsupported"
    assert failure(found(from_files=["noise"])).kind == "unsupported"
    assert failure(found(from_files=["."])).kind == "unreadable"


def test_a_list_is_worked_on_while_it_grows(here: Path) -> None:
    """Each line of a pipe counts as soon as it is there: `tail -f list | vision detect -`."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", buffering=0) as pipe:
        items = sources.find(["-"], stdin=stdin)
        for name in ("a.jpg", "v.mp4", "anim.gif"):
            pipe.write(f"{name}\n".encode())
            assert next(items).source == name


@pytest.mark.parametrize("file", ["a.jpg", "v.mp4"])
@pytest.mark.parametrize("piece", [3, 100, 1 << 20])
def test_bytes_on_stdin(here: Path, file: str, piece: int) -> None:
    whole = (here / file).read_bytes()
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for start in range(0, len(whole), piece):
                pipe.write(whole[start : start + piece])
                if start < 1000:
                    time.sleep(0.0005)

    threading.Thread(target=write, daemon=True).start()
    with os.fdopen(reading, "rb") as stdin:
        item = only(found("-", stdin=stdin))
    assert (item.source, item.relative, item.where) == ("-", PurePath("stdin"), whole)
    assert item.kind == ("picture" if file == "a.jpg" else "video")


def test_flags_hold_for_stdin_too(here: Path) -> None:
    for options, file in (({"images": ["-"]}, "v.mp4"), ({"videos": ["-"]}, "a.jpg")):
        with (here / file).open("rb") as stdin:
            assert failure(found(stdin=stdin, **options)).kind == "unsupported"
    with (here / "anim.gif").open("rb") as stdin:
        assert only(found(stdin=stdin, videos=["-"])).kind == "video"
    assert failure(found(stdin=io.BytesIO(b"a.jpg\n"), videos=["-"])).kind == "unsupported"


def test_a_fifo_is_read_as_a_stream(here: Path) -> None:
    os.mkfifo(here / "pipe")
    writer = threading.Thread(
        target=(here / "pipe").write_bytes, args=[(here / "a.jpg").read_bytes()], daemon=True
    )
    writer.start()
    item = only(found("pipe"))
    assert (item.kind, item.source) == ("picture", "pipe") and pictures.read(item).width == 128


def test_a_long_video_on_stdin_goes_to_a_file_that_goes_away(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 10_000)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    whole = (here / "v.mp4").read_bytes()
    item = only(found("-", stdin=io.BytesIO(whole)))
    where = item.where
    assert isinstance(where, Path) and where.parent == here and where.read_bytes() == whole
    del item
    assert not where.exists()
    monkeypatch.setattr(spool, "LARGEST_PICTURE", 1000)
    assert failure(found("-", stdin=io.BytesIO((here / "a.jpg").read_bytes()))).kind == "too_large"


@pytest.fixture
def server(here: Path) -> Iterator[str]:
    """The address of a real HTTP server over the folder, with a redirect, a slow path and a lying length."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/a.jpg")
                self.end_headers()
            elif self.path == "/short.jpg":
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write((here / "a.jpg").read_bytes()[:1000])
            else:
                super().do_GET()

        def log_message(self, *args: object) -> None: ...

    handler = functools.partial(Handler, directory=str(here))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_addresses(here: Path, server: str) -> None:
    item = only(found(f"{server}/a.jpg?size=big#part"))
    assert item.source == f"{server}/a.jpg?size=big#part" and item.relative == PurePath("a.jpg")
    assert item.kind == "picture" and pictures.read(item).width == 128
    assert only(found(f"{server}/v.mp4")).kind == "video"
    assert only(found(f"{server}/moved")).relative == PurePath("moved.jpg")
    (here / "two words").write_bytes((here / "a.jpg").read_bytes())
    assert only(found(f"{server}/two%20words")).relative == PurePath("two words.jpg")
    assert only(found("-", stdin=io.BytesIO(f"{server}/a.jpg\n".encode()))).kind == "picture"


def test_addresses_that_fail(here: Path, server: str) -> None:
    (here / "page.html").write_text("<html>words</html>")
    for address, kind, words in (
        (f"{server}/none.jpg", "not_found", "404"),
        (f"{server}/short.jpg", "network", "short.jpg"),
        (f"{server}/page.html", "unsupported", "text"),
        ("http://127.0.0.1:1/a.jpg", "network", "refused"),
        ("http://[/a.jpg", "network", ""),
    ):
        item = failure(found(address))
        assert item.kind == kind and words in item.message, item
    assert failure(found(images=[f"{server}/v.mp4"])).kind == "unsupported"


def test_offline_makes_no_connection(here: Path) -> None:
    asked: list[object] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def setup(self) -> None:
            asked.append(self.client_address)
            super().setup()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        item = failure(found(f"http://127.0.0.1:{running.server_port}/a.jpg", offline=True))
        running.shutdown()
    assert item.kind == "offline" and "--offline" in item.message and asked == []


def test_cameras_have_numbers(here: Path) -> None:
    item = only(found("3"))
    assert (item.kind, item.where, item.relative) == ("camera", 3, PurePath("camera3"))
    (here / "3").write_bytes((here / "a.jpg").read_bytes())
    assert only(found("3")).kind == "picture"


def test_every_real_file_is_what_its_folder_says(data: Path) -> None:
    skipped = {"README.md", "index.csv"}
    for folder, kinds in (("corner", {"picture"}), ("video", {"video", "picture"})):
        files = {path.name for path in (data / folder).iterdir()} - skipped
        items = sources.find([str(data / folder)])
        given_kinds = {str(item.relative): item.kind for item in items if isinstance(item, Input)}
        assert set(given_kinds) == files and set(given_kinds.values()) == kinds
    assert given_kinds["imageio_newtonscradle.gif"] == "picture"


@given(st.binary(max_size=600))
def test_sniffing_never_fails(head: bytes) -> None:
    media = sniff.sniff(head)
    assert media is None or media.suffix.startswith(".")


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"Great pictures.jpg\nGood.jpg\n", "text"),
        (b"BMX race.jpg\n", "text"),
        (b"P5.jpg\nP6\n", "text"),
        (b"RIFF raff.jpg\n", "text"),
        ("日本.jpg\n".encode(), "text"),
        (b"caf\xe9.jpg\n", "text"),
        (b"P6\n# comment\n4 4\n255\n" + bytes(48), "picture"),
        (b"G" + bytes(187) + b"G" + bytes(187) + b"G" + bytes(187), "video"),
        (b"ID3\4" + bytes(100), "sound"),
    ],
)
def test_lists_are_not_taken_for_media(head: bytes, what: str) -> None:
    media = sniff.sniff(head)
    assert media is not None and media.what == what


@given(st.lists(st.integers(0, 10**6), unique=True), st.randoms())
def test_natural_order_is_the_order_of_numbers(numbers: list[int], shuffle: random.Random) -> None:
    ordered = [f"frame{n}.jpg" for n in sorted(numbers)]
    mixed = ordered.copy()
    shuffle.shuffle(mixed)
    assert sorted(mixed, key=folders.natural) == ordered


@given(st.lists(st.text()), st.randoms())
def test_natural_order_takes_any_name(some: list[str], shuffle: random.Random) -> None:
    mixed = some.copy()
    shuffle.shuffle(mixed)
    assert sorted(mixed, key=folders.natural) == sorted(some, key=folders.natural)
