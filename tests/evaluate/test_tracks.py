"""Figures of tracks, beside py-motmetrics' and TrackEval's."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visioncli.errors import InputError, UsageError
from visioncli.evaluate import mot_folder, saved, tracks
from visioncli.evaluate.data import TrackSet

TUD = ("TUD-Campus", "TUD-Stadtmitte")
# Ours: py-motmetrics' name.
NAMES = {
    "mota": "mota", "motp": "motp_iou", "idf1": "idf1", "idp": "idp", "idr": "idr", "recall": "recall",
    "precision": "precision", "switches": "num_switches", "fragments": "num_fragmentations",
    "mostly_tracked": "mostly_tracked", "partly_tracked": "partially_tracked", "mostly_lost": "mostly_lost",
    "false_positives": "num_false_positives", "misses": "num_misses",
}  # fmt: skip


# What TrackEval 1.3.0 computes of these files: the mean over its 19 thresholds.
TRACKEVAL = {
    "TUD-Campus": {"hota": 0.391397438, "deta": 0.418047030, "assa": 0.369120681, "loca": 0.770052227},
    "TUD-Stadtmitte": {"hota": 0.397849017, "deta": 0.392267572, "assa": 0.408840752, "loca": 0.737521177},
    "POOLED": {"hota": 0.399957091, "deta": 0.397683291, "assa": 0.412449530, "loca": 0.732480258},
}


@pytest.fixture
def tud(data: Path, tmp_path: Path) -> TrackSet:
    for name in TUD:
        (tmp_path / name).symlink_to(data / "mot" / name)
    found = mot_folder.load(tmp_path)
    assert found is not None
    return found


@pytest.fixture
def counted(tud: TrackSet, tmp_path: Path) -> tracks.TrackFigures:
    answers, _ = saved.tracks(tmp_path, tud)
    return tracks.figures({c.name: mot_folder.read(c.truth) for c in tud.sequences}, answers)


def test_equal_to_py_motmetrics(counted: tracks.TrackFigures, data: Path) -> None:
    reference = json.loads((data / "mot" / "reference.json").read_text())["sequences"]
    for name, ours in {**counted.sequences, "POOLED": counted.pooled}.items():
        for key, theirs in NAMES.items():
            assert ours[key] == pytest.approx(reference[name][theirs], abs=5e-4), f"{name}: {key}"


def test_equal_to_what_trackeval_said(counted: tracks.TrackFigures) -> None:
    ours = {**counted.sequences, "POOLED": counted.pooled}
    for name, row in TRACKEVAL.items():
        for key, value in row.items():
            assert ours[name][key] == pytest.approx(value, abs=1e-8), f"{name}: {key}"


@pytest.mark.skipif(importlib.util.find_spec("trackeval") is None, reason="TrackEval is not installed")
def test_equal_to_trackeval(counted: tracks.TrackFigures, tud: TrackSet) -> None:
    from trackeval.metrics import HOTA  # type: ignore[import-not-found]

    for clip in tud.sequences:
        theirs = HOTA().eval_sequence(_prepared(clip.truth, clip.truth.parent / "test.txt"))
        for key, name in {"hota": "HOTA", "deta": "DetA", "assa": "AssA", "loca": "LocA"}.items():
            assert counted.sequences[clip.name][key] == pytest.approx(np.mean(theirs[name]), abs=1e-9)


def _prepared(truth: Path, answers: Path) -> dict[str, Any]:
    """Two files as TrackEval's metrics take them; its own IoU."""
    from trackeval.datasets._base_dataset import _BaseDataset  # type: ignore[import-not-found]

    sides = [list(mot_folder.read(truth)), list(mot_folder.read(answers))]
    ids = [{t: i for i, t in enumerate(sorted({line[1] for line in side}))} for side in sides]
    frames = max(line[0] for side in sides for line in side)
    out: dict[str, Any] = {"gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for frame in range(1, frames + 1):
        here = [[line for line in side if line[0] == frame] for side in sides]
        for key, lines, number in zip(("gt_ids", "tracker_ids"), here, ids, strict=True):
            out[key].append(np.array([number[line[1]] for line in lines], int))
        one, other = (np.array([line[2:6] for line in lines], float).reshape(-1, 4) for lines in here)
        out["similarity_scores"].append(_BaseDataset._calculate_box_ious(one, other, box_format="xywh"))
    for key, number, side in zip(("gt", "tracker"), ids, sides, strict=True):
        out[f"num_{key}_ids"], out[f"num_{key}_dets"] = len(number), len(side)
    return out


def line(
    frame: int, track: int, left: float = 0.0, kind: int = 1, confidence: float = 1.0
) -> mot_folder.Line:
    return frame, track, left, 0.0, 10.0, 10.0, confidence, kind


def test_nothing_tracked() -> None:
    found = tracks.figures({"a": [line(1, 1), line(2, 1)]}, {"a": []})
    assert (found.pooled["mota"], found.pooled["misses"]) == (0, 2)


def test_a_switch_and_a_fragment() -> None:
    truth = [line(frame, 1) for frame in range(1, 7)]
    answers = [line(1, 5), line(2, 5), line(3, 7, 500), line(4, 6), line(5, 6), line(6, 6)]
    found = tracks.figures({"a": truth}, {"a": answers})
    assert (found.pooled["switches"], found.pooled["fragments"], found.pooled["misses"]) == (1, 1, 1)
    assert found.pooled["mota"] == pytest.approx(1 - 3 / 6), "a miss, a switch, a false positive"


def test_distractors_do_not_count() -> None:
    truth = [line(1, 1), line(1, 2, 50, kind=8), line(1, 3, 90, confidence=0.0)]
    found = tracks.figures({"a": truth}, {"a": [line(1, 1), line(1, 2, 50)]})
    assert (found.pooled["mota"], found.pooled["false_positives"]) == (1.0, 0)


def test_an_id_twice_in_a_frame() -> None:
    with pytest.raises(InputError, match="id 3 occurs twice in frame 2"):
        tracks.figures({"a": [line(2, 1)]}, {"a": [line(2, 3), line(2, 3, 40)]})


@pytest.mark.parametrize("text", ["1,2,zero,0,5,5,1", "1,2,3", "nan,2,0,0,5,5", "inf,2,0,0,5,5", "{}"])
def test_a_line_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(f"1,1,0,0,5,5,1\n{text}\n")
    with pytest.raises(InputError, match=r"a\.txt:2"):
        list(mot_folder.read(tmp_path / "a.txt"))


def test_years(tmp_path: Path) -> None:
    """MOT15's places in the world are no classes; MOT17's ninth column is how much is seen."""
    (tmp_path / "15.txt").write_text("1,1,0,0,5,5,1,-4.2,7.1,0\n")
    (tmp_path / "17.txt").write_text("1,1,0,0,5,5,1,8,0.4\n")
    assert [next(mot_folder.read(tmp_path / f"{year}.txt"))[-1] for year in (15, 17)] == [1, 8]


def test_one_file_for_several_sequences(tud: TrackSet, data: Path) -> None:
    with pytest.raises(UsageError, match="2 sequences"):
        saved.tracks(data / "mot" / "TUD-Campus" / "test.txt", tud)
