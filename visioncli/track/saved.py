"""Detections of an earlier run in the place of a network: our record, or MOTChallenge's `det.txt`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np

from visioncli import records
from visioncli.api import Model
from visioncli.errors import InputError, UsageError
from visioncli.models import Array, Batch, Network, Options
from visioncli.registry.cards import Card
from visioncli.registry.lookup import Resolved
from visioncli.results import Detections, Image, Prediction
from visioncli.rle import masks_of
from visioncli.track import mot

MOT_LABEL = "person"  # MOTChallenge's files are about people and name no class


class Saved(Protocol):
    """The detections in a file."""

    def video(self, source: str) -> Video:
        """Those of one video, by its name. UsageError where the file has none for it."""

    def model(self) -> Model:
        """What stands for the network that made them."""


class Video(Protocol):
    """The detections of one video, asked for frame by frame, in order."""

    def at(self, frame: int) -> Detections:
        """Those of a frame, counted from 0. UsageError for a frame that the file does not know."""

    def close(self) -> None:
        """No more are wanted."""


def open_saved(path: Path) -> Saved:
    """The detections in `path`, by its content. UsageError for what holds none."""
    try:
        with path.open("rb") as file:
            head = file.read(1)
    except FileNotFoundError as error:
        raise UsageError(f"--detections {path}: no such file") from error
    except OSError as error:
        raise UsageError(f"--detections {path}: cannot be read ({error.strerror})") from error
    if not head:
        raise UsageError(f"--detections {path}: empty")
    try:
        return SavedRecord(path) if head == b"{" else SavedMot(path)
    except InputError as error:
        raise UsageError(f"--detections {error.message}", hint=error.hint) from error


class SavedRecord:
    """A record (`--jsonl`): read line by line, in memory that does not grow with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run: records.Line | None = None
        self._begins: dict[str, int] = {}  # each video's first line, as bytes from the beginning
        for offset, line in self._lines(0):
            if line["type"] == "run":
                self._run = self._run or line
            elif line["type"] == "result" and line.get("frame") is not None:
                self._begins.setdefault(line["source"], offset)
        if self._run is None or not self._begins:
            raise UsageError(f"--detections {path}: no video in this record")
        if self._run["task"] not in ("detect", "segment", "track"):
            raise UsageError(f"--detections {path}: a record of vision {self._run['task']} has no boxes")

    def model(self) -> Model:
        """The model that the record names, not loaded."""
        assert self._run is not None
        model = self._run["model"]
        return SavedModel(model["name"], model["weights"] or "", model["sha256"], model["names"])

    def video(self, source: str) -> Video:
        """By the name it had; else by its file's name; the only one under any name."""
        alike = [s for s in self._begins if PurePath(s).name == PurePath(source).name]
        if source in self._begins:
            found = source
        elif len(alike) == 1 or len(self._begins) == 1:
            found = (alike or list(self._begins))[0]
        else:
            raise UsageError(f"{self._path} has no detections of {source}", hint=_some(list(self._begins)))
        return _RecordedVideo(self._path, found, self._lines(self._begins[found]))

    def _lines(self, offset: int) -> Generator[tuple[int, records.Line], None, None]:
        """The lines from a place on, each with its own place."""
        with self._path.open("rb") as file:
            file.seek(offset)
            for line in records.read(file):
                yield offset, line
                offset = file.tell()


class _RecordedVideo:
    """One video's lines of a record."""

    def __init__(
        self, path: Path, source: str, lines: Generator[tuple[int, records.Line], None, None]
    ) -> None:
        self._path, self._source = path, source
        self._lines = lines

    def at(self, frame: int) -> Detections:
        """A frame's; frames are asked for in order."""
        for _, line in self._lines:
            if line["type"] != "result" or line["source"] != self._source:
                continue
            if line["frame"] == frame:
                return _detections(line)
            if line["frame"] > frame:
                raise UsageError(
                    f"{self._path} has no frame {frame} of {self._source}: it was made with another --stride"
                )
        raise UsageError(f"{self._path} ends before frame {frame} of {self._source}")

    def close(self) -> None:
        """The file is given back."""
        self._lines.close()


def _detections(line: Mapping[str, Any]) -> Detections:
    """A result line's objects, best first as they were written."""
    rows, size = line["results"], (line["height"], line["width"])
    masks = masks_of([row["mask"] for row in rows], size) if rows and "mask" in rows[0] else None
    return Detections(
        np.array([row["box"] for row in rows], np.float32).reshape(-1, 4),
        np.array([row["score"] for row in rows], np.float32),
        np.array([row["class"] for row in rows], np.int64),
        masks,
    )


class SavedMot:
    """MOTChallenge's `det.txt`: `frame,id,x,y,w,h,conf,…`, frames from 1; for one video."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = mot.read(path)
        scores = self._rows.scores
        if len(scores) and (scores == -1).all():
            scores[:] = 1.0  # the format's way to say that there is none
        if len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
            raise UsageError(
                f"--detections {path}: confidences go from {scores.min():g} to {scores.max():g}",
                hint="trackers want scores between 0 and 1",
            )
        self._video: str | None = None

    def model(self) -> Model:
        """A name for whatever made the file."""
        return SavedModel(self._path.name, "", None, [MOT_LABEL])

    def video(self, source: str) -> Video:
        """The one video. UsageError for a second one."""
        if self._video is not None:
            raise UsageError(f"{self._path} is for one video, and {source} is the second")
        self._video = source
        return self

    def at(self, frame: int) -> Detections:
        """A frame's, best first; none where the file has no line for it."""
        first, last = np.searchsorted(self._rows.frames, [frame + 1, frame + 2])
        scores = self._rows.scores[first:last]
        order = np.argsort(-scores, kind="stable")
        boxes = self._rows.boxes[first:last][order].astype(np.float32)
        return Detections(boxes, scores[order].astype(np.float32), np.zeros(len(order), np.int64))

    def close(self) -> None:
        """It is in memory."""


class SavedModel(Model):
    """A model that is not there: its name and labels, and a network that computes nothing."""

    def __init__(self, name: str, weights: str, sha256: str | None, names: Sequence[str]) -> None:
        card = Card(name, "detect", "saved", "saved", "saved", name)
        self.resolved = Resolved(card, None, Path(weights), sha256 or "")
        self.adapter = self.runtime = _NoNetwork(names)
        self.names, self.task = names, "detect"


class _NoNetwork:
    """An adapter and its runtime: nothing is prepared, computed or found."""

    task = "detect"
    name, device, precision = "saved", "none", "fp32"
    batch, parallel = 1, 1

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def prepare(self, images: Sequence[Image]) -> Batch:
        """No inputs."""
        return Batch((), (None,) * len(images))

    def network(self) -> Network:
        """There is none to run."""
        raise NotImplementedError("saved detections have no network")

    def finish(self, outputs: Sequence[Array], batch: Batch, options: Options) -> list[Prediction]:
        """Nothing found: what was saved is put in where the tracker is."""
        return [Detections.empty() for _ in range(len(batch))]

    def __call__(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """No outputs."""
        return ()

    def share(self) -> None:
        """Takes no core anyway."""


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"it has {', '.join(names[:3])}{more}"
