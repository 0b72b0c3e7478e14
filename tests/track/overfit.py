"""A torchvision detector that answers, without published weights: SSDlite learns one short video by heart.

Three discs move over a still, textured ground; `learn` trains the network on the frames until it finds them
(half a minute), and `video` writes them. By hand:

    python -m tests.track.overfit FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.ops import box_iou

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
        x, y, r = 60 + 3 * number * (1, 0.7, 0.9)[i], 60 + 100 * i + 8 * np.sin(number / 5 + i), 30 + 4 * i
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


def learn(path: Path, steps: int = 300, seed: int = 0) -> Path:
    """The weights of an SSDlite that finds the discs, as torchvision would save them.

    Only its head learns, from features computed once: those of a random body tell three colours apart.
    """
    torch.manual_seed(seed)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    pictures, boxes = zip(*(frame(number) for number in range(FRAMES)), strict=True)
    inputs = [torch.from_numpy(picture).permute(2, 0, 1).float() / 255 for picture in pictures]
    targets = [
        {"boxes": torch.from_numpy(b).clamp(0, SIZE), "labels": torch.full((3,), PERSON)} for b in boxes
    ]
    with torch.no_grad():
        images, _ = model.transform(inputs)
        calibrate(model.backbone, lambda: model.backbone(images.tensors[::4]))
        features = [model.backbone(images.tensors[i : i + 1]) for i in range(FRAMES)]
        anchors = model.anchor_generator(images, list(features[0].values()))
    matched = [model.proposal_matcher(box_iou(target["boxes"], anchors[0])) for target in targets]
    model.head.train()
    optimizer = torch.optim.AdamW(model.head.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        chosen = torch.randperm(FRAMES)[:6].tolist()
        maps = [torch.cat([features[i][level] for i in chosen]) for level in features[0]]
        losses = model.compute_loss(
            [targets[i] for i in chosen], model.head(maps), [anchors[0]] * 6, [matched[i] for i in chosen]
        )
        loss = 3 * losses["bbox_regression"] + losses["classification"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    with torch.no_grad():
        everything = [torch.cat([one[level] for one in features]) for level in features[0]]
        calibrate(model.head, lambda: model.head(everything))
    torch.save(model.state_dict(), path)
    return path


def calibrate(part: torch.nn.Module, run: Callable[[], object]) -> None:
    """Take the running means of all batch norms anew, from one run, and leave the part in evaluation mode."""
    for module in part.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    part.train()
    run()
    part.eval()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(video(folder / "discs.mp4"), learn(folder / "ssdlite.pth"))
