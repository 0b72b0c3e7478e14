"""What a safetensors file says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from visioncli.errors import ModelError
from visioncli.registry.header import answered, metadata

LABELS = ("person", "car", "cat")


def saved(path: Path, about: dict[str, str] | None) -> Path:
    save_file({"w": np.zeros(4, np.float32)}, path, about)
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert metadata(saved(tmp_path / "a.safetensors", {"detects": "cat,é"})) == {"detects": "cat,é"}
    assert metadata(saved(tmp_path / "b.safetensors", None)) == {}


def test_labels_that_are_answered(tmp_path: Path) -> None:
    """In the order of the label set; all of it for a task, or by a file, that says nothing."""
    path = saved(tmp_path / "a.safetensors", {"detects": "cat,person"})
    assert answered(path, "detect", LABELS) == ("person", "cat")
    assert answered(path, "segment-semantic", LABELS) == LABELS
    assert answered(path, "classify", LABELS) == LABELS
    with pytest.raises(ModelError, match="cat"):
        answered(path, "detect", ("person",))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04" * 9, b"\x02\0\0\0\0\0\0\0[]", b"\x01" + b"\0" * 7 + b"\xff"]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="not a safetensors file"):
        metadata(tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        metadata(tmp_path)
