"""Pictures to measure with where the user names none."""

from __future__ import annotations

from pathlib import Path

COUNT, WIDTH, HEIGHT = 16, 1280, 720


def make(folder: Path, count: int = COUNT) -> list[Path]:
    """JPEG files with soft colours, hard edges and noise: as long to decode as photographs are. No objects.

    The same ones each time.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    random = np.random.default_rng(15)
    paths = []
    for number in range(count):
        soft = Image.fromarray(random.integers(0, 256, (9, 16, 3), np.uint8))
        picture = soft.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(picture)
        for _ in range(24):
            left, top = int(random.integers(0, WIDTH)), int(random.integers(0, HEIGHT))
            colour = tuple(int(c) for c in random.integers(0, 256, 3))
            shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
            across, down = (int(s) for s in random.integers(20, 240, 2))
            shape((left, top, left + across, top + down), fill=colour)
        noisy = np.asarray(picture) + random.normal(0, 6, (HEIGHT, WIDTH, 1))
        path = folder / f"made-{number:02d}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(path)
    return paths
