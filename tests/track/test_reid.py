"""Networks that tell what crops look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visioncli.errors import ModelError, UsageError
from visioncli.track.reid import SIZE, Encoder

BOXES = np.array([[10, 10, 50, 90], [200, 20, 260, 110], [-40, -40, -20, -20]], np.float32)


def picture() -> np.ndarray:
    image = np.zeros((120, 300, 3), np.uint8)
    image[:, :150], image[:, 150:] = (255, 0, 51), (0, 102, 0)
    return image


def field(number: int, value: int | bytes) -> bytes:
    """A field of a protobuf message: a number, or bytes (strings and messages)."""
    if isinstance(value, int):
        return bytes([number << 3]) + varint(value)
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def onnx(path: Path, batch: int | None, height: int, width: int) -> Path:
    """An ONNX file whose one node averages each colour over the crop (a batch of None is any)."""

    def value(name: bytes, *sides: int | None) -> bytes:
        dims = b"".join(field(1, field(2, b"n") if s is None else field(1, s)) for s in sides)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    node = field(1, b"x") + field(2, b"y") + field(4, b"GlobalAveragePool")
    inside = field(11, value(b"x", batch, 3, height, width)) + field(12, value(b"y", batch, 3, 1, 1))
    graph = field(1, node) + field(2, b"colours") + inside
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 13)))
    return path


def torchscript(path: Path) -> Path:
    import torch

    class Colours(torch.nn.Module):
        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            return crops.mean((2, 3))

    torch.jit.trace(Colours(), torch.zeros(2, 3, *SIZE)).save(str(path))
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["torchscript", "onnx", "onnx of one"])
def test_crops_become_vectors(tmp_path: Path, kind: str) -> None:
    if kind == "torchscript":
        file = torchscript(tmp_path / "net.torchscript")
    else:
        pytest.importorskip("openvino")
        file = onnx(tmp_path / "net.onnx", 1 if kind == "onnx of one" else None, 64, 32)
    encoder = Encoder(file)
    features = encoder(picture(), BOXES)
    assert features.shape == (3, 3)
    assert np.abs(features - [[1, 0, 0.2], [0, 0.4, 0], [0, 0, 0]]).max() < 0.01  # the third has no pixels
    assert encoder(picture(), BOXES[:0]).shape[0] == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.onnx", "no such file"),
        ("net.txt", "not an .onnx"),
        ("bad.onnx", "bad.onnx"),
        ("bad.torchscript", "bad"),
    ],
)
def test_what_is_no_network_is_refused(tmp_path: Path, name: str, says: str) -> None:
    if name != "none.onnx":
        (tmp_path / name).write_bytes(b"\x00nothing")
    with pytest.raises((UsageError, ModelError), match=says):
        Encoder(tmp_path / name)
