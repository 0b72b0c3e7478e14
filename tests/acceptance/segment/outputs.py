"""What people see and keep of masks, through `vision segment` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.acceptance import BIN, World, bar, check

MODEL = ("--model", "yolov8n-seg")
VIDEO = "ocv4node_people.mp4"
FRAMES, FEW, FEW_SECONDS = 460, 100, 4.17


@check("13.4", "masks folder, record and overlay agree on ten pictures")
def agree(world: World) -> str:
    from tests.cli.test_segment_outputs import agreement_in, png

    folder = world.folder("agree")
    png(folder / "in", sorted((world.data / "coco" / "images").glob("*.jpg"))[:10])
    options = ("--masks", "m", "--out", "o", "--alpha", 1, "--jsonl", "r")
    world.vision("segment", "in", *MODEL, *options, cwd=folder)
    pictures, objects, redrawn, off_colour = agreement_in(folder)
    figure = (
        f"{pictures} pictures, {objects} objects, mask files equal to the record; overlays differ from the"
        f" record's masks drawn again in {redrawn:.4%} of the pixels, from its colours in {off_colour:.2%}"
    )
    return bar(pictures == 10 and objects >= 30 and redrawn < 0.001 and off_colour < 0.01, figure)


@check("13.5", "--background blur keeps people sharp and smooths the rest, frame by frame")
def blur(world: World) -> str:
    from tests.acceptance.spine.quality import record
    from tests.output.agreement import result_of
    from visioncli.render.background import kept_mask

    folder = world.folder("blur")
    source = world.data / "video" / VIDEO
    options = ("--classes", "person", "--background", "blur", "--end", 1, "--out", folder)
    world.vision("segment", source, *MODEL, *options, "--jsonl", folder / "r.jsonl")
    lines = [line for line in record(folder / "r.jsonl") if line["type"] == "result"]
    kept, left = [], []
    for line, before, after in zip(lines, frames(source), frames(folder / VIDEO), strict=False):
        mask = kept_mask(result_of(line)).astype(np.uint8)
        inside = cv2.erode(mask, np.ones((15, 15), np.uint8)) > 0
        outside = cv2.dilate(mask, np.ones((41, 41), np.uint8)) == 0
        kept.append(float(np.abs(after[inside].astype(int) - before[inside]).mean()))
        left.append(detail(after, outside) / detail(before, outside))
    assert len(kept) == len(lines) >= 20, f"{len(kept)} frames of {len(lines)}"
    figure = (
        f"{len(kept)} frames: people {max(kept):.1f} of 255 off at most, detail left behind {max(left):.0%}"
    )
    return bar(max(kept) < 6 and max(left) < 0.25, figure)


def frames(path: Path):  # type: ignore[no-untyped-def]
    """The (H, W, 3) frames of a video, one by one."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def detail(image: np.ndarray, where: np.ndarray) -> float:
    """How much there is between blurs of 1 and of 3 px: finer detail is the codec's noise."""
    fine, coarse = (cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma) for sigma in (1, 3))
    return float(np.abs(fine - coarse)[where].mean())


@check("13.6", "peak memory of a video does not grow with its length")
def memory(world: World) -> str:
    from tests.bench.bench import measure

    folder = world.folder("memory")
    # A shape that keeps coming is compiled once: before, or it would count for one of the two.
    world.vision("segment", world.data / "video" / VIDEO, *MODEL, "--end", 2, "--no-media")
    peaks = {}
    for count, end in ((FEW, ("--end", FEW_SECONDS)), (FRAMES, ())):
        out = folder / str(count)
        options = ("--out", out, "--masks", folder / f"masks {count}", "--jsonl", folder / f"{count}.jsonl")
        command = [BIN / "vision", "segment", world.data / "video" / VIDEO, *MODEL, *options, *end, "--quiet"]
        peaks[count] = measure([str(part) for part in command], world.environment).megabytes
        written = len(list((folder / f"masks {count}").rglob("*.png")))
        assert written == count, f"{written} masks for {count} frames"
    few, all_of_them = peaks[FEW], peaks[FRAMES]
    figure = f"{FEW} frames {few:.0f} MB, {FRAMES} frames {all_of_them:.0f} MB ({all_of_them / few - 1:+.1%})"
    return bar(all_of_them <= 1.1 * few, figure)
