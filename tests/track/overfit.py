"""A torchvision detector that answers, without published weights: SSDlite learns one short video by heart.

Three discs move over a still, textured ground; `learn` trains the network on some of the frames until it
finds them (a minute or two on two cores), and `video` writes all of them. By hand:

    python -m tests.track.overfit FOLDER
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

FRAMES, SIZE = 40, 320
COLOURS = ((230, 60, 50), (60, 200, 80), (70, 90, 235))
PERSON = 1  # the label that all of them get, of torchvision's COCO ones


def frame(number: int) -> tuple[np.ndarray, np.ndarray]:
    """(SIZE, SIZE, 3) uint8 RGB, and the boxes (3, 4) of its discs."""
    rng = np.random.default_rng(0)
    ground = rng.integers(90, 150, (SIZE // 8, SIZE // 8, 3), np.uint8)
    picture = cv2.resize(ground, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    boxes = []
    for i, colour in enumerate(COLOURS):
        x, y, r = 60 + 5 * number * (1, 0.7, 0.9)[i], 60 + 100 * i + 8 * np.sin(number / 5 + i), 30 + 4 * i
        cv2.circle(picture, (round(x), round(y)), r, colour, -1, cv2.LINE_AA)
        boxes.append([x - r, y - r, x + r, y + r])
    return picture, np.array(boxes, np.float32)


def video(path: Path) -> Path:
    """All frames, as MP4."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"crf": "12"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(frame(number)[0], format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def learn(path: Path, steps: int = 90, seed: int = 0) -> Path:
    """The weights of an SSDlite that finds the discs, as torchvision would save them."""
    torch.manual_seed(seed)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).train()
    samples = [frame(number) for number in range(0, FRAMES, 2)]
    inputs = [torch.from_numpy(picture).permute(2, 0, 1).float() / 255 for picture, _ in samples]
    targets = [
        {"boxes": torch.from_numpy(boxes).clamp(0, SIZE), "labels": torch.full((3,), PERSON)}
        for _, boxes in samples
    ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randperm(len(inputs))[:8].tolist()
        losses = model([inputs[i] for i in chosen], [targets[i] for i in chosen])
        loss = sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    # The running means lag behind so short a training: taken anew, over the frames as they are.
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        model(inputs, targets)
    torch.save(model.state_dict(), path)
    return path


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(video(folder / "discs.mp4"), learn(folder / "ssdlite.pth"))
