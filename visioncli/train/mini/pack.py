"""Step 1: decode the training photographs once into one flat file that training maps into memory.

    python -m visioncli.train.mini.pack --photos ../shared/train --out build/mini

Writes `photos.u8` (the RGB pixels of all photographs, one after the other), `masks.u8` (the human masks, same
offsets in pixels, 255 where there is none) and `photos.json.gz` (the labels, with `offset` in pixels added).
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visioncli.results import Image as Pixels


def pack(source: Path, out: Path) -> int:
    """Pack the shards of `source` under `out`; returns how many photographs there are."""
    with gzip.open(source / "labels.json.gz", "rt") as file:
        labels = json.load(file)
    out.mkdir(parents=True, exist_ok=True)
    pictures = {name: data for shard in sorted(source.glob("photos-*.tar")) for name, data in _members(shard)}
    masks = dict(_members(source / "masks.tar"))
    offset = 0
    with (out / "photos.u8").open("wb") as photos_file, (out / "masks.u8").open("wb") as masks_file:
        for photo in labels["photos"]:
            pixels = np.asarray(Image.open(io.BytesIO(pictures[photo["name"]])).convert("RGB"))
            if pixels.shape[:2] != (photo["height"], photo["width"]):
                raise ValueError(f"{photo['name']}: {pixels.shape[:2]} pixels, but the labels say otherwise")
            photo["offset"] = offset
            photos_file.write(pixels.tobytes())
            masks_file.write(_mask(photo, masks).tobytes())
            offset += photo["height"] * photo["width"]
    with gzip.open(out / "photos.json.gz", "wt") as file:
        json.dump(labels, file)
    return len(labels["photos"])


def _members(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
        return [(Path(name).name, file.read()) for name, file in files if file is not None]


def _mask(photo: dict[str, Any], masks: dict[str, bytes]) -> Pixels:
    shape = (photo["height"], photo["width"])
    if not photo.get("mask"):
        return np.full(shape, 255, np.uint8)
    mask = np.asarray(Image.open(io.BytesIO(masks[Path(photo["name"]).with_suffix(".png").name])))
    if mask.shape != shape:
        raise ValueError(f"{photo['name']}: the mask has another size")
    return mask


@dataclass(frozen=True)
class Photos:
    """The packed photographs: `len()`, `[i]` (H, W, 3) uint8 RGB, `mask(i)` (H, W) uint8 VOC classes."""

    records: list[dict[str, Any]]
    classes: list[str]
    voc: list[str]
    pixels: NDArray[np.uint8]
    masks: NDArray[np.uint8]

    @classmethod
    def open(cls, folder: Path, *, masks: str = "masks.u8") -> Photos:
        """Map what `pack` wrote under `folder`; `masks` names another file of the same layout."""
        with gzip.open(folder / "photos.json.gz", "rt") as file:
            labels = json.load(file)
        return cls(
            labels["photos"],
            labels["classes"],
            labels["voc"],
            np.memmap(folder / "photos.u8", np.uint8, "r"),
            np.memmap(folder / masks, np.uint8, "r"),
        )

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: int) -> Pixels:
        r = self.records[i]
        start, size = 3 * r["offset"], 3 * r["height"] * r["width"]
        return self.pixels[start : start + size].reshape(r["height"], r["width"], 3)

    def mask(self, i: int) -> Pixels:
        """(H, W) uint8: VOC class of each pixel of photograph `i`, 255 where nobody knows."""
        r = self.records[i]
        return self.masks[r["offset"] : r["offset"] + r["height"] * r["width"]].reshape(
            r["height"], r["width"]
        )


def main() -> None:
    """Command line of this step."""
    parser = argparse.ArgumentParser(description="decode the training photographs into one flat file")
    parser.add_argument("--photos", type=Path, default=Path("../shared/train"))
    parser.add_argument("--out", type=Path, default=Path("build/mini"))
    args = parser.parse_args()
    print(f"{pack(args.photos, args.out)} photographs packed into {args.out}")


if __name__ == "__main__":
    main()
