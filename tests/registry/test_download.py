"""Downloads against a real server: whatever goes wrong, a whole and checked file or none."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.registry.server import Served, serving
from visioncli.registry import download as module
from visioncli.registry.download import DownloadError, download, reach

BODY = random.Random(7).randbytes(1_500_000)
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between attempts are for other people's servers."""
    monkeypatch.setattr(module, "PAUSE", 0.01)


def left(folder: Path) -> set[str]:
    """What lies in a folder, but for locks."""
    return {p.name for p in folder.iterdir() if not p.name.endswith(".lock")}


def test_whole_and_recorded(tmp_path: Path) -> None:
    target = tmp_path / "new" / "net.pt"
    with serving(Served({"net.pt": BODY})) as server:
        assert download(f"{server.url}/net.pt", target, progress=False) == SHA
        assert len(server.requests) == 1
    assert target.read_bytes() == BODY
    assert (target.parent / "net.pt.sha256").read_text().strip() == SHA
    assert left(target.parent) == {"net.pt", "net.pt.sha256"}


def test_published_hash_needs_no_record(tmp_path: Path) -> None:
    with serving(Served({"net.pt": BODY})) as server:
        download(f"{server.url}/net.pt", tmp_path / "net.pt", sha256=SHA[:8], progress=False)
    assert left(tmp_path) == {"net.pt"}


def test_resumed_after_a_cut(tmp_path: Path) -> None:
    with serving(Served({"net.pt": BODY}, cut_after=600_000)) as server:
        assert download(f"{server.url}/net.pt", tmp_path / "net.pt", sha256=SHA, progress=False) == SHA
        assert [r for _, r in server.requests] == [None, "bytes=600000-"]
    assert (tmp_path / "net.pt").read_bytes() == BODY
    assert left(tmp_path) == {"net.pt"}


@pytest.mark.parametrize("kind", [{"ranges": False}, {"validators": False}], ids=["no-ranges", "no-etag"])
def test_begun_again_where_it_cannot_be_resumed(tmp_path: Path, kind: dict[str, bool]) -> None:
    with serving(Served({"net.pt": BODY}, cut_after=600_000, **kind)) as server:
        assert download(f"{server.url}/net.pt", tmp_path / "net.pt", progress=False) == SHA
        assert len(server.requests) == 2


def test_file_changed_between_attempts(tmp_path: Path) -> None:
    """The part of an old file is not joined to the rest of a new one."""
    old = b"old" + BODY
    with serving(Served({"net.pt": old}, cut_after=200_000, cuts=99)) as server:
        with pytest.raises(DownloadError):
            download(f"{server.url}/net.pt", tmp_path / "net.pt", progress=False)
        assert (tmp_path / ".net.pt.part").stat().st_size == 800_000
        server.files["net.pt"], server.cuts = BODY, 0
        assert download(f"{server.url}/net.pt", tmp_path / "net.pt", progress=False) == SHA


def test_always_truncated_leaves_no_file(tmp_path: Path) -> None:
    with serving(Served({"net.pt": BODY}, cut_after=100_000, cuts=99)) as server:
        with pytest.raises(DownloadError, match="attempts"):
            download(f"{server.url}/net.pt", tmp_path / "net.pt", sha256=SHA, progress=False)
        assert len(server.requests) == module.TRIES
    assert left(tmp_path) == {".net.pt.part", ".net.pt.part.tag"}


def test_wrong_hash_leaves_nothing(tmp_path: Path) -> None:
    with serving(Served({"net.pt": BODY})) as server, pytest.raises(DownloadError, match="SHA-256"):
        download(f"{server.url}/net.pt", tmp_path / "net.pt", sha256="00000000", progress=False)
    assert left(tmp_path) == set()


def test_a_damaged_part_is_not_trusted(tmp_path: Path) -> None:
    """A part whose bytes were damaged gives the wrong hash: the file is fetched whole."""
    with serving(Served({"net.pt": BODY}, cut_after=200_000, cuts=99)) as server:
        with pytest.raises(DownloadError):
            download(f"{server.url}/net.pt", tmp_path / "net.pt", sha256=SHA, progress=False)
        part = tmp_path / ".net.pt.part"
        part.write_bytes(bytes(len(part.read_bytes()) - 10))
        server.cuts = 0
        assert download(f"{server.url}/net.pt", tmp_path / "net.pt", sha256=SHA, progress=False) == SHA
    assert (tmp_path / "net.pt").read_bytes() == BODY


@pytest.mark.parametrize("status", [403, 404])
def test_refusals_are_not_repeated(tmp_path: Path, status: int) -> None:
    with serving(Served({"net.pt": BODY}, status=status)) as server:
        with pytest.raises(DownloadError, match=str(status)):
            download(f"{server.url}/net.pt", tmp_path / "net.pt", progress=False)
        assert len(server.requests) == 1
    assert left(tmp_path) == set()


def test_trouble_of_the_server_is_repeated(tmp_path: Path) -> None:
    with serving(Served({}, status=503)) as server:
        with pytest.raises(DownloadError, match="503"):
            download(f"{server.url}/net.pt", tmp_path / "net.pt", progress=False)
        assert len(server.requests) == module.TRIES


def test_a_page_is_no_weights(tmp_path: Path) -> None:
    """What a hotel's network answers instead of the file."""
    page = b"\n <!DOCTYPE html><html>Please log in</html>"
    with serving(Served({"net.pt": page})) as server, pytest.raises(DownloadError, match="page"):
        download(f"{server.url}/net.pt", tmp_path / "net.pt", progress=False)
    assert left(tmp_path) == set()


def test_no_server_fails_fast(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DownloadError, match=r"no connection to 127\.0\.0\.1:9"):
        download("http://127.0.0.1:9/net.pt", tmp_path / "net.pt", progress=False)
    assert time.monotonic() - began < 3


def test_unusable_proxy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:9")
    with pytest.raises(DownloadError, match="proxy"):
        download("http://127.0.0.1:9/net.pt", tmp_path / "net.pt", progress=False)


def test_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request for a host that does not exist arrives at the proxy, with its whole address."""
    with serving(Served({"http://nowhere.invalid/net.pt": BODY})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert download("http://nowhere.invalid/net.pt", tmp_path / "net.pt", progress=False) == SHA


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with serving(Served({"net.pt": BODY})) as server, pytest.raises(DownloadError, match="file"):
        download(f"{server.url}/net.pt", tmp_path / "file" / "net.pt", progress=False)


FETCH = "import sys; from pathlib import Path; from visioncli.registry.download import download; " \
        "print(download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3], progress=False))"  # fmt: skip


def fetcher(url: str, target: Path) -> subprocess.Popen[bytes]:
    """A process of its own that downloads."""
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, url, str(target), SHA], stdout=subprocess.PIPE, env=dict(os.environ)
    )


def test_killed_in_mid_download_then_resumed(tmp_path: Path) -> None:
    target, part = tmp_path / "net.pt", tmp_path / ".net.pt.part"
    with serving(Served({"net.pt": BODY}, seconds_a_block=0.05)) as server:
        process = fetcher(f"{server.url}/net.pt", target)
        deadline = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        received = part.stat().st_size
        assert 0 < received < len(BODY)
        assert not target.exists()
        server.seconds_a_block = 0
        assert download(f"{server.url}/net.pt", target, sha256=SHA, progress=False) == SHA
        assert server.requests[-1][1] == f"bytes={received}-"
    assert target.read_bytes() == BODY


def test_two_processes_fetch_once(tmp_path: Path) -> None:
    target = tmp_path / "net.pt"
    with serving(Served({"net.pt": BODY}, seconds_a_block=0.03)) as server:
        processes = [fetcher(f"{server.url}/net.pt", target) for _ in range(2)]
        printed = [p.communicate(timeout=60)[0].decode().strip() for p in processes]
        assert len(server.requests) == 1
    assert printed == [SHA, SHA]
    assert target.read_bytes() == BODY


def test_reached_or_not() -> None:
    """A server that answers well is reached; one that refuses, is not there, or is silent is not."""
    with serving(Served({"net.pt": BODY})) as server:
        reach(f"{server.url}/net.pt", 3)
        with pytest.raises(DownloadError, match="404"):
            reach(f"{server.url}/other.pt", 3)
    with pytest.raises(DownloadError, match=r"no connection to 127\.0\.0\.1"):
        reach(f"{server.url}/net.pt", 3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(DownloadError, match=r"no answer from 127\.0\.0\.1:\d+ within 0\.3 s"):
            reach(f"http://127.0.0.1:{silent.getsockname()[1]}/net.pt", 0.3)
        assert time.monotonic() - began < 3
