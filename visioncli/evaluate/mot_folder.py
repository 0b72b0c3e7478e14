"""MOTChallenge's folders: `SEQ/gt/gt.txt` with `SEQ/seqinfo.ini` and `SEQ/img1/`, or a flat `SEQ/gt.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visioncli.errors import InputError, UsageError
from visioncli.evaluate.data import Clip, TrackSet

FORMAT = "MOTChallenge"
_TRUTHS = ("gt/gt.txt", "gt.txt")
_ANSWERS = ("test.txt", "res.txt")  # beside the truth, as py-motmetrics keeps them
_VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm")
PEDESTRIAN = 1
Line = tuple[int, int, float, float, float, float, float, int]
"""Frame, id, left, top, width, height, confidence, class (1 where the file has none)."""


def load(path: Path) -> TrackSet | None:
    """The sequences below `path`, or the one that it is; None where there is none."""
    folders = [path, *sorted(p for p in path.iterdir() if p.is_dir())] if path.is_dir() else []
    clips = [clip for folder in folders if (clip := _clip(folder)) is not None]
    return TrackSet(path.resolve().name, FORMAT, clips) if clips else None


def _clip(folder: Path) -> Clip | None:
    truth = next((folder / name for name in _TRUTHS if (folder / name).is_file()), None)
    if truth is None:
        return None
    frames = folder / "img1"
    videos = sorted(p for p in folder.iterdir() if p.suffix.lower() in _VIDEOS)
    media = frames if frames.is_dir() else videos[0] if videos else None
    return Clip(folder.resolve().name, truth, media)


def answers(path: Path, data: TrackSet) -> dict[str, Path]:
    """Each sequence's file of tracks: `PATH/SEQ.txt`, `PATH/SEQ/test.txt`, or `path` itself for the only one.

    UsageError where one is missing.
    """
    if path.is_file():
        if len(data.sequences) > 1:
            raise UsageError(
                f"--records {path}: one file, but {len(data.sequences)} sequences",
                hint="a folder with a SEQUENCE.txt each is wanted",
            )
        return {data.sequences[0].name: path}
    found = {}
    for clip in data.sequences:
        places = [
            path / f"{clip.name}.txt",
            path / "data" / f"{clip.name}.txt",  # TrackEval's layout
            *(path / clip.name / name for name in _ANSWERS),
            *(path / name for name in _ANSWERS if len(data.sequences) == 1),
        ]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise UsageError(f"--records {path}: no {clip.name}.txt there", kind="not_found")
        found[clip.name] = file
    return found


def read(path: Path) -> Iterator[Line]:
    """The lines of a file. InputError, with the line's number, for what is none."""
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            fields = text.replace(",", " ").replace(";", " ").split()
            if not fields:
                continue
            try:
                values = [float(field) for field in fields]
                left, top, width, height = values[2:6]
                frame, track = int(values[0]), int(values[1])
            except (ValueError, OverflowError, IndexError) as error:
                raise InputError(f"{path}:{number}: not a line of MOTChallenge") from error
            confidence = values[6] if len(values) > 6 else 1.0
            # MOT15 has ten columns, with places in the world where later years have a class: all are people.
            kind = int(values[7]) if len(values) in (8, 9) and values[7] > 0 else PEDESTRIAN
            yield frame, track, left, top, width, height, confidence, kind
