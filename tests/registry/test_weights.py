"""Where weights are looked for, what is taken, and what is said when there are none."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest

from tests.registry.server import Served, serving
from visioncli.errors import ModelError
from visioncli.registry import weights as store
from visioncli.registry.cards import Card, Weights

BODY = b"weights" * 1000
SHA = hashlib.sha256(BODY).hexdigest()
CARD = Card(
    "tiny", "classify", "Tiny", "torchvision", "torchvision-classify", "tiny", default="V1",
    weights=(Weights("V1", f"tiny-{SHA[:8]}.pth", "http://127.0.0.1:9/x", SHA[:8]), Weights("V2", "v2.pth")),
)  # fmt: skip
V1, V2 = CARD.weights


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(folder: Path, name: str = V1.filename, body: bytes = BODY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(body)
    return folder / name


def test_order_of_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--weights-dir, $VISION_WEIGHTS, ./weights, our cache, torch hub's, Ultralytics'."""
    ultralytics = tmp_path / "ultralytics"
    (tmp_path / "settings.json").write_text(f'{{"weights_dir": "{ultralytics}"}}')
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("VISION_WEIGHTS", str(tmp_path / "named"))
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    order = [tmp_path / "flag", tmp_path / "named", Path("weights"), store.cache_folder(), hub, ultralytics]
    for folder in reversed(order):
        path = put(folder)
        found = store.locate(CARD, V1, tmp_path / "flag")
        assert found is not None
        assert (found.path, found.sha256, found.note) == (path, SHA, None)


def test_other_hash_in_a_folder_of_the_users_has_a_note() -> None:
    put(Path("weights"), "tiny.pth", b"my own")
    found = store.locate(CARD, V1)
    assert found is not None
    assert found.path.name == "tiny.pth"
    assert "not the published one of tiny:V1" in (found.note or "")


def test_other_hash_in_a_cache_is_passed_over() -> None:
    path = put(store.cache_folder(), body=b"damaged")
    assert store.locate(CARD, V1) is None
    with pytest.raises(ModelError, match=f"passed over.*{path.name}"):
        store.fetch(CARD, V1, offline=True)


def test_plain_names_are_not_looked_for_in_caches() -> None:
    put(store.cache_folder(), "tiny.pth")
    assert store.locate(CARD, V1) is None


def test_missing_weights_say_all_there_is_to_say() -> None:
    with pytest.raises(ModelError) as caught:
        store.fetch(CARD, V1, offline=True)
    text = str(caught.value)
    for part in (
        V1.filename,
        "--offline",
        str(store.cache_folder()),
        V1.url,
        "vision models pull tiny",
        "--model",
    ):
        assert str(part) in text
    assert caught.value.exit_code == 5


def test_no_network_says_so_too() -> None:
    with pytest.raises(ModelError, match=r"no connection to 127\.0\.0\.1:9.*vision models pull tiny"):
        store.fetch(CARD, V1, progress=False)


def test_unpublished_weights_are_not_sought_on_the_net() -> None:
    with pytest.raises(ModelError, match="nobody publishes"):
        store.fetch(CARD, V2)


def test_offline_makes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a connection, or a question to DNS")

    with serving(Served({V1.filename: BODY})) as server:
        monkeypatch.setenv("VISION_WEIGHTS_URL", server.url)
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "connect", refuse)
            patched.setattr(socket, "getaddrinfo", refuse)
            with pytest.raises(ModelError):
                store.fetch(CARD, V1, offline=True)
        assert server.requests == []
        store.fetch(CARD, V1, progress=False)  # the same, allowed: the server is real
        assert server.requests == [(f"/{V1.filename}", None)]


def test_fetch_downloads_once_then_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Served({V1.filename: BODY})) as server:
        monkeypatch.setenv("VISION_WEIGHTS_URL", server.url + "/")
        first = store.fetch(CARD, V1, progress=False)
        again = store.fetch(CARD, V1, progress=False)
        assert len(server.requests) == 1
    assert first.path == again.path == store.cache_folder() / V1.filename
    assert first.sha256 == again.sha256 == SHA


def test_damaged_cache_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(store.cache_folder(), body=b"damaged")
    with serving(Served({V1.filename: BODY})) as server:
        monkeypatch.setenv("VISION_WEIGHTS_URL", server.url)
        assert store.fetch(CARD, V1, progress=False).path == path
    assert path.read_bytes() == BODY


def test_recorded_hash_guards_what_nobody_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ultralytics publishes no hashes: the first download's is kept, and damage since then is noticed."""
    with serving(Served({V2.filename: BODY})) as server:
        monkeypatch.setenv("VISION_WEIGHTS_URL", server.url)
        path = store.fetch(CARD, V2, progress=False).path
        assert store.verdict(path, V2)[0] == "ok"
        path.write_bytes(BODY[:-1])
        assert store.verdict(path, V2)[0] == "wrong"
        assert store.locate(CARD, V2) is None
        assert store.fetch(CARD, V2, progress=False).sha256 == SHA


def test_downloads_go_to_the_folder_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Served({V1.filename: BODY})) as server:
        monkeypatch.setenv("VISION_WEIGHTS_URL", server.url)
        assert store.fetch(CARD, V1, weights_dir=tmp_path / "a", progress=False).path.parent == tmp_path / "a"
        monkeypatch.setenv("VISION_WEIGHTS", str(tmp_path / "b"))
        assert store.destination() == tmp_path / "b"


def test_settings_of_ultralytics_may_be_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    for content in ("", "[]", '{"weights_dir": 3}', "\x00"):
        (tmp_path / "settings.json").write_text(content)
        assert len(store.folders()) == 3
