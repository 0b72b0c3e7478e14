"""`Model.track`."""

from __future__ import annotations

from pathlib import Path

import pytest

from visioncli import load
from visioncli.errors import UsageError
from visioncli.results import Result


@pytest.mark.slow
def test_tracks_by_the_python_api(weights: Path, data: Path) -> None:
    model = load(str(weights / "yolo11n.pt"), runtime="torch", features=True)
    clip = data / "mot" / "ADL-Rundle-6" / "video.mp4"

    def tracks(**options: object) -> list[Result]:
        return [r for _, r in model.track(clip, end=0.4, classes=["person"], **options)]  # type: ignore[arg-type]

    plain = tracks()
    assert [result.frame for result in plain] == list(range(12))
    assert plain[0].ids is not None
    assert plain[0].ids.min() == 1
    kept = set(plain[0].ids.tolist()) & set(plain[-1].ids.tolist())  # type: ignore[union-attr]
    assert len(kept) >= 4
    assert [r.objects() for r in tracks(batch=4)] == [r.objects() for r in plain]
    looks = tracks(reid="auto", tracker="deepocsort", parameters={"track_buffer": 10})
    assert all(result.detections.features is None for result in looks)  # of use to the tracker alone
    stronger = tracks(conf=0.6)
    assert 0 < stronger[-1].ids.max() < plain[-1].ids.max()  # type: ignore[union-attr]


@pytest.mark.slow
def test_what_cannot_be_tracked_is_refused(weights: Path, data: Path) -> None:
    clip = data / "mot" / "ADL-Rundle-6" / "video.mp4"
    with pytest.raises(UsageError, match="no objects"):
        next(load(str(weights / "yolo11n-cls.pt"), runtime="torch").track(clip))
    detector = load(str(weights / "yolo11n.pt"), runtime="torch")
    with pytest.raises(UsageError, match="track_buffer"):
        next(detector.track(clip, parameters={"track_bufer": 3}))
    with pytest.raises(UsageError, match="features=True"):
        next(detector.track(clip, reid="auto"))
