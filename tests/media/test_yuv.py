"""Frames as decoded: what they are in RGB, and what becomes of them in an annotated video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path, PurePath

import av
import numpy as np
import pytest

from visioncli.media.frame import Frame, Input
from visioncli.media.reader import VideoInfo
from visioncli.media.video_in import open_video
from visioncli.media.video_out import VideoWriter
from visioncli.media.yuv import Yuv

INFO = VideoInfo(64, 48, Fraction(25), Fraction(1, 12800), None, None, 0, "h264", False, Fraction(1))
UNTAGGED, BT709, SMPTE170M = (2, 0, 2, 2), (1, 1, 1, 1), (6, 1, 6, 6)


def clip(path: Path, colours: tuple[int, int, int, int], *, pix_fmt: str = "yuv420p", count: int = 5) -> Path:
    """A real H.264 clip whose colours are tagged so."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 64, 48, pix_fmt
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = colours
        for i in range(count):
            picture = np.zeros((48, 64, 3), np.uint8)
            picture[:, : 8 + 8 * i], picture[:, 32:] = (200, 40, 30), (20, 60, 220)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def frames(path: Path) -> list[Frame]:
    with open_video(Input(str(path), "video", path, PurePath(path.name))) as reader:
        return list(reader)


def tags(path: Path) -> tuple[int, int, int, int]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc


@pytest.mark.parametrize("colours", [UNTAGGED, BT709, SMPTE170M])
def test_a_frame_is_kept_as_decoded_and_gives_the_rgb_that_ffmpeg_gives(
    tmp_path: Path, colours: tuple[int, int, int, int]
) -> None:
    path = clip(tmp_path / "a.mp4", colours)
    with av.open(str(path)) as container:
        wanted = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    got = frames(path)
    assert len(got) == len(wanted) == 5
    for frame, rgb in zip(got, wanted, strict=True):
        assert isinstance(frame.pixels, Yuv)
        assert (frame.width, frame.height) == (64, 48)
        assert np.array_equal(frame.image, rgb)
        assert frame.image.flags.c_contiguous


def test_the_colours_of_each_matrix(tmp_path: Path) -> None:
    seen = {}
    for colours in (BT709, SMPTE170M):
        frame = frames(clip(tmp_path / f"{colours[0]}.mp4", colours))[0]
        assert isinstance(frame.pixels, Yuv)
        seen[frame.pixels.bt709] = frame.image[24, 50].astype(int)
    assert set(seen) == {True, False}
    assert np.abs(seen[True] - seen[False]).max() > 3, "the same planes are other colours"


@pytest.mark.parametrize(("pix_fmt", "colours"), [("yuv444p", BT709), ("yuv420p", (1, 2, 1, 1))])
def test_what_is_unusual_is_rgb_at_once(
    tmp_path: Path, pix_fmt: str, colours: tuple[int, int, int, int]
) -> None:
    for frame in frames(clip(tmp_path / "a.mp4", colours, pix_fmt=pix_fmt)):
        assert isinstance(frame.pixels, np.ndarray)


@pytest.mark.parametrize("colours", [UNTAGGED, BT709, SMPTE170M])
def test_planes_are_encoded_as_they_are_with_the_inputs_tags(
    tmp_path: Path, colours: tuple[int, int, int, int]
) -> None:
    source, out = clip(tmp_path / "a.mp4", colours), tmp_path / "out.mp4"
    assert tags(source) == colours
    given = frames(source)
    with VideoWriter(out, INFO) as writer:
        for frame in given:
            assert isinstance(frame.pixels, Yuv) and frame.pts is not None
            writer.write(frame.pixels.copy(), frame.pts)
    assert tags(out) == colours
    for was, now in zip(given, frames(out), strict=True):
        assert np.abs(was.image.astype(int) - now.image).mean() < 3


def test_rgb_and_other_sizes_in_between_take_the_first_ones_colours(tmp_path: Path) -> None:
    source, out = clip(tmp_path / "a.mp4", SMPTE170M), tmp_path / "out.mp4"
    given = frames(source)
    other = frames(clip(tmp_path / "b.mp4", BT709))[0].pixels
    with VideoWriter(out, INFO) as writer:
        for frame in given[:2]:
            assert isinstance(frame.pixels, Yuv)
            writer.write(frame.pixels.copy(), frame.pts or 0)
        writer.write(given[2].image, Fraction(1, 2))
        assert isinstance(other, Yuv)
        writer.write(other.copy(), 1)  # tagged otherwise: converted
        writer.write(given[4].image[:24, :32], 2)
    written = frames(out)
    assert len(written) == 5
    assert tags(out) == SMPTE170M
    assert np.abs(written[2].image.astype(int) - given[2].image).mean() < 3
    assert np.abs(written[3].image.astype(int) - other.rgb()).mean() < 3


def test_a_copy_is_its_own(tmp_path: Path) -> None:
    frame = frames(clip(tmp_path / "a.mp4", BT709))[0].pixels
    assert isinstance(frame, Yuv)
    before = [plane.copy() for plane in frame.planes]
    copied = frame.copy()
    for plane in copied.planes:
        plane[:] = 77
    assert all(np.array_equal(a, b) for a, b in zip(before, frame.planes, strict=True))
    assert all((plane == 77).all() for plane in copied.planes)
    assert copied.colours == frame.colours
