"""Step 4: what the start network says to crops of the photographs, for training to keep to.

    python -m visioncli.train.mini.answers

Writes `answers.npz`: crops (P, K, 4) in pixels and logits (P, K, 1000). The start network runs as it was
trained, with TensorFlow's SAME padding.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from visioncli.models.mini_net import MiniNet, folded_state
from visioncli.train.mini.data import cut
from visioncli.train.mini.pack import Photos
from visioncli.train.mini.start import load_start


class SamePad(nn.Module):
    """A convolution padded as TensorFlow pads it: the odd pixel below and to the right."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.k, self.s = conv.kernel_size[0], conv.stride[0]
        conv.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution."""
        pads = [max((-(-n // self.s) - 1) * self.s + self.k - n, 0) for n in x.shape[2:]]
        top, left = pads[0] // 2, pads[1] // 2
        out: Tensor = self.conv(F.pad(x, (left, pads[1] - left, top, pads[0] - top)))
        return out


def start_classifier(packages: Path, *, same: bool = True) -> nn.Module:
    """The start network as a classifier of RGB in 0..1; `same`: with the padding it was trained with."""
    trained = MiniNet(("classify",), folded=False)
    trained.load_state_dict(load_start(packages))
    net = MiniNet(("classify",))
    net.load_state_dict(folded_state(trained))
    if same:
        for module in list(net.modules()):
            conv = getattr(module, "conv", None)
            if isinstance(conv, nn.Conv2d) and conv.kernel_size[0] > 1:
                module.conv = SamePad(conv)
    return net.eval().to(memory_format=torch.channels_last)


def places(photos: Photos, per_photo: int, seed: int) -> np.ndarray[Any, Any]:
    """(P, K, 4) int32 crops x1, y1, x2, y2: first the middle square, then 30 to 100 % of the area."""
    rng = np.random.default_rng(seed)
    out = np.zeros((len(photos), per_photo, 4), np.int32)
    for i, r in enumerate(photos.records):
        h, w = r["height"], r["width"]
        for k in range(per_photo):
            side = min(h, w)
            ch = cw = side
            if k:
                area, ratio = rng.uniform(0.3, 1.0) * h * w, np.exp(rng.uniform(-0.3, 0.3))
                cw, ch = min(w, round(np.sqrt(area * ratio))), min(h, round(np.sqrt(area / ratio)))
            x, y = (
                ((w - cw) // 2, (h - ch) // 2)
                if not k
                else (rng.integers(w - cw + 1), rng.integers(h - ch + 1))
            )
            out[i, k] = x, y, x + cw, y + ch
    return out


def answer(folder: Path, packages: Path, per_photo: int, seed: int = 0) -> None:
    """Write `answers.npz` under `folder`."""
    photos = Photos.open(folder)
    where = places(photos, per_photo, seed)
    logits = np.zeros((len(photos), per_photo, 1000), np.float16)
    net = start_classifier(packages)
    cv2.setNumThreads(1)
    chunk = 8
    for start in range(0, len(photos), chunk):
        rows = range(start, min(start + chunk, len(photos)))
        crops = np.stack([cut(photos[i], where[i, k]) for i in rows for k in range(per_photo)])
        x = (
            torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last).float()
            / 255
        )
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            y = net(x)[0].float()
        logits[rows.start : rows.stop] = y.view(len(rows), per_photo, 1000).numpy()
        if start % 800 == 0:
            print(f"answers: {start}", flush=True)
    temporary = folder / "answers.part.npz"
    np.savez(temporary, where=where, logits=logits)
    temporary.replace(folder / "answers.npz")


def main() -> None:
    """Command line of this step."""
    parser = argparse.ArgumentParser(description="what the start network says to crops of the photographs")
    parser.add_argument("--folder", type=Path, default=Path("build/mini"))
    parser.add_argument("--packages", type=Path, default=Path("build/mini/pkgs"))
    parser.add_argument("--crops", type=int, default=4, help="crops a photograph")
    args = parser.parse_args()
    answer(args.folder, args.packages, args.crops)


if __name__ == "__main__":
    main()
