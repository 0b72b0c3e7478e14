"""The stopwatch of `--profile`."""

from __future__ import annotations

import pytest

from tests.test_pipeline import SAMPLES, Echo
from visioncli.media.sources import find
from visioncli.pipeline import Settings, run
from visioncli.profile import Profile


def test_items_are_what_went_through() -> None:
    """A video's end is no frame."""
    echo, profile = Echo(), Profile()
    list(
        run(
            find([str(SAMPLES / "people.mp4"), str(SAMPLES / "dog.jpg")]),
            echo,
            echo,
            Settings(),
            profile=profile,
        )
    )
    assert {name: stage.items for name, stage in profile.stages.items()} == dict.fromkeys(
        ("decode", "prepare", "network", "finish"), 61
    )


def test_failed_items_cost_time_and_are_not_counted() -> None:
    profile = Profile()
    with pytest.raises(ZeroDivisionError), profile.stage("decode"):
        raise ZeroDivisionError
    assert profile.stages["decode"].items == 0
    assert profile.stages["decode"].seconds > 0
    assert "bounded by: decode" in profile.table()
