"""What is kept between runs: found again when it is whole and for the same key, and never otherwise."""

from __future__ import annotations

import os
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visioncli import cache
from visioncli.errors import OutputError

KEY = {"weights": "abc", "network": "test-1"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISION_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def the_file(folder: Path) -> Path:
    (found,) = folder.glob("*.kept")
    return found


def test_kept_and_found() -> None:
    assert cache.read("network", KEY) is None
    cache.write("network", KEY, b"\x00\n\xff bytes", {"model": "a"})
    assert cache.read("network", KEY) == b"\x00\n\xff bytes"
    assert cache.exists("network", KEY)
    assert cache.read("compiled", KEY) is None
    assert cache.read("network", {**KEY, "network": "test-2"}) is None
    (entry,) = cache.entries()
    assert (entry.kind, entry.key, entry.about) == ("network", KEY, {"model": "a"})
    assert entry.bytes == entry.path.stat().st_size


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(at=st.integers(0, 400), byte=st.integers(1, 255), cut=st.booleans())
def test_a_broken_file_is_never_trusted(folder: Path, at: int, byte: int, cut: bool) -> None:
    """One byte changed, or the end missing: nothing is found, except where only words for people changed."""
    cache.write("network", KEY, b"0123456789" * 20, {"model": "a"})
    path = the_file(folder)
    content = bytearray(path.read_bytes())
    at %= len(content)
    if cut:
        del content[at:]
    else:
        content[at] ^= byte
    path.write_bytes(content)
    assert cache.read("network", KEY) in (None, b"0123456789" * 20)
    if cut or at >= len(content) - 200:
        assert cache.read("network", KEY) is None
    list(cache.entries())


def test_another_key_under_the_same_name_is_foreign(folder: Path) -> None:
    cache.write("network", KEY, b"mine")
    other = {**KEY, "weights": "other"}
    cache.write("network", other, b"other")
    mine, others = (cache._path("network", key) for key in (KEY, other))
    mine.write_bytes(others.read_bytes())
    assert cache.read("network", KEY) is None


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_another_users_file_is_not_read(folder: Path) -> None:
    cache.write("network", KEY, b"mine")
    os.chown(the_file(folder), 12345, 12345)
    os.environ["VISION_CACHE"] = str(folder)
    assert cache.read("network", KEY) is None


def test_facts_are_found_once(folder: Path) -> None:
    asked: list[int] = []

    def find() -> dict[str, object]:
        asked.append(1)
        return {"names": ["cat", "dog"], "imgsz": None}

    for _ in range(2):
        assert cache.facts("abc", "test-1", find) == {"names": ["cat", "dog"], "imgsz": None}
    assert len(asked) == 1
    cache.facts("abc", "test-2", find)
    assert len(asked) == 2
    assert cache.clear()[0] == 2
    cache.facts("abc", "test-1", find)
    assert len(asked) == 3


def test_without_a_place_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VISION_CACHE", str(tmp_path / "file" / "kept"))
    with pytest.raises(OutputError):
        cache.write("network", KEY, b"")
    assert cache.facts("abc", "test-1", lambda: {"a": 1}) == {"a": 1}
    assert list(cache.entries()) == []
    assert cache.clear() == (0, 0)


def test_clear_leaves_what_is_not_ours(folder: Path) -> None:
    cache.write("network", KEY, b"12345")
    (folder / ".network-0.kept.123-0.part").write_bytes(b"left by a kill")
    (folder / "notes.txt").write_text("mine")
    files, size = cache.clear()
    assert files == 2
    assert size > 5
    assert [p.name for p in folder.iterdir()] == ["notes.txt"]


def test_forget_takes_what_other_versions_left() -> None:
    old = {**KEY, "card": "c", "openvino": "1"}
    new = {**KEY, "card": "c", "openvino": "2"}
    other = {**KEY, "card": "d", "openvino": "1"}
    for key in (old, new, other):
        cache.write("network", key, b"")
    cache.write("compiled", {**new, "shape": "any"}, b"")
    cache.forget(new, ("network", "compiled"))
    assert {e.key["openvino"] + e.key["card"] + e.kind for e in cache.entries()} == {
        "2cnetwork", "2ccompiled", "1dnetwork",
    }  # fmt: skip


def _write_many(folder: str, mark: int) -> int:
    os.environ["VISION_CACHE"] = folder
    whole = 0
    for _ in range(40):
        cache.write("network", KEY, bytes([mark]) * 5000)
        found = cache.read("network", KEY)
        whole += found is not None and len(set(found)) == 1 and len(found) == 5000
    return whole


def test_two_processes_at_once(folder: Path) -> None:
    """Each always finds a whole file: its own, or the other's."""
    with get_context("spawn").Pool(2) as pool:
        assert pool.starmap(_write_many, [(str(folder), 1), (str(folder), 2)]) == [40, 40]
    assert len(list(folder.iterdir())) == 1
