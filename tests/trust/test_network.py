"""Nothing hidden: no connection, no process, no file of another library's in the user's home."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.build_weights import ROOT
from tests.trust.conftest import Watched

SAMPLES = ROOT / "sample_media"
Watch = Callable[..., Watched]


def unexpected(events: list[str]) -> list[str]:
    """What was audited, less how Python looks up system libraries (ctypes, from torch)."""
    return [event for event in events if "ldconfig" not in event]


def own_network() -> tuple[str, ...]:
    """What starts a process without any network; skips where that is not permitted."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare -n is not permitted here")
    return ("unshare", "-rn")


def test_the_hook_sees(watched: Watch) -> None:
    """What would be seen is: the tests below can fail."""
    seen = watched(
        code="import socket, subprocess, contextlib\n"
        "with contextlib.suppress(OSError): socket.create_connection(('127.0.0.1', 9), 1)\n"
        "subprocess.run(['true'])\n"
    )
    kinds = {event.split()[0] for event in seen.events}
    assert {"socket.getaddrinfo", "socket.connect", "subprocess.Popen"} <= kinds


def test_missing_weights(watched: Watch) -> None:
    """Asked for, a download is tried; offline it is not even looked up."""
    prefix = own_network()
    online = watched("detect", SAMPLES / "dog.jpg", "--model", "yolo26m", prefix=prefix)
    assert online.code == 5
    assert any("github.com" in event for event in online.events)
    offline = watched("detect", SAMPLES / "dog.jpg", "--model", "yolo26m", "--offline", prefix=prefix)
    assert offline.code == 5
    assert offline.events == []


@pytest.mark.parametrize(
    ("arguments", "offline"),
    [
        (["detect", SAMPLES / "dog.jpg", SAMPLES / "people.mp4", "--end", "0.2"], True),
        pytest.param(["detect", SAMPLES / "dog.jpg"], False, marks=pytest.mark.slow),
        pytest.param(
            ["classify", SAMPLES / "cat.jpg", "--model", "yolo11n-cls"], True, marks=pytest.mark.slow
        ),
        pytest.param(
            ["classify", SAMPLES / "cat.jpg", "--model", "mobilenet_v2"], True, marks=pytest.mark.slow
        ),
        pytest.param(
            ["detect", "http://127.0.0.1:9/a.jpg", SAMPLES / "dog.jpg"], True, marks=pytest.mark.slow
        ),
        pytest.param(["models", "list"], False, marks=pytest.mark.slow),
    ],
)
def test_a_run_keeps_to_itself(watched: Watch, arguments: list[object], offline: bool) -> None:
    """With its weights at hand a run connects to nothing, online or not, and starts no process."""
    run = watched(*arguments, *(["--offline"] if offline else []))
    assert run.code == (3 if "http://127.0.0.1:9/a.jpg" in arguments else 0), run.stderr
    assert run.stdout
    assert unexpected(run.events) == []
    assert [f for f in run.home if not f.startswith(".cache/vision/")] == [], "only our cache is ours"


@pytest.mark.slow
def test_without_any_network(watched: Watch) -> None:
    """The same answer in a process that has no network at all."""
    # In one runtime: else the second run would compile, and bf16 answer the last digits otherwise.
    arguments = ("detect", SAMPLES / "dog.jpg", "--no-media", "--offline", "--runtime", "torch")
    alone = watched(*arguments, prefix=own_network())
    assert alone.code == 0, alone.stderr
    assert alone.stdout == watched(*arguments).stdout


@pytest.mark.slow
def test_compiled_networks_keep_to_themselves(watched: Watch) -> None:
    """Compiling and running what was compiled, with no network to be had: nothing is tried, nothing written.

    OpenVINO comes with a package that posts events and keeps a file in the user's home.
    """
    prefix = own_network()
    arguments = ("detect", SAMPLES / "dog.jpg", "--no-media", "--runtime", "openvino")
    for run in (watched(*arguments, prefix=prefix), watched(*arguments, prefix=prefix)):
        assert run.code == 0, run.stderr
        assert unexpected(run.events) == []
        assert [f for f in run.home if not f.startswith(".cache/vision/")] == []
    assert b"compiled" not in run.stderr, "the second run finds it"
