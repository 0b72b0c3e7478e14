"""No `--model` and the default is not here: downloaded, or else `mini`. With `--model`: never another."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import SAMPLES, Command
from tests.registry.server import Served, serving

PICTURE = SAMPLES / "bus.jpg"


@pytest.fixture
def nowhere(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """The command with an empty folder of weights, in an empty working folder."""
    monkeypatch.setenv("VISION_WEIGHTS", str(tmp_path / "weights-here"))
    return command


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def says_mini(done: subprocess.CompletedProcess[bytes], name: str) -> str:
    """The one line on stderr, of a run that `mini` answered."""
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("mini answers")
    assert f"vision models pull {name}" in line
    return line


def test_offline(nowhere: Command, tmp_path: Path) -> None:
    done = nowhere("detect", PICTURE, "--offline", "--no-media", "--jsonl", tmp_path / "record.jsonl")
    assert "--offline forbids" in says_mini(done, "yolo26n")
    first, *rest = (json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines())
    assert (first["model"]["name"], first["model"]["weights"]) == ("mini", "PACKAGED")
    assert len(first["model"]["sha256"]) == 64
    assert {"person", "bus"} <= {found["label"] for found in rest[0]["results"]}


def test_classify_offline(nowhere: Command) -> None:
    done = nowhere("classify", SAMPLES / "cat.jpg", "--offline", "--no-media")
    says_mini(done, "efficientnet_v2_s")
    assert b"cat" in done.stdout.splitlines()[0]


def test_segment_offline(nowhere: Command) -> None:
    done = nowhere("segment", PICTURE, "--offline", "--no-media")
    says_mini(done, "yolo26n-seg")
    assert b"\tbus\t" in done.stdout


@pytest.mark.parametrize("where", ["closed", "hanging"])
def test_a_server_that_is_not_there(
    nowhere: Command, where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens, or somebody who never answers: three seconds at most."""
    nowhere("detect", PICTURE, "--offline", "--no-media")  # what is slow the first time
    monkeypatch.setenv("VISION_WEIGHTS_URL", request.getfixturevalue(where))
    began = time.monotonic()
    line = says_mini(nowhere("detect", PICTURE, "--no-media"), "yolo26n")
    seconds = time.monotonic() - began
    assert "127.0.0.1" in line
    assert seconds < 3 + 6  # the run itself takes less than a second on a quiet machine


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_that_refuses(nowhere: Command, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Served({}, status=status)) as server:
        monkeypatch.setenv("VISION_WEIGHTS_URL", server.url)
        assert str(status) in says_mini(nowhere("detect", PICTURE, "--no-media"), "yolo26n")


def test_a_server_that_gives(nowhere: Command, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No substitute where the weights can be had; the download is said."""
    with serving(Served({"yolo26n.pt": (weights / "yolo26n.pt").read_bytes()})) as server:
        monkeypatch.setenv("VISION_WEIGHTS_URL", server.url)
        done = nowhere("detect", PICTURE, "--no-media", "--jsonl", "-", "--imgsz", "160")
    assert done.returncode == 0, done.stderr
    assert b"downloading yolo26n.pt" in done.stderr
    assert json.loads(done.stdout.splitlines()[0])["model"]["name"] == "yolo26n"


def test_quiet(nowhere: Command) -> None:
    done = nowhere("detect", PICTURE, "--offline", "--no-media", "--quiet")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"bus" in done.stdout


@pytest.mark.parametrize("how", ["flag", "variable", "file", "section"])
def test_a_model_that_is_named_has_no_substitute(
    nowhere: Command, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it is the default's own name, or a configuration names it."""
    arguments: list[str] = []
    if how == "flag":
        arguments = ["--model", "yolo26n"]
    elif how == "variable":
        monkeypatch.setenv("VISION_MODEL", "yolo26n")
    else:
        table = "[detect]\n" if how == "section" else ""
        (tmp_path / "vision.toml").write_text(f'{table}model = "yolo26n"\n')
    done = nowhere("detect", PICTURE, "--offline", "--no-media", *arguments)
    assert (done.returncode, done.stdout) == (5, b"")
    assert b"yolo26n.pt is not on this machine" in done.stderr
    assert b"mini" not in done.stderr


def test_mini_by_name_says_nothing(nowhere: Command) -> None:
    done = nowhere("detect", PICTURE, "--model", "mini", "--no-media")
    assert (done.returncode, done.stderr) == (0, b"")


def test_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`load()` of a default warns where the command prints; of a name it raises."""
    from visioncli import load
    from visioncli.errors import ModelError, UsageError

    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match=r"mini answers.*vision models pull yolo26n") as warned:
        model = load(task="detect", offline=True)
    assert Path(warned[0].filename) == Path(__file__)
    assert (model.name, model.task) == ("mini", "detect")
    assert "bus" in model(PICTURE).labels
    with pytest.raises(ModelError):
        load("yolo26n", offline=True)
    with pytest.raises(UsageError, match="neither a model nor a task"):
        load()


NAME_SERVER = """
import fcntl, socket, struct, sys
with socket.socket() as up:  # the loopback device of a new network is down
    fcntl.ioctl(up, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    sink.recv(512)
"""


@pytest.mark.slow
def test_a_name_server_that_never_answers(tmp_path: Path) -> None:
    """In a network of its own, with a resolver that waits far longer than three seconds."""
    if subprocess.run(["unshare", "-rnm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare is not permitted here")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:20 attempts:2\n")
    (tmp_path / "server.py").write_text(NAME_SERVER)
    script = (
        'mount --bind resolv.conf /etc/resolv.conf && { "$0" server.py & server=$!; sleep 1; '
        '"$0" -m visioncli detect "$1" --no-media; code=$?; kill $server; exit $code; }'
    )
    command = ["unshare", "-rnm", "bash", "-c", script, sys.executable, str(PICTURE)]
    began = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, cwd=tmp_path, check=False, timeout=60,
        env={**os.environ, "VISION_WEIGHTS": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    seconds = time.monotonic() - began
    if b"mount" in done.stderr:
        pytest.skip("mount is not permitted here")
    line = says_mini(done, "yolo26n")
    assert "no answer from github.com within 3 s" in line
    assert b"bus" in done.stdout
    assert seconds < 15
