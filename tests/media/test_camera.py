"""Webcams: none on a test machine, so a capture of a file stands for one, which OpenCV reads alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePath

import cv2
import numpy as np
import pytest

from visioncli.errors import InputError, UsageError
from visioncli.media.camera import CameraFeed, available, open_live
from visioncli.media.frame import Input
from visioncli.media.live import LiveReader
from visioncli.media.video_in import open_video


def camera(number: int) -> Input:
    return Input(str(number), "camera", number, PurePath(f"camera{number}"))


def test_no_such_camera() -> None:
    assert not available(97)
    with pytest.raises(InputError, match="no camera 97") as caught:
        open_live(camera(97))
    assert caught.value.kind == "not_found"
    with pytest.raises(UsageError):
        open_live(camera(97), stride=0)


def test_no_camera_says_nothing_else() -> None:
    code = "from visioncli.media.camera import _capture; print(_capture(97).isOpened())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_frames_of_a_capture(data: Path) -> None:
    clip = data / "video" / "derived_traffic_mjpeg.avi"
    with LiveReader("0", lambda: CameraFeed(cv2.VideoCapture(str(clip))), stride=5, delays=()) as reader:
        got = []
        with pytest.raises(InputError, match="did not come back"):
            got.extend(reader)
    assert (reader.info.width, reader.info.height) == (320, 180)
    assert reader.info.fps == 24
    assert reader.frames == 48
    assert {frame.index for frame in got} <= set(range(0, 48, 5))
    assert len(got) + reader.dropped_frames == 10, "a file is faster than a camera: some are dropped"
    times = [frame.time for frame in got]
    assert times[0] == 0
    assert times == sorted(set(times))
    with open_video(Input("a", "video", clip, PurePath("a"))) as video:
        own = {frame.index: frame.image for frame in video}
    # Red is red: channels are not swapped.
    assert all(np.abs(own[frame.index].astype(int) - frame.image).mean() < 6 for frame in got)


def test_a_camera_that_gives_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gives no picture"):
        LiveReader("0", lambda: CameraFeed(cv2.VideoCapture(str(tmp_path / "none"))))
