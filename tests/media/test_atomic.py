"""Whole files or none."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from visioncli.errors import InputError, OutputError
from visioncli.media.atomic import atomic_path, make_folder, temporary_name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_whole_and_only_at_the_end(tmp_path: Path) -> None:
    final = tmp_path / "a.txt"
    with atomic_path(final) as temporary:
        assert temporary.parent == final.parent
        assert temporary.name.startswith(".")
        temporary.write_text("whole")
        assert not final.exists()
    assert final.read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    final = tmp_path / "a.txt"
    final.write_text("old")
    with atomic_path(final) as temporary:
        temporary.write_text("new")
        assert final.read_text() == "old"
    assert final.read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_nothing_is_left_after_an_exception(tmp_path: Path, error: type[BaseException]) -> None:
    final = tmp_path / "a.txt"
    final.write_text("old")
    with pytest.raises(error), atomic_path(final) as temporary:
        temporary.write_text("half")
        raise error
    assert names(tmp_path) == ["a.txt"]
    assert final.read_text() == "old"


def test_an_error_of_ours_in_the_block_passes_through(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bad picture"), atomic_path(tmp_path / "a"):
        raise InputError("bad picture")


def test_names_are_unique_and_fit_beside_the_longest(tmp_path: Path) -> None:
    final = tmp_path / ("ä" * 125 + ".jpg")  # 254 bytes
    several = {temporary_name(final) for _ in range(100)}
    assert len(several) == 100
    with atomic_path(final) as temporary:
        temporary.write_text("x")
    assert final.read_text() == "x"


def test_errors_name_the_file_and_the_reason(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "a.txt"
    with (
        pytest.raises(OutputError, match=r"gone/a\.txt: no such folder") as caught,
        atomic_path(gone) as temporary,
    ):
        temporary.write_text("x")
    assert caught.value.exit_code == 4
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"is a file, not a folder|where a folder should be"):
        make_folder(tmp_path / "file" / "b")
    with (
        pytest.raises(OutputError, match="name is too long"),
        atomic_path(tmp_path / ("n" * 300)) as temporary,
    ):
        temporary.write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="it is a folder"), atomic_path(tmp_path / "folder") as temporary:
        temporary.write_text("x")
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_permission_denied(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("x")


def test_a_file_that_grows_too_large(tmp_path: Path) -> None:
    code = """
import sys, resource, signal
from pathlib import Path
from visioncli.errors import OutputError
from visioncli.media.atomic import atomic_path
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic_path(Path(sys.argv[1])) as temporary, temporary.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(600))
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "larger than is allowed" in done.stdout
    assert names(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
