"""A small training set in the form of `shared/train`: discs and squares with exact boxes."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image, ImageDraw

from visioncli.train.mini import labels, pack

CLASSES = [f"class {i}" for i in range(80)]
CLASSES[0], CLASSES[2] = "person", "car"
VOC = ["background", *(f"voc {i}" for i in range(1, 21))]
VOC[7], VOC[15] = "car", "person"


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photographs: one red disc ("person") and one blue square ("car") each, of several shapes."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    photos = []
    with (
        tarfile.open(folder / "photos-00.tar", "w") as tar,
        tarfile.open(folder / "masks.tar", "w") as mask_tar,
    ):
        for i in range(12):
            width, height = [(320, 240), (240, 320), (256, 256)][i % 3]
            image, mask = Image.new("RGB", (width, height), (90, 120, 90)), Image.new("L", (width, height), 0)
            boxes = []
            for name, colour, voc in (("person", (220, 40, 40), 15), ("car", (40, 60, 220), 7)):
                side = int(rng.integers(60, 110))
                x = int(
                    rng.integers(
                        0 if name == "person" else width // 2, width - side - width // 2 * (name == "person")
                    )
                )
                y = int(rng.integers(height - side))
                box = (x, y, x + side - 1, y + side - 1)
                shape = "ellipse" if name == "person" else "rectangle"
                getattr(ImageDraw.Draw(image), shape)(box, fill=colour)
                getattr(ImageDraw.Draw(mask), shape)(box, fill=voc)
                boxes.append([name, x / width, y / height, (x + side) / width, (y + side) / height])
            record = {
                "name": f"{i:05d}.jpg",
                "width": width,
                "height": height,
                "boxes": boxes,
                "coverage": "all",
            }
            _add(tar, record["name"], _jpeg(image))
            if i % 2 == 0:
                out = io.BytesIO()
                mask.save(out, "PNG")
                _add(mask_tar, f"{i:05d}.png", out.getvalue())
                record |= {"mask": True, "mask_coverage": "all 20 VOC classes"}
            photos.append(record)
    with gzip.open(folder / "labels.json.gz", "wt") as file:
        json.dump({"classes": CLASSES, "voc": VOC, "photos": photos}, file)
    return folder


@pytest.fixture(scope="session")
def packed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photographs packed, a teacher that saw one more box in the first, and the labels made of it."""
    folder = tmp_path_factory.mktemp("packed")
    pack.pack(shards, folder)
    photos = pack.Photos.open(folder)
    extra = {"class": 5, "score": 0.9, "box": [0, 0, 30, 30], "label": CLASSES[5]}
    lines = [
        {
            "type": "result",
            "source": r["name"],
            "width": r["width"],
            "height": r["height"],
            "results": [extra][i:],
        }
        for i, r in enumerate(photos.records)
    ]
    (folder / "teacher-big.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    (folder / "teacher-big.u8").write_bytes(np.full(len(photos.masks), 255, np.uint8).tobytes())
    labels.build(folder, ["big"], 0.35, 0.12)
    np.savez(
        folder / "answers.npz",
        where=np.tile(np.array([0, 0, 200, 200], np.int32), (len(photos), 2, 1)),
        logits=np.zeros((len(photos), 2, 1000), np.float16),
    )
    return folder
