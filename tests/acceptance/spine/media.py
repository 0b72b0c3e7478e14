"""Video and awkward pictures, through `vision detect` as a user runs it."""

from __future__ import annotations

import csv
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.acceptance import NotHereError, World, bar, check
from tests.acceptance.spine.quality import record

TWICE = ("intel_car-detection.mp4", "ocv4node_people.mp4")
TURNED = tuple(f"decord_video_{degrees}.mov" for degrees in (0, 90, 180, 270))
PLAYED = "torchcodec_nasa_13013.mp4"


def index(folder: Path, key: str = "file") -> dict[str, dict[str, str]]:
    """A folder's index.csv by file name."""
    with (folder / "index.csv").open(encoding="utf-8") as file:
        return {row[key]: row for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Clips:
    """Every clip of data/video after one run of `vision detect`: the annotated files and the record."""

    out: Path
    lines: list[dict]

    def annotated(self, name: str) -> Path:
        return self.out / Path(name).with_suffix(".mp4").name


def clips(world: World) -> Clips:
    """The network works on small pictures here: these checks look at what goes around it.

    Each is named as a video: of an animated picture alone `detect` takes the first frame.
    """
    folder = world.folder("clips")
    videos = [
        part for name in index(world.data / "video") for part in ("--video", world.data / "video" / name)
    ]
    done = world.vision(
        "detect", *videos, "--model", "yolo26n", "--imgsz", 160,
        "--out", folder / "out", "--jsonl", folder / "record.jsonl",
    )  # fmt: skip
    assert done.stdout.count("Traceback") == 0
    return Clips(folder / "out", record(folder / "record.jsonl"))


def seen(path: Path) -> tuple[list[float], np.ndarray]:
    """The times of the frames that decode (s), bad packets skipped, and the first frame."""
    import av

    times, first = [], None
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                times.append(float(frame.pts * frame.time_base))
                first = frame.to_ndarray(format="rgb24") if first is None else first
    assert first is not None, f"{path.name}: nothing decodes"
    return times, first


@check("11.4", "every clip: frames, no traceback")
def frames(world: World) -> str:
    expected = index(world.data / "video")
    done = {Path(line["source"]).name: line for line in world.once(clips).lines if line["type"] == "done"}
    errors = [line for line in world.once(clips).lines if line["type"] == "error"]
    assert not errors, f"{len(errors)} errors, the first: {errors[:1]}"
    wrong = [
        f"{name}: {done[name]['frames'] if name in done else 'no'} frames, not {row['frames']}"
        for name, row in expected.items()
        if row["status"] == "sound" and (name not in done or done[name]["frames"] != int(row["frames"]))
    ]
    broken = done["decord_corrupted.mp4"]
    assert broken["frames"] >= 28
    figure = f"{len(expected)} clips, {sum(d['frames'] for d in done.values())} frames, damaged one"
    return bar(
        not wrong,
        "; ".join(wrong)
        or f"{figure} {broken['frames']} frames, {broken['skipped_packets']} packets skipped",
    )


@check("11.4", "sound clips: H.264 yuv420p, faststart, frames, timestamps, size")
def annotated(world: World) -> str:
    import av

    from tests.media.test_video_out import boxes

    worst = 0.0
    sound = {n: row for n, row in index(world.data / "video").items() if row["status"] == "sound"}
    for name, row in sound.items():
        out = world.once(clips).annotated(name)
        with av.open(str(out)) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.pix_fmt) == ("h264", "yuv420p"), (
                f"{name}: {context.name} {context.pix_fmt}"
            )
            even = tuple(
                int(row[f"display_{side}"]) + int(row[f"display_{side}"]) % 2 for side in ("width", "height")
            )
            assert (context.width, context.height) == even, f"{name}: {context.width}×{context.height}"
        order = boxes(out)
        assert order.index("moov") < order.index("mdat"), f"{name}: not faststart"
        before, after = seen(world.data / "video" / name)[0], seen(out)[0]
        assert len(before) == len(after), f"{name}: {len(after)} frames, not {len(before)}"
        apart = max(abs(a - b) for a, b in zip(sorted(before), after, strict=True))
        assert apart <= 0.002, f"{name}: a timestamp is {apart * 1000:.1f} ms off"
        worst = max(worst, apart)
    return f"{len(sound)} clips, timestamps at most {worst * 1000:.2f} ms off"


@check("11.4", "sound where the input has it, of equal length")
def audio(world: World) -> str:
    from tests.media.test_video_out import audio_seconds

    worst, heard = 0.0, 0
    for name, row in index(world.data / "video").items():
        if row["status"] != "sound":
            continue
        before = audio_seconds(world.data / "video" / name)
        after = audio_seconds(world.once(clips).annotated(name))
        assert (before is None) == (not row["audio"]), f"{name}: sound and index disagree"
        assert (before is None) == (after is None), f"{name}: sound {before} became {after}"
        if before is not None and after is not None:
            heard += 1
            worst = max(worst, abs(before[1] - after[1]))
    return bar(worst <= 0.05, f"{heard} clips with sound, lengths at most {worst * 1000:.0f} ms apart")


@check("11.4", "turned clips come out upright")
def upright(world: World) -> str:
    """Each annotated first frame is the stored one turned as its display matrix says, not otherwise."""
    figures = []
    rows = index(world.data / "video")
    for name in TURNED:
        stored, ours = seen(world.data / "video" / name)[1], seen(world.once(clips).annotated(name))[1]
        right = int(rows[name]["rotation"]) // 90
        off = {}
        for turns in range(4):
            candidate = np.rot90(stored, -turns)
            if candidate.shape == ours.shape:
                off[turns] = float(np.abs(candidate.astype(int) - ours).mean())
        assert min(off, key=off.__getitem__) == right, (
            f"{name}: turned by {min(off, key=off.__getitem__) * 90}"
        )
        figures.append(f"{off[right]:.1f}")
    return f"{len(TURNED)} clips, mean difference to the turned picture {', '.join(figures)} of 255"


@check("11.4", "size at the default quality")
def size(world: World) -> str:
    folder = world.folder("sizes")
    videos = [world.data / "video" / name for name in TWICE]
    world.vision("detect", *videos, "--model", "yolo26n", "--out", folder)
    ratios = {v.name: (folder / v.name).stat().st_size / v.stat().st_size for v in videos}
    figure = ", ".join(f"{name} {ratio:.2f} times" for name, ratio in ratios.items())
    return bar(max(ratios.values()) <= 2, figure)


@check("11.4", "an annotated video plays to its end in a browser")
def playback(world: World) -> str:
    from tests.media import browser

    if browser.find() is None:
        raise NotHereError("no browser installed")
    seen_there = browser.play(world.once(clips).annotated(PLAYED), world.folder("browser"))
    stated = float(index(world.data / "video")[PLAYED]["duration"])
    sound = f"{seen_there.audio_bytes} bytes of sound"
    figure = f"{' '.join(seen_there.events)}, {seen_there.duration:.2f} s of {stated:.2f} s, {sound}"
    good = seen_there.whole and abs(seen_there.duration - stated) <= 0.1 and seen_there.audio_bytes > 0
    return bar(good, figure)


def corner_lines(world: World) -> list[dict]:
    out = world.folder("corner") / "out.jsonl"
    world.vision("detect", world.data / "corner", "--model", "yolo26n", "--jsonl", out, "--no-media", code=3)
    return record(out)


@check("11.5", "corner pictures agree with their index")
def corner(world: World) -> str:
    expected = index(world.data / "corner")
    lines = [line for line in world.once(corner_lines) if line["type"] in ("result", "error")]
    by_name = {Path(line["source"]).name: line for line in lines}
    assert len(lines) == len(by_name), "two records for one file"
    free = 0
    for name, row in expected.items():
        line = by_name.get(name)
        if line is None:
            raise AssertionError(f"{name}: no record")
        free += row["either_outcome_defensible"] == "yes"
        if line["type"] == "error":
            assert line["message"], f"{name}: an error without a reason"
            assert row["expected"] == "error" or row["either_outcome_defensible"] == "yes", (
                f"{name}: {line['message']}"
            )
        else:
            assert row["expected"] == "ok" or row["either_outcome_defensible"] == "yes", f"{name}: read"
            size = f"{line['width']}×{line['height']}"
            wanted = f"{row['width']}×{row['height']}"
            assert size == wanted or row["either_outcome_defensible"] == "yes", (
                f"{name}: {size}, not {wanted}"
            )
    extra = by_name.keys() - expected.keys() - {"index.csv", "README.md"}
    assert not extra, f"not in the index: {sorted(extra)}"
    errors = sum(line["type"] == "error" for line in lines)
    return f"{len(expected)} files, one record each, {errors} errors, exit 3 ({free} might go either way)"


@check("11.5", "Portrait_0 to _8: one person at one place")
def portraits(world: World) -> str:
    found = {}
    for line in world.once(corner_lines):
        name = Path(line.get("source", "")).stem
        if name.startswith("Portrait_"):
            assert (line["width"], line["height"]) == (1200, 1800), (
                f"{name}: {line['width']}×{line['height']}"
            )
            people = [r["box"] for r in line["results"] if r["label"] == "person"]
            assert len(people) == 1, f"{name}: {len(people)} persons"
            found[name] = people[0]
    assert len(found) == 9
    worst = min(overlap(a, b) for a in found.values() for b in found.values())
    return bar(worst >= 0.9, f"9 pictures of 1200×1800, IoU at least {worst:.3f}")


def overlap(a: list[float], b: list[float]) -> float:
    """IoU of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


@check("11.5", "decompression bombs are refused")
def bombs(world: World) -> str:
    folder = world.folder("bombs")
    side = 30_000
    black = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    packed = b"".join(black.compress(row) for _ in range(side)) + black.flush()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)),
        (b"IDAT", packed),
        (b"IEND", b""),
    ]
    bomb = folder / "bomb.png"
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks
        )
    )
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from visioncli.errors import InputError\nfrom visioncli.media import pictures\n"
        "from visioncli.media.frame import Input\n"
        "path = Path(sys.argv[1])\nbegan = time.perf_counter()\n"
        "try:\n    pictures.read(Input(path.name, 'picture', path, Path(path.name)))\n"
        "except InputError as error:\n"
        # Not ru_maxrss, which begins with what the process that forked held.
        "    high = next(s for s in open('/proc/self/status') if s.startswith('VmHWM'))\n"
        "    peak = int(high.split()[1]) / 1024\n"
        "    print(time.perf_counter() - began, peak, error.kind)\n"
    )
    figures = []
    for path in (bomb, world.data / "corner" / "decompression_bomb.gif"):
        done = world.run(sys.executable, "-c", code, path)
        assert done.stdout, f"{path.name} was read: {done.stderr[-300:]}"
        seconds, peak, kind = done.stdout.split()
        figures.append(f"{path.name} {kind} in {float(seconds):.3f} s with {float(peak):.0f} MiB")
        assert float(seconds) < 1 and float(peak) < 1024, figures[-1]
    return "; ".join(figures)
