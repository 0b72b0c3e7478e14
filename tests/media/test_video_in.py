"""Video in: real clips of many containers, and clips made here where a property must be known exactly."""

from __future__ import annotations

import csv
import http.server
import itertools
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path, PurePath

import av
import numpy as np
import pytest
from PIL import Image

from visioncli.errors import InputError, UsageError
from visioncli.media.frame import Frame, Input
from visioncli.media.video_in import open_video, parse_time

LONG = 60  # frames: clips with more are for the slow set
UPRIGHT = ("decord_video_0.mov", "decord_video_90.mov", "decord_video_180.mov", "decord_video_270.mov")


def video(where: Path | bytes) -> Input:
    return Input(str(where)[:200], "video", where, PurePath("clip"))


def frames(where: Path | bytes, **options: float) -> list[Frame]:
    with open_video(video(where), **options) as reader:  # type: ignore[arg-type]
        return list(reader)


@pytest.fixture(scope="session")
def clips(data: Path) -> Path:
    return data / "video"


@pytest.fixture(scope="session")
def index(clips: Path) -> dict[str, dict[str, str]]:
    with (clips / "index.csv").open() as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def check_clip(path: Path, expected: dict[str, str]) -> None:
    times, sizes = [], set()
    with open_video(video(path)) as reader:
        for frame in reader:
            assert frame.index == len(times)
            assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous
            times.append(frame.pts)
            sizes.add((frame.width, frame.height))
    info = reader.info
    broken = expected["status"] == "broken"
    assert len(times) == reader.frames == (49 if broken else int(expected["frames"]))
    assert reader.skipped_packets == (1 if broken else 0)
    assert sizes == {(int(expected["display_width"]), int(expected["display_height"]))}
    assert (info.width, info.height) in sizes
    assert info.rotation == int(expected["rotation"])
    assert info.fps is not None and abs(info.fps - Fraction(expected["fps"])) < 0.01
    assert info.has_audio == bool(expected["audio"])
    assert times == sorted(times)
    if not broken:
        with av.open(str(path)) as container:
            assert times == [f.pts * f.time_base for f in container.decode(container.streams.video[0])]


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["short", "long"])
def test_every_clip_gives_the_frames_sizes_and_times_of_the_index(
    clips: Path, index: dict[str, dict[str, str]], slow: bool
) -> None:
    assert len(index) == 30
    for name, expected in index.items():
        if (int(expected["frames"]) > LONG) == slow:
            check_clip(clips / name, expected)


@pytest.mark.parametrize("name", UPRIGHT)
def test_turned_clips_come_out_upright(clips: Path, index: dict[str, dict[str, str]], name: str) -> None:
    """Four views of one keyboard, the camera held four ways; upright, its letters can be read (looked at)."""
    with av.open(str(clips / name)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    clockwise = int(index[name]["rotation"]) // 90
    assert np.array_equal(frames(clips / name)[0].image, np.rot90(stored, -clockwise))


def make_clip(
    path: Path,
    images: list[np.ndarray],
    *,
    codec: str = "ffv1",
    pix_fmt: str = "bgr0",
    turn: tuple[int, bool, bool] = (0, False, False),
    tags: dict[str, int] | None = None,
    pts: list[int] | None = None,
) -> Path:
    """A lossless clip of `images` at 25 frames a second, or with `pts` in milliseconds."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        if codec == "libx264":
            stream.options = {"qp": "0"}
        if turn != (0, False, False):
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        for name, value in (tags or {}).items():
            setattr(stream, name, value)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "rgb24") if image.dtype == np.uint8 else image
            frame = frame.reformat(format=pix_fmt)
            frame.pts = pts[number] if pts else number * 40
            frame.time_base = Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def chart(width: int = 64, height: int = 48) -> np.ndarray:
    """A picture that no turn or mirroring leaves as it is."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (250, 20, 20)
    image[: height // 2, width // 2 :] = (20, 250, 20)
    image[height // 2 :, : width // 2] = (20, 20, 250)
    return image


TURNS = list(itertools.product((0, 90, 180, 270), (False, True), (False, True)))


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_every_display_matrix_is_applied(tmp_path: Path, turn: tuple[int, bool, bool]) -> None:
    degrees, mirror_x, mirror_y = turn
    path = make_clip(tmp_path / "a.mov", [chart()], codec="libx264rgb", pix_fmt="rgb24", turn=turn)
    expected = np.rot90(chart(), degrees // 90)  # counter-clockwise, as PyAV counts
    expected = expected[:, ::-1] if mirror_x else expected
    expected = expected[::-1] if mirror_y else expected
    with open_video(video(path)) as reader:
        frame = next(reader)
        assert (reader.info.height, reader.info.width) == expected.shape[:2]
    # libx264 at its default quality: the corners' colours tell.
    for y, x in ((4, 4), (4, -4), (-4, 4), (-4, -4)):
        assert np.abs(frame.image[y, x].astype(int) - expected[y, x]).max() < 25


# Luma weights of red and blue (ITU-R BT.601, BT.709, BT.2020), and FFmpeg's number of the matrix.
MATRICES = {"bt601": (0.299, 0.114, 6), "bt709": (0.2126, 0.0722, 1), "bt2020": (0.2627, 0.0593, 9)}
COLOURS = ((255, 255, 255), (0, 0, 0), (230, 30, 30), (30, 230, 30), (30, 30, 230), (200, 120, 40))


def yuv(colour: tuple[int, int, int], matrix: str, full: bool, bits: int) -> list[int]:
    """Y, Cb, Cr of an RGB colour, by the defining equations."""
    kr, kb, _ = MATRICES[matrix]
    r, g, b = (c / 255 for c in colour)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    if full:
        top = 2**bits - 1
        values = (y * top, cb * top + 2 ** (bits - 1), cr * top + 2 ** (bits - 1))
    else:
        step = 2 ** (bits - 8)
        values = ((16 + 219 * y) * step, (128 + 224 * cb) * step, (128 + 224 * cr) * step)
    return [round(min(max(v, 0), 2**bits - 1)) for v in values]


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_follow_the_tags(tmp_path: Path, matrix: str, full: bool, bits: int) -> None:
    fmt = "yuv420p" if bits == 8 else "yuv420p10le"
    path = tmp_path / "colours.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, fmt
        stream.codec_context.colorspace = MATRICES[matrix][2]
        stream.codec_context.color_range = 2 if full else 1
        for colour in COLOURS:
            frame = av.VideoFrame(64, 48, fmt)
            for plane, value in zip(frame.planes, yuv(colour, matrix, full, bits), strict=True):
                samples = np.full(
                    plane.buffer_size // (bits // 8 or 1), value, np.uint8 if bits == 8 else np.uint16
                )
                plane.update(samples.tobytes()[: plane.buffer_size])
            frame.colorspace, frame.color_range = MATRICES[matrix][2], 2 if full else 1
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    shown = [frame.image[24, 32].astype(int) for frame in frames(path)]
    assert len(shown) == len(COLOURS)
    assert np.abs(np.array(shown) - np.array(COLOURS)).max() <= 3


def test_ten_bits_fill_eight(clips: Path) -> None:
    image = frames(clips / "torchcodec_bt2020_10bit.mp4")[0].image
    assert image.min() < 40 and image.max() > 200


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (63, 47), (17, 16)], ids=str)
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    (frame,) = frames(make_clip(tmp_path / "odd.mkv", [image]))
    assert np.array_equal(frame.image, image)


def test_variable_times_are_kept_exactly(tmp_path: Path) -> None:
    times = [0, 40, 41, 500, 1001, 1002]
    path = make_clip(tmp_path / "vfr.mkv", [chart()] * 6, pts=times)
    assert [frame.pts for frame in frames(path)] == [Fraction(t, 1000) for t in times]
    assert [frame.time for frame in frames(path)] == [t / 1000 for t in times]


def test_a_stream_without_times_gets_them_from_its_rate(tmp_path: Path) -> None:
    path = tmp_path / "raw.h264"
    make_clip(path, [chart()] * 10, codec="libx264", pix_fmt="yuv420p")
    got = frames(path)
    steps = {round(b.pts - a.pts, 6) for a, b in itertools.pairwise(got)}  # type: ignore[operator,arg-type]
    assert len(got) == 10 and len(steps) == 1 and steps.pop() > 0


def test_a_change_of_size_in_mid_stream(tmp_path: Path) -> None:
    parts = []
    for name, size in (("a", (64, 48)), ("b", (80, 96))):
        path = make_clip(tmp_path / f"{name}.h264", [chart(*size)] * 5, codec="libx264", pix_fmt="yuv420p")
        parts.append(path.read_bytes())
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(parts))
    with open_video(video(joined)) as reader:
        sizes = [(frame.width, frame.height) for frame in reader]
    assert sizes == [(64, 48)] * 5 + [(80, 96)] * 5
    assert (reader.info.width, reader.info.height) == (64, 48)


RANGED = (
    "decord_corrupted.mp4",
    "decord_unordered.mov",
    "derived_nasa_vp9_opus.webm",
    "derived_people_interlaced.ts",
    "derived_people_vfr.mp4",
    "derived_traffic_mjpeg.avi",
    "imageio_newtonscradle.gif",
    "torchcodec_discard_first_keyframe.mp4",
    "torchcodec_test_non_zero_start.mp4",
)


@pytest.mark.parametrize("name", RANGED)
def test_a_range_is_exact(clips: Path, name: str) -> None:
    whole = frames(clips / name)
    origin = whole[0].pts
    assert origin is not None
    for first, last in ((0, 3), (len(whole) // 2, len(whole) - 1), (len(whole) - 1, len(whole))):
        # As a record gives the times back: rounded to 1e-4 s.
        start = round(float(whole[first].pts - origin), 4)  # type: ignore[operator]
        end = round(float(whole[last].pts - origin), 4) if last < len(whole) else None  # type: ignore[operator]
        got = frames(clips / name, start=start, end=end)  # type: ignore[arg-type]
        assert [f.pts for f in got] == [f.pts for f in whole[first:last]]
        assert [f.index for f in got] == list(range(last - first))
        assert all(np.array_equal(a.image, b.image) for a, b in zip(got, whole[first:last], strict=True))


def test_stride_keeps_the_numbers_of_the_frames(clips: Path) -> None:
    path = clips / "derived_people_vfr.mp4"
    whole = frames(path)
    with open_video(video(path), stride=7) as reader:
        got = list(reader)
    assert [f.index for f in got] == list(range(0, 101, 7)) and reader.frames == 101
    assert all(f.pts == whole[f.index].pts for f in got)  # type: ignore[index]
    assert np.array_equal(got[3].image, whole[21].image)


def test_bytes_read_like_the_file(clips: Path) -> None:
    path = clips / "imageio_realshort.mp4"
    from_file, from_bytes = frames(path), frames(path.read_bytes())
    assert [f.pts for f in from_file] == [f.pts for f in from_bytes]
    assert np.array_equal(from_file[-1].image, from_bytes[-1].image)


NAMES = ["a:b.mp4", "http:x.mp4", "%03d.mp4", "ein Film\nmit Ü.mp4", "-dash.mp4", os.fsdecode(b"\xff.mp4")]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_opens(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes((clips / "decord_unordered.mov").read_bytes())
    assert len(frames(Path(name))) == 4


def test_what_cannot_be_read_says_why(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    whole = (clips / "ocv4node_people.mp4").read_bytes()
    (tmp_path / "head.mp4").write_bytes(whole[:20_000])
    for name in ("empty.mp4", "text.mp4", "head.mp4"):
        with pytest.raises(InputError) as caught:
            frames(tmp_path / name)
        assert caught.value.kind == "decode" and name in str(caught.value)
    with pytest.raises(InputError) as caught:
        frames(tmp_path / "none.mp4")
    assert caught.value.kind == "not_found"
    with pytest.raises(InputError, match="nothing at 99 s"):
        frames(clips / "decord_video_0.mov", start=99)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "tone.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(InputError, match="no video in it"):
        frames(path)


def test_a_cut_file_gives_what_it_has(clips: Path) -> None:
    whole = (clips / "decord_flipping_a_pancake.mkv").read_bytes()
    got, error = [], None
    try:
        with open_video(video(whole[: len(whole) // 2])) as reader:
            for frame in reader:
                got.append(frame.index)  # noqa: PERF401 - what came before an error counts
    except InputError as caught:
        error = caught
    assert 100 < len(got) < 310
    assert error is None or error.kind == "decode"


def test_a_playlist_in_disguise_opens_no_connection(tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        playlist = (
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{server.server_port}/a.ts\n"
        )
        (tmp_path / "list.m3u8").write_text(playlist)
        for where in (tmp_path / "list.m3u8", playlist.encode()):
            with pytest.raises(InputError, match="text, not a video"):
                frames(where)
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_animated_pictures_as_videos(tmp_path: Path, suffix: str) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    pictures = [Image.new("RGB", (60, 40), colour) for colour in colours]
    path = tmp_path / f"a{suffix}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 200, 300])
    got = frames(path)
    assert [f.pts for f in got] == [0, Fraction(1, 10), Fraction(3, 10)]
    for frame, colour in zip(got, colours, strict=True):
        assert np.abs(frame.image[20, 30].astype(int) - colour).max() <= 4
    assert [f.pts for f in frames(path, start=0.1, stride=2)] == [Fraction(1, 10)]
    assert [f.pts for f in frames(path.read_bytes(), end=0.3)] == [0, Fraction(1, 10)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("1:30", 90), ("01:02:03.5", 3723.5), ("0", 0), (".5", 0.5)],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1:2:3:4", "1:", "nan", "1e3", "٣"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        parse_time(text)


def test_ranges_that_make_no_sense(clips: Path) -> None:
    for options in ({"stride": 0}, {"start": 2, "end": 1}, {"start": 1, "end": 1}):
        with pytest.raises(UsageError):
            frames(clips / "decord_video_0.mov", **options)


GROWTH = """
import re, sys
from pathlib import Path, PurePath
from visioncli.media.frame import Input
from visioncli.media.video_in import open_video
path = Path(sys.argv[1])
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
with open_video(Input("a", "video", path, PurePath("a"))) as reader:
    for frame in reader:
        if frame.index == 60:
            early = peak()
print(reader.frames, peak() - early)
"""


def test_memory_is_flat(clips: Path) -> None:
    path = clips / "decord_flipping_a_pancake.mkv"
    ran = subprocess.run([sys.executable, "-c", GROWTH, path], capture_output=True, text=True, check=True)
    count, growth = map(int, ran.stdout.split())
    assert count == 310 and growth < 16 * 1024, f"grew by {growth} KiB"


def test_damage_prints_nothing(clips: Path) -> None:
    path = clips / "decord_corrupted.mp4"
    ran = subprocess.run(
        [sys.executable, "-c", GROWTH.replace("== 60", "== 6"), path], capture_output=True, text=True
    )
    assert ran.stdout.startswith("49 ") and ran.stderr == ""
