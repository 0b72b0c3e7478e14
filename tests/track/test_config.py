"""A tracker's parameters."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from visioncli.errors import UsageError
from visioncli.track import TRACKERS
from visioncli.track.config import configure, defaults, parse_sets


@pytest.mark.parametrize("name", TRACKERS)
def test_defaults_are_ultralytics_own(name: str) -> None:
    config = configure(name)
    assert config.name == name
    assert config.values == defaults(name)
    assert config.lowest == defaults(name)["track_low_thresh"]
    assert config.reid == "off"


def test_botsort_is_the_default() -> None:
    assert configure().name == "botsort"
    assert configure().motion == "sparseOptFlow"
    assert configure("bytetrack").motion is None


def test_later_ones_win(tmp_path: Path) -> None:
    """The file over the defaults, --conf over the file, --set over both."""
    file = tmp_path / "mine.yaml"
    file.write_text("tracker_type: bytetrack\ntrack_buffer: 90\nnew_track_thresh: 0.6\nmatch_thresh: 0.7\n")
    config = configure(file=file, conf=0.4, sets=parse_sets(["match_thresh=0.9", "fuse_score=false"]))
    assert config.name == "bytetrack"
    assert config.values["track_buffer"] == 90
    assert config.values["new_track_thresh"] == config.values["track_high_thresh"] == 0.4
    assert config.values["match_thresh"] == 0.9
    assert config.values["fuse_score"] is False


def test_a_low_conf_lowers_the_lowest_threshold() -> None:
    assert configure(conf=0.5).lowest == 0.1
    assert configure(conf=0.05).lowest == 0.05


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("track_bufer=60", "track_buffer"),
        ("delta_t=3", "no parameter 'delta_t'"),  # OC-SORT's, not BoT-SORT's
        ("track_buffer=sixty", "whole number"),
        ("track_buffer=-1", "whole number"),
        ("track_buffer=1.5", "whole number"),
        ("match_thresh=true", "a number"),
        ("match_thresh=.inf", "a number"),
        ("fuse_score=1", "true or false"),
        ("gmc_method=orbit", "sparseOptFlow"),
        ("track_buffer", "KEY=VALUE"),
        ("match_thresh=[", "makes no sense"),
    ],
)
def test_what_makes_no_sense_is_refused(pair: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        configure(sets=parse_sets([pair]))


def test_an_unknown_tracker_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="botsort"):
        configure("botsrt")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("track_bufer: 3", "track_buffer"),
        ("- 1", "parameters"),
        ("a: [", "not YAML"),
        ("tracker_type: x", "'x'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        configure(file=file)


def test_a_file_for_another_tracker_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"tracker_type": "ocsort"}))
    with pytest.raises(UsageError, match="ocsort"):
        configure("botsort", file=file)
    with pytest.raises(UsageError, match="no such file"):
        configure(file=tmp_path / "none.yaml")


def test_reid_is_of_those_that_look() -> None:
    assert configure(reid="auto").reid == "auto"
    assert configure(reid="people.onnx").reid == "people.onnx"
    assert configure("bytetrack", reid="off").reid == "off"
    with pytest.raises(UsageError, match="deepocsort"):
        configure("bytetrack", reid="auto")


@given(st.fractions(1, 240), st.integers(1, 30), st.integers(0, 600))
def test_track_buffer_is_a_time(fps: Fraction, stride: int, buffer: int) -> None:
    """Whatever the rate and the stride, a lost track is kept for `track_buffer` / 30 seconds, to a frame."""
    frames = configure(sets={"track_buffer": buffer}).frames_lost(fps, stride)
    seconds = frames * stride / float(fps)
    assert frames >= 1
    assert frames == 1 or abs(seconds - buffer / 30) <= stride / float(fps)


def test_an_unknown_rate_is_30() -> None:
    assert configure().frames_lost(None, 1) == 30
    assert configure().frames_lost(Fraction(60), 1) == 60
    assert configure().frames_lost(Fraction(30), 5) == 6


def test_reading_defaults_imports_no_torch() -> None:
    code = (
        "import sys; from visioncli.track.config import configure; configure(); print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"
