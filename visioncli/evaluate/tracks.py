"""Figures of tracks: CLEAR MOT, identity and HOTA, through `trackers.eval`.

MOTA: Bernardin and Stiefelhagen, 2008. IDF1: Ristani et al., 2016. HOTA: Luiten et al., IJCV 2021. People
are counted; MOT16's and later years' other classes and distractors are handled as TrackEval does.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visioncli.errors import InputError
from visioncli.evaluate import mot_folder
from visioncli.evaluate.data import TrackSet
from visioncli.evaluate.extra import need
from visioncli.evaluate.mot_folder import Line
from visioncli.evaluate.outcome import Outcome, Table

# Our key: family and field in trackers.eval, what people call it.
FIGURES = {
    "hota": ("HOTA", "HOTA", "HOTA"),
    "deta": ("HOTA", "DetA", "DetA"),
    "assa": ("HOTA", "AssA", "AssA"),
    "loca": ("HOTA", "LocA", "LocA"),
    "mota": ("CLEAR", "MOTA", "MOTA"),
    "motp": ("CLEAR", "MOTP", "MOTP (IoU)"),
    "idf1": ("Identity", "IDF1", "IDF1"),
    "idp": ("Identity", "IDP", "IDP"),
    "idr": ("Identity", "IDR", "IDR"),
    "recall": ("CLEAR", "CLR_Re", "recall"),
    "precision": ("CLEAR", "CLR_Pr", "precision"),
    "switches": ("CLEAR", "IDSW", "id switches"),
    "fragments": ("CLEAR", "Frag", "fragments"),
    "mostly_tracked": ("CLEAR", "MT", "mostly tracked"),
    "partly_tracked": ("CLEAR", "PT", "partly tracked"),
    "mostly_lost": ("CLEAR", "ML", "mostly lost"),
    "false_positives": ("CLEAR", "CLR_FP", "false positives"),
    "misses": ("CLEAR", "CLR_FN", "misses"),
}
COLUMNS = ("hota", "mota", "idf1", "recall", "precision", "switches", "fragments")
_NOBODY = "1,-1,0,0,1,1,1,1\n"  # a track that is not confirmed: trackers.eval leaves it out, but wants a line


@dataclass(frozen=True, slots=True)
class TrackFigures:
    """`pooled` over all sequences (counts are summed, not figures averaged), and each sequence's."""

    pooled: Mapping[str, float | int]
    sequences: Mapping[str, Mapping[str, float | int]]


def figures(truths: Mapping[str, Iterable[Line]], tracks: Mapping[str, Iterable[Line]]) -> TrackFigures:
    """Count, IoU ≥ 0.5 (HOTA: its usual 19). Both by the name of the sequence, with the same names.

    Raises InputError where an id occurs twice in a frame.
    """
    evaluation = need("trackers.eval", "trackers")
    # It reads files, and takes MOT15's missing classes for none that count: hence files of our own.
    with tempfile.TemporaryDirectory(prefix="vision-eval-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for side, all_lines in (("truth", truths), ("tracks", tracks)):
            (folder := Path(scratch, side)).mkdir()
            for name, lines in all_lines.items():
                (folder / f"{name}.txt").write_text(_text(lines, name), "utf-8")
        found = evaluation.evaluate_mot_sequences(
            Path(scratch, "truth"), Path(scratch, "tracks"), metrics=["CLEAR", "HOTA", "Identity"]
        )
    return TrackFigures(_of(found.aggregate), {name: _of(one) for name, one in found.sequences.items()})


def _text(lines: Iterable[Line], name: str) -> str:
    seen: set[tuple[int, int]] = set()
    out = []
    for frame, track, *box, confidence, kind in lines:
        if track >= 0 and (frame, track) in seen:
            raise InputError(f"{name}: id {track} occurs twice in frame {frame}")
        seen.add((frame, track))
        out.append(f"{frame},{track},{','.join(map(repr, box))},{confidence!r},{kind}\n")
    return "".join(out) or _NOBODY


def _of(one: Any) -> dict[str, float | int]:
    return {key: getattr(getattr(one, family), field) for key, (family, field, _) in FIGURES.items()}


def outcome(
    data: TrackSet,
    tracks: Mapping[str, Sequence[Line]],
    *,
    model: str | None,
    options: dict[str, Any],
    notes: list[str],
) -> Outcome:
    """Figures of all sequences together and of each."""
    truths = {clip.name: list(mot_folder.read(clip.truth)) for clip in data.sequences}
    counted = figures(truths, tracks)
    rows = [(name, *(one[key] for key in COLUMNS)) for name, one in counted.sequences.items()]
    columns = ("sequence", *(FIGURES[key][2] for key in COLUMNS))
    about = {
        "name": data.name,
        "format": data.format,
        "sequences": len(data.sequences),
        "frames": sum(max((line[0] for line in lines), default=0) for lines in truths.values()),
        "tracks": sum(len({line[1] for line in lines if line[6]}) for lines in truths.values()),
        "boxes": sum(sum(1 for line in lines if line[6]) for lines in truths.values()),
    }
    return Outcome(
        task="track",
        data=about,
        model=model,
        options=options,
        figures=dict(counted.pooled),
        labels={key: label for key, (_, _, label) in FIGURES.items()},
        classes=[],
        tables=[Table("sequence", columns, rows)],
        extra={"sequences": {name: dict(one) for name, one in counted.sequences.items()}},
        notes=notes,
    )
