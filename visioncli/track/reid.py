"""What objects look like, by a network in a file that turns a crop into a vector (re-identification).

The crops are those of Ultralytics' own encoder: the box widened by 2 % and 10 px, RGB, stretched to the
network's input, 0 to 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from visioncli.errors import ModelError, UsageError
from visioncli.results import Floats, Image

SIZE = (224, 224)  # px (height, width) for a network that takes any size
GAIN, PAD = 1.02, 10  # how much wider than its box a crop is: a factor, then px

Infer = Callable[[Floats], Any]


class Encoder:
    """Crops to vectors: `encoder(image, boxes)` gives (N, D) float32, zeros for a box without pixels."""

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise UsageError(
                f"--reid {file}: no such file", hint="off, auto, or an .onnx or .torchscript file"
            )
        opener = {".onnx": _onnx, ".torchscript": _torchscript}.get(file.suffix.lower())
        if opener is None:
            raise UsageError(f"--reid {file}: not an .onnx or .torchscript file")
        try:
            self._infer, self._size, self._batch = opener(file)
        except UsageError:
            raise
        except Exception as error:  # the libraries raise whatever they like
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise ModelError(f"--reid {file}: cannot be loaded ({reason[0]})") from error
        self._file = file

    def __call__(self, image: Image, boxes: Floats) -> Floats:
        """One vector a box of the (H, W, 3) uint8 RGB picture."""
        crops = [self._crop(image, box) for box in boxes.tolist()]
        seen = [i for i, crop in enumerate(crops) if crop is not None]
        stacked = np.array([crops[i] for i in seen], np.float32).reshape(-1, 3, *self._size)
        vectors = self._run(stacked)
        features = np.zeros((len(crops), vectors.shape[1]), np.float32)
        features[seen] = vectors
        return features

    def _crop(self, image: Image, box: list[float]) -> Floats | None:
        """(3, h, w) float32 in 0..1."""
        x1, y1, x2, y2 = box
        wide, high = (x2 - x1) * GAIN + PAD, (y2 - y1) * GAIN + PAD
        left, top = max(int((x1 + x2 - wide) / 2), 0), max(int((y1 + y2 - high) / 2), 0)
        right, bottom = max(int((x1 + x2 + wide) / 2), 0), max(int((y1 + y2 + high) / 2), 0)
        crop = image[top:bottom, left:right]
        if not crop.size:
            return None
        fitted = cv2.resize(crop, self._size[::-1], interpolation=cv2.INTER_LINEAR)
        scaled: Floats = fitted.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        return scaled

    def _run(self, crops: Floats) -> Floats:
        """All crops through the network, in the batches that it takes."""
        step = self._batch or max(len(crops), 1)
        vectors = []
        for start in range(0, len(crops), step):
            part = crops[start : start + step]
            full = np.zeros((step, *part.shape[1:]), np.float32) if len(part) < step else part
            full[: len(part)] = part
            answer = np.asarray(self._infer(full), np.float32)
            if answer.ndim < 2 or len(answer) != step:
                raise ModelError(
                    f"--reid {self._file}: gives {answer.shape} for {step} crops, not a vector each"
                )
            vectors.append(answer.reshape(step, -1)[: len(part)])
        return np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)


def _onnx(file: Path) -> tuple[Infer, tuple[int, int], int | None]:
    """ONNX: through OpenVINO where it is installed, which also tells the input's size, else OpenCV."""
    try:
        from visioncli.runtime._openvino import core

        model = core().read_model(file)
    except UsageError:
        network = cv2.dnn.readNetFromONNX(str(file))

        def by_opencv(crops: Floats) -> Any:
            network.setInput(crops)
            return network.forward()

        return by_opencv, SIZE, 1
    shape = model.input(0).get_partial_shape()
    batch, _, height, width = (
        int(side.get_length()) if side.is_static else None for side in (shape[i] for i in range(4))
    )
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda crops: compiled(crops)[0], (height or SIZE[0], width or SIZE[1]), batch


def _torchscript(file: Path) -> tuple[Infer, tuple[int, int], int | None]:
    """TorchScript, which does not tell its input's size."""
    import torch

    with warnings.catch_warnings():  # that TorchScript is old is nothing to tell the user
        warnings.simplefilter("ignore", FutureWarning)
        module = torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]

    def infer(crops: Floats) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(crops)).float().numpy()

    return infer, SIZE, None
