"""Training pictures: one or four photographs cut, scaled, mirrored and coloured at random, with their labels.

Everything about a picture follows from (seed, step, place in the batch), so a run that is resumed sees what
it would have seen.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from visioncli.results import Image as Pixels
from visioncli.train.mini.pack import Photos

GREY = 114
UNKNOWN = 255
MASK_STRIDE = 4

Rows = NDArray[np.float32]


@dataclass
class Sample:
    """A picture (H, W, 3) uint8, its mask (H/4, W/4), boxes and ignored boxes (N, 5): class, corners px."""

    picture: Pixels
    boxes: Rows
    ignore: Rows
    mask: Pixels


@dataclass(frozen=True)
class Recipe:
    """How pictures are made: share of mosaics, zoom (1: the photograph just fits), colour strength."""

    mosaic: float = 0.4
    zoom: tuple[float, float] = (0.8, 2.0)
    stretch: float = 0.15
    colour: float = 0.4
    keep: float = 0.3  # a cut object stays a label while this share of its box is left
    repeat: int = 1  # how often a pass shows the photographs that people labelled completely


class Source:
    """The packed photographs with the labels that training uses."""

    def __init__(self, folder: Path) -> None:
        self.photos = Photos.open(folder, masks="targets.u8")
        with gzip.open(folder / "labels.json.gz", "rt") as file:
            labels = json.load(file)["photos"]
        rows = [labels[r["name"]] for r in self.photos.records]
        self.boxes = [np.array(r["boxes"], np.float32).reshape(-1, 5) for r in rows]
        self.ignore = [np.array(r["ignore"], np.float32).reshape(-1, 5) for r in rows]

    def __len__(self) -> int:
        return len(self.photos)

    def rows(self, repeat: int) -> list[int]:
        """The photographs of a pass, those with complete human labels `repeat` times."""
        complete = [r["coverage"] == "all" for r in self.photos.records]
        return [i for i, c in enumerate(complete) for _ in range(repeat if c else 1)]

    def aspect(self, i: int) -> float:
        """Width over height of photograph `i`."""
        r = self.photos.records[i]
        return float(r["width"] / r["height"])

    def piece(self, i: int, height: int, width: int, rng: np.random.Generator, recipe: Recipe) -> Sample:
        """Photograph `i` scaled and cut, or padded, to `height` × `width`."""
        picture = self.photos[i]
        h, w = picture.shape[:2]
        fit = min(height / h, width / w)
        zoom = np.exp(rng.uniform(*np.log(recipe.zoom)))
        stretch = np.exp(rng.uniform(-recipe.stretch, recipe.stretch) / 2)
        sx, sy = fit * zoom * stretch, fit * zoom / stretch
        # free room is shared out at random; what does not fit is cut off at random
        x, y = rng.uniform() * (width - sx * w), rng.uniform() * (height - sy * h)
        mirror = rng.uniform() < 0.5
        affine = np.array([[-sx, 0, x + sx * w], [0, sy, y]] if mirror else [[sx, 0, x], [0, sy, y]])
        out = _warp(picture, affine, (height, width), cv2.INTER_LINEAR, (GREY,) * 3)
        mask = _warp(
            self.photos.mask(i),
            affine / MASK_STRIDE,
            (height // MASK_STRIDE, width // MASK_STRIDE),
            cv2.INTER_NEAREST,
            (UNKNOWN,),
        )
        boxes, cut = _move(self.boxes[i], affine, (height, width), recipe.keep)
        ignored, more = _move(self.ignore[i], affine, (height, width), 0.0)
        return Sample(out, boxes, np.concatenate([ignored, cut, more]), mask)

    def mosaic(
        self, rows: list[int], height: int, width: int, rng: np.random.Generator, recipe: Recipe
    ) -> Sample:
        """Four photographs around a random middle."""
        my = MASK_STRIDE * round(rng.uniform(0.35, 0.65) * height / MASK_STRIDE)
        mx = MASK_STRIDE * round(rng.uniform(0.35, 0.65) * width / MASK_STRIDE)
        picture = np.empty((height, width, 3), np.uint8)
        mask = np.empty((height // MASK_STRIDE, width // MASK_STRIDE), np.uint8)
        boxes, ignore = [], []
        zoomed = Recipe(zoom=(1.0, 2.4), stretch=recipe.stretch, keep=recipe.keep)
        corners = [(0, 0, my, mx), (0, mx, my, width), (my, 0, height, mx), (my, mx, height, width)]
        for i, (top, left, bottom, right) in zip(rows, corners, strict=True):
            s = self.piece(i, bottom - top, right - left, rng, zoomed)
            picture[top:bottom, left:right] = s.picture
            mask[top // 4 : bottom // 4, left // 4 : right // 4] = s.mask
            shift = np.array([0, left, top, left, top], np.float32)
            boxes.append(s.boxes + shift)
            ignore.append(s.ignore + shift)
        return Sample(picture, np.concatenate(boxes), np.concatenate(ignore), mask)

    def sample(self, i: int, height: int, width: int, rng: np.random.Generator, recipe: Recipe) -> Sample:
        """A training picture around photograph `i`."""
        if rng.uniform() < recipe.mosaic:
            others = rng.choice(self.rows(recipe.repeat), 3).tolist()
            s = self.mosaic([i, *others], height, width, rng, recipe)
        else:
            s = self.piece(i, height, width, rng, recipe)
        s.picture = recolour(s.picture, rng, recipe.colour)
        return s


def _warp(a: Pixels, affine: Any, shape: tuple[int, int], how: int, border: tuple[int, ...]) -> Pixels:
    # a pixel's centre is at +0.5: without this the picture would slide against its boxes when it is scaled
    moved = affine.copy()
    moved[:, 2] += affine[:, :2].sum(1) * 0.5 - 0.5
    out = cv2.warpAffine(
        a, moved, (shape[1], shape[0]), flags=how, borderMode=cv2.BORDER_CONSTANT, borderValue=border
    )
    return np.asarray(out, np.uint8)


def _move(rows: Rows, affine: Any, shape: tuple[int, int], keep: float) -> tuple[Rows, Rows]:
    """Boxes under `affine`, cut at the border: those of which enough is left, and what is left of others."""
    if not len(rows):
        return rows, rows
    x = affine[0, 0] * rows[:, [1, 3]] + affine[0, 2]
    y = affine[1, 1] * rows[:, [2, 4]] + affine[1, 2]
    whole = np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], 1)
    limit = np.array([shape[1], shape[0]] * 2)
    cut = np.clip(whole, 0, limit)
    side, full = cut[:, 2:] - cut[:, :2], whole[:, 2:] - whole[:, :2]
    share = side.prod(1) / np.maximum(full.prod(1), 1e-6)
    out = np.concatenate([rows[:, :1], cut], 1).astype(np.float32)
    visible = (side > 1).all(1)
    good = visible & (share > keep) & (side > 4).all(1)
    return out[good], out[visible & ~good]


def recolour(picture: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    """Brightness, contrast, tint and saturation at random."""
    if strength <= 0:
        return picture
    gain = np.exp(rng.uniform(-strength, strength)) * np.exp(rng.uniform(-0.15, 0.15, 3) * strength)
    shift = rng.uniform(-60, 60) * strength
    levels = np.clip((np.arange(256)[:, None] - 128) * gain + 128 + shift, 0, 255).astype(np.uint8)
    out = cv2.LUT(picture, levels.reshape(1, 256, 3))
    saturation = rng.uniform(0, 1) if rng.uniform() < 0.1 else rng.uniform(1 - strength, 1 + strength)
    luma = np.array([0.299, 0.587, 0.114])
    matrix = saturation * np.eye(3) + (1 - saturation) * luma
    return np.asarray(cv2.transform(out, matrix), np.uint8)


@dataclass
class Batch:
    """N pictures (N, 3, H, W) uint8, their boxes and ignored boxes, masks (N, H/4, W/4) int64.

    `crops` (M, 3, 224, 224) uint8 and `answers` (M, 1000) the start network's logits for them.
    """

    pictures: torch.Tensor
    boxes: list[torch.Tensor]
    ignore: list[torch.Tensor]
    masks: torch.Tensor
    crops: torch.Tensor
    answers: torch.Tensor


def shape_for(aspect: float, size: int) -> tuple[int, int]:
    """Height and width, multiples of 32, for photographs of this aspect: long side `size`."""
    short = round(size * 0.8 / 32) * 32
    if aspect >= 1.15:
        return short, size
    if aspect <= 1 / 1.15:
        return size, short
    return size - 32, size - 32


class Batches(torch.utils.data.IterableDataset[Batch]):
    """Batches from `step` on: each pass a new order, a batch's photographs of one orientation.

    `part` of each batch is made here, for example every second place.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int,
        batch: int,
        crops: int,
        step: int,
        steps: int,
        seed: int,
        recipe: Recipe,
        part: slice = slice(None),
    ) -> None:
        self.folder, self.size, self.batch, self.crops, self.part = folder, size, batch, crops, part
        self.step, self.steps, self.seed, self.recipe = step, steps, seed, recipe

    def plan(self, source: Source, epoch: int) -> list[tuple[tuple[int, int], list[int]]]:
        """One pass: the batches' shapes and photographs."""
        rng = np.random.default_rng((self.seed, 1, epoch))
        groups: dict[tuple[int, int], list[int]] = {}
        for i in rng.permutation(source.rows(self.recipe.repeat)).tolist():
            groups.setdefault(shape_for(source.aspect(i), self.size), []).append(i)
        plan = [
            (shape, rows[start : start + self.batch])
            for shape, rows in groups.items()
            for start in range(0, len(rows) - self.batch + 1, self.batch)
        ]
        return [plan[i] for i in rng.permutation(len(plan))]

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        source = Source(self.folder)
        crops = Crops(self.folder) if self.crops else None
        per_pass = len(self.plan(source, 0))
        epoch, plan = -1, []
        for step in range(self.step, self.steps):
            if worker is not None and (step - self.step) % worker.num_workers != worker.id:
                continue
            if step // per_pass != epoch:
                epoch = step // per_pass
                plan = self.plan(source, epoch)
            shape, rows = plan[step % per_pass]
            samples = [
                source.sample(rows[n], *shape, np.random.default_rng((self.seed, 2, step, n)), self.recipe)
                for n in list(range(self.batch))[self.part]
            ]
            yield collate(samples, crops.draw(source, self._crops(step), self.recipe) if crops else None)

    def _crops(self, step: int) -> list[np.random.Generator]:
        places = list(range(self.crops))[self.part]
        return [np.random.default_rng((self.seed, 3, step, n)) for n in places]


def collate(samples: list[Sample], crops: tuple[Any, Any] | None) -> Batch:
    """Samples of one shape, and crops with their answers, as tensors."""
    pictures = np.stack([s.picture for s in samples]).transpose(0, 3, 1, 2)
    crop, answer = crops or (np.zeros((0, 3, 224, 224), np.uint8), np.zeros((0, 1000), np.float16))
    return Batch(
        torch.from_numpy(np.ascontiguousarray(pictures)),
        [torch.from_numpy(s.boxes) for s in samples],
        [torch.from_numpy(s.ignore) for s in samples],
        torch.from_numpy(np.stack([s.mask for s in samples]).astype(np.int64)),
        torch.from_numpy(crop),
        torch.from_numpy(answer).float(),
    )


class Crops:
    """Fixed crops of the photographs with the start network's class logits (`answers` writes them)."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "answers.npz") as file:
            self.where, self.logits = file["where"], file["logits"]  # (P, K, 4) px, (P, K, 1000)

    def draw(self, source: Source, places: list[np.random.Generator], recipe: Recipe) -> tuple[Any, Any]:
        """A crop for each of `places`, mirrored and coloured at random, and their logits."""
        pictures, answers = [], []
        for rng in places:
            i, k = int(rng.integers(len(self.where))), int(rng.integers(self.where.shape[1]))
            picture = cut(source.photos[i], self.where[i, k])
            if rng.uniform() < 0.5:
                picture = picture[:, ::-1]
            picture = recolour(np.ascontiguousarray(picture), rng, recipe.colour / 2)
            pictures.append(picture.transpose(2, 0, 1))
            answers.append(self.logits[i, k])
        return np.stack(pictures), np.stack(answers)


def cut(picture: Pixels, where: NDArray[Any]) -> Pixels:
    """The part x1, y1, x2, y2 of a picture at 224×224."""
    x1, y1, x2, y2 = where.tolist()
    part = picture[y1:y2, x1:x2]
    shrinks = part.shape[0] >= 224 and part.shape[1] >= 224
    return np.asarray(
        cv2.resize(part, (224, 224), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    )
