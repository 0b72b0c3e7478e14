"""Webcams. No machine of ours has one: the reader is tested on a capture of a real clip instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePath

import cv2
import numpy as np
import pytest

from visioncli.errors import InputError, UsageError
from visioncli.media.camera import CameraReader, available, open_camera
from visioncli.media.frame import Input
from visioncli.media.video_in import open_video


def camera(number: int) -> Input:
    return Input(str(number), "camera", number, PurePath(f"camera{number}"))


def test_no_camera_says_so() -> None:
    assert not available(97)
    with pytest.raises(InputError, match="no camera 97 on this machine") as caught:
        open_camera(camera(97))
    assert caught.value.kind == "not_found"
    with pytest.raises(UsageError):
        open_camera(camera(97), stride=0)


def test_no_camera_says_nothing_else() -> None:
    code = "from visioncli.media.camera import _capture; print(_capture(97).isOpened())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_frames_of_a_capture(data: Path) -> None:
    clip = data / "video" / "derived_traffic_mjpeg.avi"
    with CameraReader(cv2.VideoCapture(str(clip)), "0", stride=5) as reader:
        got = []
        with pytest.raises(InputError, match="no more pictures"):
            got.extend(reader)
    assert (reader.info.width, reader.info.height) == (320, 180)
    assert reader.frames == 48 and [f.index for f in got] == list(range(0, 48, 5))
    times = [f.time for f in got]
    assert times[0] == 0 and times == sorted(times) and all(f.pts == pytest.approx(f.time) for f in got)
    with open_video(Input("a", "video", clip, PurePath("a"))) as video:
        first = next(video)
    # Red is red: channels are not swapped.
    assert np.abs(first.image.astype(int) - got[0].image).mean() < 6


def test_a_camera_that_gives_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gives no picture"):
        CameraReader(cv2.VideoCapture(str(tmp_path / "none")), "0")
