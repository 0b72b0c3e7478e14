"""Packing: the pixels and masks of each photograph come back."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from visioncli.train.mini.pack import Photos


def test_pixels_come_back(shards: Path, packed: Path) -> None:
    photos = Photos.open(packed)
    with tarfile.open(shards / "photos-00.tar") as tar:
        for i, record in enumerate(photos.records):
            data = tar.extractfile(record["name"])
            assert data is not None
            assert np.array_equal(photos[i], np.asarray(Image.open(io.BytesIO(data.read()))))


def test_masks_come_back_and_are_unknown_elsewhere(packed: Path) -> None:
    photos = Photos.open(packed)
    assert set(np.unique(photos.mask(0))) == {0, 7, 15}
    assert (photos.mask(1) == 255).all()
    x = photos.records[0]["boxes"][1]  # the car
    middle = photos.mask(0)[int((x[2] + x[4]) / 2 * 240), int((x[1] + x[3]) / 2 * 320)]
    assert middle == 7
