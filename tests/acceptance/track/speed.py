"""What tracking and camera motion cost: by the stopwatch."""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.acceptance import BIN, World, bar, check

RUNS = 3


@check("14.5", "the video beside yolo track", timed=True)
def video_speed(world: World) -> str:
    from tests.bench.bench import contests

    contest = contests(RUNS, only=["yolo track"])[0]
    ours, theirs = contest.memory
    return bar(
        contest.fast,
        f"{contest.ratio:.2f} times as fast ({contest.spread[0]:.2f} to {contest.spread[1]:.2f}), bar"
        f" {contest.bar:.2f}; peak memory {ours:.0f} MB, theirs {theirs:.0f} MB",
    )


@check("14.2", "what camera motion adds to a run at 1080p", timed=True)
def motion_cost(world: World) -> str:
    """Alternating, the whole run, annotated; medians."""
    from tests.bench.bench import measure

    clip = full_hd(world)
    model = world.weights / "yolo26n.pt"
    seconds: dict[str, list[float]] = {"sparseOptFlow": [], "none": []}
    for number in range(RUNS + 1):
        for method, times in seconds.items():
            command = [
                BIN / "vision", "track", clip, "--model", model, "--set", f"gmc_method={method}",
                "--out", world.scratch / f"hd-{method}-{number}", "--quiet",
            ]  # fmt: skip
            times.append(measure(command, world.environment).seconds)
    # The first of each warms the caches and may compile the network.
    given, without = (statistics.median(times[1:]) for times in seconds.values())
    return bar(
        given < 1.05 * without, f"{given:.1f} s with, {without:.1f} s without: {given / without - 1:+.1%}"
    )


def full_hd(world: World) -> Path:
    """Ten seconds of the moving sequence at 1920×1080."""
    clip = world.folder("hd") / "hd.mp4"
    source = world.data / "mot" / "ADL-Rundle-6-moving" / "video.mp4"
    import av

    with av.open(str(source)) as read, av.open(str(clip), "w") as write:
        stream = write.add_stream("libx264", rate=30, options={"crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for frame in read.decode(video=0):
            image = frame.reformat(1920, 1080, "yuv420p")
            image.pts = None
            write.mux(stream.encode(image))
        write.mux(stream.encode())
    return clip
