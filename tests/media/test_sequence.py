"""A folder of pictures as one video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path, PurePath

import pytest
from PIL import Image

from visioncli.errors import InputError
from visioncli.media.frame import Failure, Input
from visioncli.media.sources import find
from visioncli.media.video_in import open_video


def frames(folder: Path, count: int, suffix: str = ".png") -> Path:
    """Pictures `1` to `count`, each of one grey that is its number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        Image.new("RGB", (32, 24), (number, number, number)).save(folder / f"{number}{suffix}")
    return folder


def video(folder: Path) -> Input:
    return Input(str(folder), "video", folder, PurePath(folder.name))


def test_natural_order_and_times(tmp_path: Path) -> None:
    with open_video(video(frames(tmp_path / "f", 12))) as reader:
        assert (reader.info.width, reader.info.height, reader.info.fps) == (32, 24, 30)
        read = list(reader)
    assert [int(frame.image[0, 0, 0]) for frame in read] == list(range(1, 13))
    assert [frame.index for frame in read] == list(range(12))
    assert read[3].pts == Fraction(3, 30)
    assert reader.frames == 12


def test_stride_and_span(tmp_path: Path) -> None:
    folder = frames(tmp_path / "f", 12)
    with open_video(video(folder), stride=5) as reader:
        assert [int(frame.image[0, 0, 0]) for frame in reader] == [1, 6, 11]
    with open_video(video(folder), start=0.1, end=0.2) as reader:
        assert [int(frame.image[0, 0, 0]) for frame in reader] == [4, 5, 6]
    with pytest.raises(InputError, match="at 9 s"):
        open_video(video(folder), start=9)


def test_seqinfo_tells_the_rate(tmp_path: Path) -> None:
    folder = frames(tmp_path / "MOT" / "img1", 3, ".jpg")
    (tmp_path / "MOT" / "seqinfo.ini").write_text("[Sequence]\nname=MOT\nframeRate=14\n")
    with open_video(video(folder)) as reader:
        assert reader.info.fps == 14
        assert list(reader)[2].pts == Fraction(2, 14)
    (tmp_path / "MOT" / "seqinfo.ini").write_text("frameRate\n")
    with open_video(video(folder)) as reader:
        assert reader.info.fps == 30


def test_what_is_no_picture_does_not_count_and_what_is_damaged_is_counted(tmp_path: Path) -> None:
    folder = frames(tmp_path / "f", 4)
    (folder / "0.txt").write_text("notes")
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:40])
    with open_video(video(folder)) as reader:
        read = list(reader)
    assert [int(frame.image[0, 0, 0]) for frame in read] == [1, 2, 4]
    assert read[2].pts == Fraction(3, 30)  # the damaged frame's time passes
    assert reader.skipped_packets == 1


def test_folders_are_found_as_videos(tmp_path: Path) -> None:
    """One input a folder of frames, videos beside them as they are; only where that is wanted."""
    frames(tmp_path / "a", 3)
    frames(tmp_path / "a" / "b", 2)
    gif = [Image.new("L", (16, 16), shade) for shade in (0, 200)]
    gif[0].save(tmp_path / "a" / "z.gif", save_all=True, append_images=gif[1:])
    found = list(find([str(tmp_path / "a")], moving=True, recursive=True))
    assert all(isinstance(item, Input) and item.kind == "video" for item in found)
    names = [item.source.removeprefix(f"{tmp_path}/") for item in found]
    assert names == ["a", "a/z.gif", "a/b"]
    kinds = {item.kind for item in find([str(tmp_path / "a")]) if not isinstance(item, Failure)}
    assert kinds == {"picture"}
    named = next(find([str(tmp_path / "a" / "z.gif")], moving=True))
    assert isinstance(named, Input)
    assert named.kind == "video"


def test_damaged_frames_only(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match="no picture"):
        open_video(video(tmp_path / "f"))
