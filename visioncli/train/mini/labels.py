"""Step 3: one set of labels out of the human ones and the teachers'.

    python -m visioncli.train.mini.labels --teachers yolo11n yolo26n yolov8n-seg

Writes `labels.json.gz`: for each photograph `boxes` and `ignore`, rows of [class, x1, y1, x2, y2] in pixels
(class -1 in `ignore`: any); and `targets.u8`, the masks, in the layout of `masks.u8`.

Where people labelled a class completely, their boxes stand alone; where they did not, the teachers fill in.
A merged teacher box from `--sure` on is a label, down to `--unsure` it is ignored: no cell in it is told
that the class is not there. What a sure teacher box claims against complete human labels is ignored too.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from visioncli.train.mini.pack import Photos

Rows = NDArray[np.float64]  # (N, 6): class, x1, y1, x2, y2, score


def overlaps(a: Rows, b: Rows) -> Rows:
    """(N, M) IoU of boxes a (N, 4) and b (M, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return np.asarray(inter / np.maximum(area_a[:, None] + area_b[None] - inter, 1e-9))


def merge(answers: list[Rows], match: float = 0.55) -> Rows:
    """Teachers' rows of one photograph to merged ones: boxes averaged by score, scores by teachers.

    A teacher that does not see the object counts with score 0, so agreement raises the score.
    """
    rows = np.concatenate([np.c_[r, np.full(len(r), t)] for t, r in enumerate(answers)])
    merged = []
    free = np.ones(len(rows), bool)
    for i in np.argsort(-rows[:, 5], kind="stable"):
        if not free[i]:
            continue
        near = (
            free & (rows[:, 0] == rows[i, 0]) & (overlaps(rows[:, 1:5], rows[i : i + 1, 1:5])[:, 0] >= match)
        )
        near[i] = True
        group = [i]
        for t in range(len(answers)):  # the best of each other teacher
            mine = np.flatnonzero(near & (rows[:, 6] == t))
            if t != rows[i, 6] and len(mine):
                group.append(mine[np.argmax(rows[mine, 5])])
        free[near] = False
        weight = rows[group, 5]
        box = (rows[group, 1:5] * weight[:, None]).sum(0) / weight.sum()
        merged.append([rows[i, 0], *box, weight.sum() / len(answers)])
    return np.array(merged, dtype=np.float64).reshape(-1, 6)


def label(
    record: dict[str, Any], classes: list[str], teachers: Rows, sure: float, unsure: float
) -> tuple[Rows, Rows]:
    """One photograph's labels and what to ignore, both (N, 5): class and box in pixels."""
    size = np.array([record["width"], record["height"]] * 2, float)
    human, crowd = (
        np.array([[classes.index(c), *np.multiply(box, size)] for c, *box in record.get(kind, [])]).reshape(
            -1, 5
        )
        for kind in ("boxes", "crowd")
    )
    coverage = record["coverage"]
    complete = np.zeros(len(classes), bool)
    if coverage == "all":
        complete[:] = True
    elif coverage != "none":
        complete[[classes.index(c) for c in coverage]] = True

    known = complete[teachers[:, 0].astype(int)]
    seen = np.zeros(len(teachers), bool)  # by people: the same object, or one inside a crowd
    if len(human):
        same = teachers[:, :1] == human[None, :, 0]
        seen |= (same & (overlaps(teachers[:, 1:5], human[:, 1:]) > 0.5)).any(1)
    score = teachers[:, 5]
    add = ~known & ~seen & (score >= sure)
    doubt = ~seen & ~add & (score >= np.where(known, sure, unsure))
    boxes = np.concatenate([human, teachers[add, :5]])
    ignore = np.concatenate([crowd, teachers[doubt, :5]])
    small = np.min(boxes[:, 3:] - boxes[:, 1:3], axis=1, initial=1e9) < 3
    return boxes[~small], np.concatenate([ignore, boxes[small]])


def mask_target(
    record: dict[str, Any], human: NDArray[np.uint8], pseudo: NDArray[np.uint8], voc: list[str]
) -> Any:
    """(H, W) uint8: the human mask where it is complete, the teacher's elsewhere, 255 where unknown."""
    if not record.get("mask"):
        return pseudo
    covered = record["mask_coverage"]
    if not isinstance(covered, list):
        return human
    out = np.where(human == 255, 255, np.where(human > 0, human, pseudo))
    claims = np.isin(pseudo, [voc.index(c) for c in covered]) & (human == 0)
    out[claims] = 0  # people looked for these classes and saw none there
    if "car" in covered:  # CamVid's cars include buses and vans
        out[(human == voc.index("car")) & (pseudo == voc.index("bus"))] = voc.index("bus")
    return out


def read_teacher(path: Path) -> dict[str, Rows]:
    """A teacher's answers by photograph."""
    answers = {}
    for line in path.read_bytes().splitlines():
        record = orjson.loads(line)
        if record["type"] == "result":
            rows = [[r["class"], *r["box"], r["score"]] for r in record["results"]]
            answers[record["source"]] = np.array(rows, float).reshape(-1, 6)
    return answers


def build(folder: Path, names: list[str], sure: float, unsure: float) -> dict[str, int]:
    """Write the labels under `folder`; returns how many boxes of which kind there are."""
    photos = Photos.open(folder)
    teachers = [read_teacher(folder / f"teacher-{name}.jsonl") for name in names]
    out, counts = {}, {"boxes": 0, "human": 0, "ignore": 0}
    for record in photos.records:
        merged = merge([t[record["name"]] for t in teachers])
        boxes, ignore = label(record, photos.classes, merged, sure, unsure)
        out[record["name"]] = {"boxes": boxes.round(2).tolist(), "ignore": ignore.round(2).tolist()}
        counts["boxes"] += len(boxes)
        counts["human"] += len(record["boxes"])
        counts["ignore"] += len(ignore)
    with gzip.open(folder / "labels.json.gz", "wt") as file:
        json.dump(
            {"classes": photos.classes, "teachers": names, "sure": sure, "unsure": unsure, "photos": out},
            file,
        )
    masks = [name for name in names if (folder / f"teacher-{name}.u8").exists()]
    if masks:
        pseudo = Photos.open(folder, masks=f"teacher-{masks[0]}.u8")
        with (folder / "targets.u8").open("wb") as targets:
            for i, record in enumerate(photos.records):
                targets.write(mask_target(record, photos.mask(i), pseudo.mask(i), photos.voc).tobytes())
    return counts


def main() -> None:
    """Command line of this step."""
    parser = argparse.ArgumentParser(description="one set of labels out of the human ones and the teachers'")
    parser.add_argument("--folder", type=Path, default=Path("build/mini"))
    parser.add_argument("--teachers", nargs="+", default=["yolo11n", "yolo26n", "yolov8n-seg"])
    parser.add_argument("--sure", type=float, default=0.25)
    parser.add_argument("--unsure", type=float, default=0.05)
    args = parser.parse_args()
    print(build(args.folder, args.teachers, args.sure, args.unsure))


if __name__ == "__main__":
    main()
