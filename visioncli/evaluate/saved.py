"""Answers that were saved: our records, COCO's results files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import orjson

from visioncli import records
from visioncli.errors import InputError, UsageError
from visioncli.evaluate import mot_folder
from visioncli.evaluate.boxes import Row
from visioncli.evaluate.data import BoxSet, LabelSet, TrackSet
from visioncli.evaluate.labels import Guess
from visioncli.evaluate.mot_folder import Line as MotLine
from visioncli.evaluate.names import Matching, folded, match

Line = dict[str, Any]


def is_record(path: Path) -> bool:
    """Whether a file is one of our records: its first line is the run's."""
    with path.open("rb") as stream:
        head = stream.read(256).lstrip()
    return head.startswith(b"{") and b'"run"' in head


@dataclass(frozen=True, slots=True)
class Record:
    """A record's pictures: what wrote it, its `result` lines, and its `error` lines."""

    model: str
    weights: str | None
    names: Sequence[str]
    options: dict[str, Any]
    results: Sequence[Line]
    errors: Sequence[Line]


def read_record(path: Path) -> Record:
    """A whole record. UsageError for one without its first line or of several models."""
    runs: list[Line] = []
    results, errors = [], []
    for line in records.read(path):
        if line["type"] == "run":
            runs.append(line)
        elif line["type"] == "result":
            results.append(line)
        elif line["type"] == "error":
            errors.append(line)
    if not runs:
        raise UsageError(f"{path}: no record: its first line must be a run's")
    if any(run["model"] != runs[0]["model"] for run in runs):
        raise UsageError(f"{path}: holds the results of several models", hint="evaluate one at a time")
    model = runs[0]["model"]
    return Record(model["name"], model["weights"], model["names"], runs[0]["options"], results, errors)


class Places:
    """Finds the picture that a record's `source` means: by its path's end, as long as it takes."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._by_name: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for i, path in enumerate(paths):
            self._by_name.setdefault(path.name, []).append((path.parts, i))

    def find(self, source: str) -> int | None:
        """The picture's place; None for a stranger. UsageError where two fit alike."""
        parts = PurePath(source).parts
        candidates = self._by_name.get(parts[-1] if parts else source, [])
        if len(candidates) < 2:
            return candidates[0][1] if candidates else None
        lengths = [_common_tail(own, parts) for own, _ in candidates]
        if lengths.count(max(lengths)) > 1:
            raise UsageError(f"{source}: several pictures of the data set could be meant")
        return candidates[lengths.index(max(lengths))][1]


def _common_tail(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    length = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        length += 1
    return length


@dataclass(frozen=True, slots=True)
class BoxAnswers:
    """Rows for `boxes`, where they came from, and what did not match.

    `strangers` are answers to pictures that the data set lacks, `foreign` those of categories that it lacks.
    `conf` is the lowest score that a record was written with.
    """

    rows: list[Row]
    model: str | None = None
    matching: Matching | None = None
    names: Sequence[str] = ()
    unanswered: int = 0
    strangers: int = 0
    foreign: int = 0
    conf: float | None = None

    def called(self) -> dict[int, str]:
        """The model's labels by the data set's numbers."""
        pairs = () if self.matching is None else self.matching.to_data.items()
        return {number: self.names[c] for c, number in pairs if number is not None}

    def of(self, kind: str) -> list[Row]:
        """The rows for `box` or `mask`.

        An object's size is that of its mask; a results file's rows are taken as they are, and pycocotools
        takes the size from the box where a row has both.
        """
        if kind == "box":
            return [row for row in self.rows if "bbox" in row]
        with_masks = [row for row in self.rows if "segmentation" in row]
        if self.matching is None:
            return with_masks
        return [{key: value for key, value in row.items() if key != "bbox"} for row in with_masks]


def boxes(path: Path, data: BoxSet) -> BoxAnswers:
    """The objects of a record or of a COCO results file."""
    if is_record(path):
        return _boxes_of_record(path, data)
    try:
        rows = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path}: neither a record nor COCO results: {error.msg}") from error
    if not isinstance(rows, list):
        raise UsageError(f"{path}: no COCO results", hint="a JSON array of objects is wanted")
    known = {p.id for p in data.pictures}
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or not {"image_id", "category_id", "score"} <= row.keys():
            raise UsageError(f"{path}: entry {i} lacks image_id, category_id or score")
        if not ("bbox" in row or "segmentation" in row):
            raise UsageError(f"{path}: entry {i} has neither bbox nor segmentation")
        if not _is_number(row["score"]) or not _is_box(row.get("bbox", [0, 0, 0, 0])):
            raise UsageError(f"{path}: entry {i}: its score or bbox is no number")
        if row["image_id"] not in known:
            raise UsageError(f"{path}: entry {i} is of picture {row['image_id']}, which the data set lacks")
    kept = [row for row in rows if row["category_id"] in data.names]
    if rows and not kept:
        raise UsageError(f"{path}: has none of the data set's categories ({_numbers(data)})")
    unanswered = len(known - {row["image_id"] for row in rows})
    return BoxAnswers(kept, foreign=len(rows) - len(kept), unanswered=unanswered)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_box(value: object) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _numbers(data: BoxSet) -> str:
    return f"{min(data.names)} to {max(data.names)}" if data.names else "it has none"


def _boxes_of_record(path: Path, data: BoxSet) -> BoxAnswers:
    record = read_record(path)
    matching = match(record.names, data.names)
    answered = _by_place(record, [p.path for p in data.pictures], path)
    rows = [
        row
        for place, line in answered.items()
        for row in _record_rows(line, data.pictures[place].id, matching, path)
    ]
    return BoxAnswers(
        rows,
        record.model,
        matching,
        record.names,
        unanswered=len(data.pictures) - len(answered),
        strangers=len(record.results) - len(answered),
        conf=record.options.get("conf"),
    )


def _by_place(record: Record, pictures: Sequence[Path], path: Path) -> dict[int, Line]:
    """The record's lines by the place of their picture in the data set, in the record's order.

    UsageError where a picture occurs twice, or none of them does.
    """
    places = Places(pictures)
    found: dict[int, Line] = {}
    for line in record.results:
        place = places.find(line["source"])
        if place is None:
            continue
        if place in found:
            raise UsageError(f"{path}: {line['source']} occurs twice")
        found[place] = line
    if not found:
        raise UsageError(f"{path}: has no answer to a picture of the data set")
    return found


def _record_rows(line: Line, image: int, matching: Matching, path: Path) -> Iterator[Row]:
    for one in line["results"]:
        category = matching.to_data.get(one["class"])
        if category is None:
            continue
        if "box" not in one:
            raise InputError(f"{path}: {line['source']} has no boxes: not a record of vision detect")
        x1, y1, x2, y2 = one["box"]
        row: Row = {
            "image_id": image,
            "category_id": category,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": one["score"],
        }
        if "mask" in one:
            row["segmentation"] = one["mask"]
        yield row


@dataclass(frozen=True, slots=True)
class LabelAnswers:
    """Guesses for `labels`; `k` is how many labels each holds. The rest as in `BoxAnswers`."""

    guesses: list[Guess]
    k: int
    names: Sequence[str]
    matching: Matching
    model: str | None = None
    unanswered: int = 0
    strangers: int = 0


def labels(path: Path, data: LabelSet, matched: Callable[[Sequence[str]], Matching]) -> LabelAnswers:
    """The labels of a record of `vision classify`; `matched` matches the model's names."""
    if not is_record(path):
        raise UsageError(f"{path}: no record", hint="vision classify --jsonl FILE writes one")
    record = read_record(path)
    matching = matched(record.names)
    answered = _by_place(record, data.paths, path)
    guesses: list[Guess] = []
    k = len(record.names)
    for place, line in answered.items():
        rows = line["results"]
        k = min(k, len(rows))
        classes = [-1 if (c := matching.to_data.get(row["class"])) is None else c for row in rows]
        if any("box" in row or "score" not in row for row in rows):
            raise UsageError(f"{path}: not a record of vision classify")
        guesses.append(Guess(place, classes, [row["score"] for row in rows], [row["label"] for row in rows]))
    unanswered, strangers = len(data.paths) - len(answered), len(record.results) - len(answered)
    return LabelAnswers(guesses, k, record.names, matching, record.model, unanswered, strangers)


def tracks(path: Path, data: TrackSet) -> tuple[dict[str, list[MotLine]], str | None]:
    """Each sequence's tracks from a record of `vision track` or MOTChallenge files, and the model's name."""
    if not path.exists():
        raise UsageError(f"--records {path}: no such file or folder", kind="not_found")
    if path.is_dir() or not is_record(path):
        files = mot_folder.answers(path, data)
        return {name: list(mot_folder.read(file)) for name, file in files.items()}, None
    record = read_record(path)
    people = {c for c, name in enumerate(record.names) if folded(name) == "person"}
    found: dict[str, list[MotLine]] = {clip.name: [] for clip in data.sequences}
    for line in record.results:
        if line.get("frame") is None:
            raise UsageError(f"{path}: {line['source']} is no video: not a record of vision track")
        clip = _clip(line["source"], data, path)
        for row in line["results"]:
            if "id" not in row or (people and row["class"] not in people):
                continue
            x1, y1, x2, y2 = row["box"]
            found[clip].append(
                (line["frame"] + 1, row["id"], x1, y1, x2 - x1, y2 - y1, row["score"], mot_folder.PEDESTRIAN)
            )
    return found, record.model


def _clip(source: str, data: TrackSet, path: Path) -> str:
    """The sequence that a record's source is of: one has its name in it, or there is only one."""
    if len(data.sequences) == 1:
        return data.sequences[0].name
    parts = {*PurePath(source).parts, PurePath(source).stem}
    named = [clip.name for clip in data.sequences if clip.name in parts]
    if len(named) != 1:
        raise UsageError(f"{path}: {source} is none of the sequences, or of several")
    return named[0]
