"""Annotated video: H.264 in MP4 with the input's timestamps and sound, from real clips."""

from __future__ import annotations

import resource
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest

from tests.media import browser
from visioncli.errors import OutputError
from visioncli.media.frame import Input
from visioncli.media.reader import VideoInfo
from visioncli.media.video_in import open_video
from visioncli.media.video_out import VideoWriter
from visioncli.render import draw
from visioncli.results import Detections, Image, Result

INFO = VideoInfo(64, 48, Fraction(25), Fraction(1, 12800), None, None, 0, "h264", False, Fraction(1))


def copy(source: Path, out: Path, *, start: float | None = None, end: float | None = None) -> list[Fraction]:
    """Every frame of `source` through reader and writer; the times that were written."""
    video = Input(source.name, "video", source, Path(source.name))
    times: list[Fraction] = []
    with (
        open_video(video, start=start, end=end) as reader,
        VideoWriter(out, reader.info, audio_from=source, start=start, end=end) as writer,
    ):
        for frame in reader:
            assert frame.pts is not None
            writer.write(frame.image, frame.pts)
            times.append(frame.pts)
    return times


def video_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        base = stream.time_base
        assert base is not None
        return [frame.pts * base for frame in container.decode(stream) if frame.pts is not None]


def audio_seconds(path: Path) -> tuple[str, float] | None:
    """The codec and how much sound really decodes (s)."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        samples = 0
        for packet in container.demux(stream):
            try:
                samples += sum(frame.samples for frame in packet.decode())
            except av.error.InvalidDataError:
                continue
        return stream.codec_context.codec.canonical_name, samples / stream.codec_context.sample_rate


def boxes(path: Path) -> list[str]:
    """The names of an MP4's top boxes in their order."""
    found, data, at = [], path.read_bytes(), 0
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        if size == 1:
            (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
        found.append(name.decode("latin-1"))
        at += size
    return found


def noise(width: int, height: int, seed: int) -> Image:
    """A picture with large smooth areas, as a photograph has."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.ascontiguousarray(
        small.repeat(height // 4 + 1, 0)[:height].repeat(width // 4 + 1, 1)[:, :width]
    )


# name -> the codec of the sound in the output
MORE_CLIPS = {
    "moviepy_no_duration.webm": "opus",
    "torchcodec_nasa_13013.mp4": "aac",
    "moviepy_video_with_failing_audio.mp4": "mp3",
    "imageio_cockatoo.mp4": "mp3",
    "intel_asl_book.mkv": None,
    "opencv_tree.avi": None,
}
CLIPS = {
    "imageio_realshort.mp4": "aac",
    "moviepy_big_buck_bunny_432_433.webm": "aac",  # from Vorbis
    "derived_nasa_vp9_opus.webm": "opus",
    "derived_people_vfr.mp4": None,
    "derived_traffic_mjpeg.avi": None,
    "derived_people_interlaced.ts": None,
    "torchcodec_test_non_zero_start.mp4": None,
    "torchcodec_discard_first_keyframe.mp4": None,
    "imageio_newtonscradle.gif": None,
}


@pytest.mark.parametrize(
    ("name", "codec"),
    [*CLIPS.items(), *(pytest.param(*more, marks=pytest.mark.slow) for more in MORE_CLIPS.items())],
)
def test_real_clips(data: Path, tmp_path: Path, name: str, codec: str | None) -> None:
    source, out = data / "video" / name, tmp_path / "out.mp4"
    times = copy(source, out)
    got = video_times(out)
    assert len(got) == len(times) > 0
    assert max(abs(a - b) for a, b in zip(got, times, strict=True)) <= Fraction(2, 1000)
    assert boxes(out)[0] == "ftyp"
    assert boxes(out).index("moov") < boxes(out).index("mdat")
    sound = audio_seconds(out)
    if codec is None:
        assert sound is None
    else:
        before = audio_seconds(source)
        assert sound is not None
        assert before is not None
        assert sound[0] == codec
        assert sound[1] == pytest.approx(before[1], abs=0.05)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_a_start_that_is_not_zero_is_kept(data: Path, tmp_path: Path) -> None:
    source = data / "video" / "torchcodec_test_non_zero_start.mp4"
    assert copy(source, tmp_path / "out.mp4")[0] > 8
    assert video_times(tmp_path / "out.mp4")[0] == pytest.approx(8.333, abs=0.002)


def test_a_part_begins_at_zero_with_its_sound(data: Path, tmp_path: Path) -> None:
    source, out = data / "video" / "torchcodec_nasa_13013.mp4", tmp_path / "out.mp4"
    times = copy(source, out, start=4, end=6)
    got = video_times(out)
    assert len(got) == 50
    assert got[0] == 0
    assert max(abs(a - b + times[0]) for a, b in zip(got, times, strict=True)) <= Fraction(2, 1000)
    sound = audio_seconds(out)
    assert sound is not None
    assert sound[1] == pytest.approx(2, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["intel_car-detection.mp4", "ocv4node_people.mp4"])
def test_size_is_bounded(data: Path, tmp_path: Path, name: str) -> None:
    """With eight boxes that move in every frame, at most twice the input's size."""
    source, out = data / "video" / name, tmp_path / "out.mp4"
    video = Input(name, "video", source, Path(name))
    with open_video(video) as reader, VideoWriter(out, reader.info, audio_from=source) as writer:
        for frame in reader:
            at = 40 + 3 * (frame.index or 0) % 200 + np.arange(8, dtype=np.float32) * 40
            found = Detections(
                np.stack([at, at / 2, at + 90, at / 2 + 150], axis=1),
                np.linspace(0.9, 0.3, 8, dtype=np.float32),
                np.arange(8, dtype=np.int64),
            )
            result = Result(name, frame.width, frame.height, found, list("abcdefgh"))
            assert frame.pts is not None
            writer.write(draw(frame.image, result), frame.pts)
    assert out.stat().st_size <= 2 * source.stat().st_size


def test_sound_and_pictures_lie_beside_each_other(data: Path, tmp_path: Path) -> None:
    """A player that reads the file once needs both at hand: never more than 1.5 s of one before the other."""
    out = tmp_path / "out.mp4"
    copy(data / "video" / "torchcodec_nasa_13013.mp4", out)
    last = {"audio": 0.0, "video": 0.0}
    with av.open(str(out)) as container:
        packets = [p for p in container.demux() if p.size]
        for packet in sorted(packets, key=lambda p: p.pos or 0):
            assert packet.dts is not None
            last[packet.stream.type] = float(packet.dts * packet.time_base)
            assert abs(last["audio"] - last["video"]) < 1.5


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48), (1, 1)])
def test_odd_sizes_get_a_copy_of_the_last_line(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    image = noise(width, height, 3)
    with VideoWriter(tmp_path / "a.mp4", INFO) as writer:
        for i in range(3):
            writer.write(image, i / 25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert frame.shape == (height + height % 2, width + width % 2, 3)
    assert abs(frame[:height, :width].astype(int) - image).mean() < 12
    assert abs(frame[-1].astype(int) - frame[height - 1]).mean() < 6
    assert abs(frame[:, -1].astype(int) - frame[:, width - 1]).mean() < 6


@pytest.mark.parametrize(("width", "height", "matrix"), [(320, 240, 6), (1280, 720, 1)])
def test_colours_come_back_and_are_tagged(tmp_path: Path, width: int, height: int, matrix: int) -> None:
    colours = [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
        (0, 0, 0),
        (200, 120, 40),
        (30, 160, 220),
    ]
    path = tmp_path / "a.mp4"
    with VideoWriter(path, INFO) as writer:
        for i, colour in enumerate(colours):
            writer.write(np.full((height, width, 3), colour, np.uint8), Fraction(i, 25))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range) == (matrix, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)
        for frame, colour in zip(container.decode(video=0), colours, strict=True):
            rgb = frame.to_ndarray(format="rgb24")[height // 2, width // 2].astype(int)
            assert abs(rgb - colour).max() <= 8


def test_a_picture_that_may_not_be_changed(tmp_path: Path) -> None:
    image = noise(64, 48, 1)
    image.flags.writeable = False
    with VideoWriter(tmp_path / "a.mp4", INFO) as writer:
        writer.write(image, 0)
        writer.write(image[:, ::-1], 0.04)
    assert len(video_times(tmp_path / "a.mp4")) == 2


def test_times_always_increase(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, INFO) as writer:
        for time in (0.0, 0.04, 0.04, 0.02, 0.12):
            writer.write(noise(64, 48, 1), time)
    times = video_times(path)
    assert len(times) == 5
    assert all(a < b for a, b in pairwise(times))
    assert times[-1] == pytest.approx(0.12, abs=0.002)


def test_times_below_zero_are_moved(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, INFO) as writer:
        for i in range(5):
            writer.write(noise(64, 48, i), (i - 2) / 25)
    assert [round(float(t), 3) for t in video_times(path)] == [0, 0.04, 0.08, 0.12, 0.16]


@pytest.mark.parametrize(
    "base", [Fraction(1, 24), Fraction(1001, 30000), Fraction(1, 1000), Fraction(1, 10**9)]
)
def test_any_time_base(tmp_path: Path, base: Fraction) -> None:
    path = tmp_path / "a.mp4"
    times = [Fraction(1001 * i, 30000) for i in range(40)]
    with VideoWriter(path, replace(INFO, time_base=base)) as writer:
        for i, time in enumerate(times):
            writer.write(noise(64, 48, i), time)
    assert max(abs(a - b) for a, b in zip(video_times(path), times, strict=True)) <= Fraction(1, 1000)


def test_another_size_is_scaled_into_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, INFO) as writer:
        writer.write(np.full((48, 64, 3), 200, np.uint8), 0)
        writer.write(np.full((100, 50, 3), 200, np.uint8), 0.04)
    with av.open(str(path)) as container:
        second = list(container.decode(video=0))[1].to_ndarray(format="rgb24")
    assert second.shape == (48, 64, 3)
    assert second[:, :16].max() < 60
    assert second[24, 32].min() > 180


@pytest.mark.parametrize("name", ["a:b.mp4", "-x.mp4", "ä ö%d\n.mp4", "\udcff\udcfe.mp4", "n" * 250 + ".mp4"])
def test_any_name(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Of the output and of the input that the sound comes from, also in the current folder."""
    monkeypatch.chdir(tmp_path)
    source = Path("in" + name[2:]) if len(name) > 200 else Path("in" + name)
    shutil.copy(data / "video" / "imageio_realshort.mp4", source)
    copy(source, Path(name))
    Path(name).rename("plain.mp4")
    assert len(video_times(Path("plain.mp4"))) == 36
    assert audio_seconds(Path("plain.mp4")) is not None


def test_pixel_shape_is_kept(tmp_path: Path) -> None:
    for rotation, ratio in ((0, Fraction(4, 3)), (90, Fraction(3, 4))):
        path = tmp_path / f"{rotation}.mp4"
        info = replace(INFO, sample_aspect_ratio=Fraction(4, 3), rotation=rotation)
        with VideoWriter(path, info) as writer:
            writer.write(noise(64, 48, 1), 0)
        with av.open(str(path)) as container:
            assert container.streams.video[0].sample_aspect_ratio == ratio


def test_nothing_is_left_of_what_was_not_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4", INFO) as writer:
        writer.write(noise(64, 48, 1), 0)
        raise KeyboardInterrupt
    writer = VideoWriter(tmp_path / "b.mp4", INFO)
    writer.write(noise(64, 48, 1), 0)
    writer.abort()
    writer.abort()
    with pytest.raises(ValueError, match="closed"):
        writer.write(noise(64, 48, 1), 1)
    assert VideoWriter(tmp_path / "c.mp4", INFO).close() is None
    assert list(tmp_path.iterdir()) == []


def test_until_it_is_finished_the_name_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    writer = VideoWriter(path, INFO)
    for i in range(30):
        writer.write(noise(64, 48, i), i / 25)
    assert path.read_bytes() == b"old"
    assert writer.close() == path
    writer.abort()
    assert len(video_times(path)) == 30


def test_what_cannot_be_written_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"gone/a\.mp4: no such folder"):
        VideoWriter(tmp_path / "gone" / "a.mp4", INFO).write(noise(64, 48, 1), 0)
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from tests.media.test_video_out import INFO
from visioncli.errors import OutputError
from visioncli.media.video_out import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
rng = np.random.default_rng(1)
try:
    with VideoWriter(Path(sys.argv[1]), INFO) as writer:
        for i in range(200):
            writer.write(rng.integers(0, 256, (240, 320, 3), np.uint8), i / 25)
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "big.mp4"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "big.mp4: the file would be larger" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50_000


def _with_sound(folder: Path, codec: str, container: str, rate: int = 44100) -> Path:
    """A clip of two seconds with a tone in `codec`."""
    path = folder / f"in.{container}"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream(codec, rate=rate)
        sound.codec_context.layout = "stereo"
        tone = (np.sin(np.arange(2 * rate) * 2 * np.pi * 440 / rate) * 9000).astype(np.int16)
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(noise(64, 48, i))
            frame.pts, frame.time_base = i, Fraction(1, 25)
            out.mux(video.encode(frame))
        for at in range(0, len(tone), 1000):
            part = np.ascontiguousarray(tone[at : at + 1000].repeat(2)[None])
            heard = av.AudioFrame.from_ndarray(part, format="s16", layout="stereo")
            heard.sample_rate, heard.pts, heard.time_base = rate, at, Fraction(1, rate)
            out.mux(sound.encode(heard))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "container", "rate", "becomes"),
    [
        ("aac", "ts", 44100, "aac"),
        ("pcm_s16le", "mkv", 22050, "aac"),
        ("pcm_s16le", "avi", 44100, "aac"),
        ("flac", "mkv", 44100, "flac"),
        ("alac", "mov", 44100, "alac"),
        ("ac3", "mkv", 48000, "ac3"),
        ("mp2", "ts", 48000, "aac"),
        ("libmp3lame", "avi", 44100, "mp3"),
    ],
)
def test_sound_of_every_kind(tmp_path: Path, codec: str, container: str, rate: int, becomes: str) -> None:
    source = _with_sound(tmp_path, codec, container, rate)
    copy(source, tmp_path / "out.mp4")
    sound, before = audio_seconds(tmp_path / "out.mp4"), audio_seconds(source)
    assert sound is not None
    assert before is not None
    assert sound[0] == becomes
    assert sound[1] == pytest.approx(before[1], abs=0.06)
    with av.open(str(tmp_path / "out.mp4")) as out:
        loud = np.concatenate(
            [np.abs(f.to_ndarray().astype(np.float64)).max(axis=1) for f in out.decode(audio=0)]
        )
    assert loud.max() > 0.1


def test_sound_from_bytes(data: Path, tmp_path: Path) -> None:
    source = data / "video" / "imageio_realshort.mp4"
    with VideoWriter(
        tmp_path / "a.mp4", replace(INFO, has_audio=True), audio_from=source.read_bytes()
    ) as writer:
        for i in range(30):
            writer.write(noise(64, 48, i), i / 25)
    sound = audio_seconds(tmp_path / "a.mp4")
    assert sound is not None
    assert sound[1] > 1


def test_broken_sound_does_not_end_the_video(data: Path, tmp_path: Path) -> None:
    """Sound that cannot be opened, or breaks off: the pictures are written, `warn` told at most once."""
    whole = (data / "video" / "torchcodec_nasa_13013.mp4").read_bytes()
    for name, source in {"none": b"not a video", "cut": whole[: len(whole) // 3]}.items():
        told: list[str] = []
        path = tmp_path / f"{name}.mp4"
        with VideoWriter(path, replace(INFO, has_audio=True), audio_from=source, warn=told.append) as writer:
            for i in range(50):
                writer.write(noise(64, 48, i), i / 25)
        assert len(video_times(path)) == 50
        assert len(told) <= 1
        if name == "none":
            assert "without sound" in told[0]


@pytest.mark.slow
def test_damaged_sound_of_every_kind(data: Path, tmp_path: Path) -> None:
    """Bytes flipped, cut off and zeroed: all pictures come out, and there is at most one warning."""
    sources = [(data / "video" / name).read_bytes() for name, codec in CLIPS.items() if codec]
    for codec, container in (("aac", "ts"), ("pcm_s16le", "avi"), ("flac", "mkv"), ("libmp3lame", "mkv")):
        sources.append(_with_sound(tmp_path, codec, container).read_bytes())
    random = Random(11)
    pictures = [noise(64, 48, i) for i in range(8)]
    warned = 0
    for _ in range(150):
        damaged = bytearray(random.choice(sources))
        how = random.choice(["flip", "head", "zero", "cut"])
        if how in ("flip", "head"):
            for _ in range(random.choice([1, 10, 200])):
                damaged[random.randrange(len(damaged) if how == "flip" else 3000)] = random.randrange(256)
        elif how == "zero":
            at = random.randrange(len(damaged) - 2000)
            damaged[at : at + 2000] = bytes(2000)
        else:
            del damaged[random.randrange(1, len(damaged)) :]
        told: list[str] = []
        path = tmp_path / "out.mp4"
        info = replace(INFO, has_audio=True)
        with VideoWriter(path, info, audio_from=bytes(damaged), warn=told.append) as writer:
            for i in range(50):
                writer.write(pictures[i % 8], i / 25)
        assert len(video_times(path)) == 50
        assert len(told) <= 1
        warned += len(told)
    assert warned > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["torchcodec_nasa_13013.mp4", "derived_nasa_vp9_opus.webm", "derived_people_vfr.mp4"]
)
def test_a_browser_plays_it_to_the_end(data: Path, tmp_path: Path, name: str) -> None:
    if browser.find() is None:
        pytest.skip("no browser installed")
    source = data / "video" / name
    copy(source, tmp_path / "out.mp4", end=4)
    seen = browser.play(tmp_path / "out.mp4", tmp_path / "profile")
    assert seen.whole
    assert seen.duration == pytest.approx(4, abs=0.1)
    assert seen.at == pytest.approx(seen.duration, abs=0.1)
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        assert (seen.width, seen.height) == (stream.width, stream.height)
        assert (seen.audio_bytes > 0) == bool(container.streams.audio)
