"""Issue 15: compiled networks and the pipeline's speed. What a stopwatch decides is `timed`."""

from __future__ import annotations

import functools
import json
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance import BIN, ROOT, World, bar, check
from tests.acceptance.spine.library import YOLOS, apart
from tests.acceptance.spine.quality import BOXES, coco_map, labels, record
from tests.bench.bench import Run, measure, quiet_peer
from tests.bench.listing import TORCHVISION_LOOP
from tests.bench.race import WARM_UPS

RUNS = 2  # of each side in acceptance; `make bench` takes more
CPU = Path("/proc/cpuinfo")
BF16 = CPU.is_file() and bool({"avx512_bf16", "amx_bf16"} & set(CPU.read_text().split()))


def coco_answers(world: World, name: str, precision: str) -> float:
    """mAP on data/coco through the command, compiled, at a precision."""
    out = world.folder(f"15 {name} {precision}") / "record.jsonl"
    options = [part for key, value in BOXES.items() for part in (f"--{key.replace('_', '-')}", value)]
    world.vision(
        "detect", world.data / "coco" / "images", "--model", name, *options, "--precision", precision,
        "--runtime", "openvino", "--no-media", "--jsonl", out,
    )  # fmt: skip
    lines = record(out)
    assert lines[0]["options"]["runtime"] == "openvino"
    found = {
        Path(line["source"]).name: [(r["class"], r["score"], r["box"]) for r in line["results"]]
        for line in lines
        if line["type"] == "result"
    }
    return coco_map(world.data, found, lines[0]["model"]["names"])[0]


@check("15.1", "mAP of three YOLOs at --precision auto, less that at fp32")
def precision_bound(world: World) -> str:
    changes = {n: coco_answers(world, n, "auto") - coco_answers(world, n, "fp32") for n in YOLOS}
    mean = statistics.mean(changes.values())
    figure = ", ".join(f"{n} {change:+.4f}" for n, change in changes.items()) + f", mean {mean:+.4f}"
    return bar(min(changes.values()) >= -0.004 and mean >= -0.002, figure)


def compiled_parity(name: str, world: World) -> str:
    from tests.parity.ultralytics_own import parity

    pictures = sorted((world.data / "coco" / "images").glob("*.jpg"))[:16]
    count, difference = parity(name, world.weights / f"{name}.pt", pictures, "openvino")
    return apart(count, difference.boxes, difference.scores)


for yolo in YOLOS:
    check("15.1", f"compiled {yolo} at fp32 as Ultralytics' predict")(
        functools.partial(compiled_parity, yolo)
    )


@check("15.3", "a run that finds its network imports neither torch nor torchvision nor ultralytics")
def without_torch(world: World) -> str:
    for _ in range(2):
        done = world.run(
            sys.executable, "-X", "importtime", "-m", "visioncli", "detect",
            ROOT / "sample_media" / "dog.jpg", "--model", "yolo26n", "--no-media", cwd=world.scratch,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-300:]
    imported = set(re.findall(r"\| +(\w+)", done.stderr))
    heavy = imported & {"torch", "torchvision", "ultralytics", "openvino_telemetry"}
    return bar(not heavy and "openvino" in imported, f"{len(imported)} packages, {heavy or 'none of them'}")


def medians(world: World, ours: list[object], theirs: list[object]) -> tuple[Run, Run]:
    """Both sides alternating, after ours has compiled its network: medians of time and memory."""
    environment = {
        **world.environment,
        **quiet_peer(world.folder(f"peer {len(list(world.scratch.iterdir()))}")),
    }
    environment |= {k: v for k, v in world.environment.items() if k.startswith(("XDG_", "VISION_"))}
    for _ in range(WARM_UPS):
        measure(ours, environment)
    pairs = [(measure(ours, environment), measure(theirs, environment)) for _ in range(RUNS)]
    middle = [
        Run(
            *(
                statistics.median(getattr(run, what) for run in side)
                for what in ("seconds", "cpu", "megabytes")
            )
        )
        for side in zip(*pairs, strict=True)
    ]
    return middle[0], middle[1]


def beside(ours: Run, theirs: Run) -> str:
    return (
        f"{ours.seconds:.2f} s and {ours.megabytes:.0f} MB beside {theirs.seconds:.2f} s and"
        f" {theirs.megabytes:.0f} MB: {theirs.seconds / ours.seconds:.2f} times as fast,"
        f" {ours.megabytes / theirs.megabytes:.2f} of the memory"
    )


def yolo_predict(world: World, name: str, source: Path, *options: str) -> list[object]:
    out = world.folder(f"yolo {len(list(world.scratch.iterdir()))}")
    return [BIN / "yolo", "predict", f"model={world.weights / name}.pt", f"source={source}", f"project={out}",
            *options]  # fmt: skip


def video(name: str, save: bool, options: Sequence[object], world: World) -> str:
    clip = world.data / "perf" / "people720.mp4"
    out = world.folder(f"15 video {name} {save} {len(options)}")
    ours: list[object] = [
        BIN / "vision",
        "detect",
        clip,
        "--model",
        name,
        "--force",
        "--jsonl",
        out / "r.jsonl",
    ]
    ours += [*options, *(["--out", out] if save else ["--no-media"])]
    run, peer = medians(world, ours, yolo_predict(world, name, clip, f"save={save}"))
    least = 2.4 if options else 3.3 if save else 3.8
    reached = peer.seconds / run.seconds >= least and run.megabytes <= peer.megabytes / 2
    return bar(reached, f"{beside(run, peer)} (bars {least} and 0.5)")


for save, title in ((True, "H.264 out"), (False, "records only")):
    check(
        "15.1",
        f"people720.mp4 beside yolo predict, yolo26n, {title}",
        timed=True,
        open="" if BF16 else "the bars are those of a CPU with bf16, which this one lacks",
    )(functools.partial(video, "yolo26n", save, ()))


@check("15.1", "people720.mp4 beside yolo predict, yolo26n, H.264 out, fp32", timed=True)
def video_fp32(world: World) -> str:
    return video("yolo26n", True, ("--precision", "fp32"), world)


def steady(world: World, task: str, model: str, source: Path) -> str:
    """`vision bench` of what `auto` takes: the network alone, CPU time and the whole pipeline."""
    command = [BIN / "vision", "bench", source, "-r", "--task", task, "--model", model, "--json"]
    options = ["--runtime", "openvino", "--precision", "auto", "--batch", "auto", "--seconds", "8"]
    found = json.loads(world.run(*command, *options).stdout)
    [one], cores = found["steady"], found["machine"]["cores"]
    share = one["rate"]["median"] / one["roofline"]
    return bar(
        share >= 0.9,
        f"{one['rate']['median']:.1f} a second, network alone {one['network']['median']:.1f}, CPU"
        f" {one['cpu_ms']:.1f} ms on {cores} cores: {share:.0%} of the roofline {one['roofline']:.1f}",
    )


@check("15.2", "a video's steady state beside the roofline, yolo26n", timed=True)
def steady_video(world: World) -> str:
    return steady(world, "detect", "yolo26n", world.data / "perf" / "people720.mp4")


@check("15.4", "photographs' steady state beside the roofline, mobilenet_v2", timed=True)
def steady_labels(world: World) -> str:
    return steady(world, "classify", "mobilenet_v2", world.data / "imagenet")


@check("15.4", "photographs' steady state beside the roofline, yolo26n", timed=True)
def steady_boxes(world: World) -> str:
    return steady(world, "detect", "yolo26n", world.data / "coco" / "images")


@check("15.5", "memory does not grow with the input")
def flat(world: World) -> str:
    """One clip and five times that clip, 200 photographs and five times those."""
    clip, photos = world.data / "perf" / "people720.mp4", list(labels(world.data))
    one, five = ["--end", "2"], ["--end", "10"]
    detect = ["detect", clip, "--model", "yolo26n", "--out", world.folder("15 flat"), "--force"]
    peaks = []
    for command in (
        [*detect, *one],
        [*detect, *five],
        ["classify", *photos, "--model", "mobilenet_v2", "--no-media"],
        ["classify", *photos * 5, "--model", "mobilenet_v2", "--no-media"],
    ):
        if len(peaks) in (0, 2):  # what compiles is not counted
            measure([BIN / "vision", *command], world.environment)
        peaks.append(measure([BIN / "vision", *command], world.environment).megabytes)
    growth = [longer / shorter - 1 for shorter, longer in (peaks[:2], peaks[2:])]
    return bar(
        max(growth) <= 0.1, f"{', '.join(f'{p:.0f}' for p in peaks)} MB: {growth[0]:+.1%}, {growth[1]:+.1%}"
    )


@check("15.3", "one picture, cold, beside yolo predict", timed=True)
def picture(world: World) -> str:
    photo = ROOT / "sample_media" / "bus.jpg"
    ours = [BIN / "vision", "detect", photo, "--model", "yolo26n", "--out", world.folder("15 picture")]
    run, peer = medians(world, [*ours, "--force"], yolo_predict(world, "yolo26n", photo))
    reached = run.seconds <= 0.2 * peer.seconds and run.megabytes <= 0.3 * peer.megabytes
    return bar(reached, f"{beside(run, peer)} (bars 5 and 0.3)")


def classified(world: World, photos: list[Path]) -> tuple[Run, Run]:
    ours = [BIN / "vision", "classify", *photos, "--model", "mobilenet_v2", "--no-media"]
    return medians(
        world, ours, [sys.executable, TORCHVISION_LOOP, world.weights / "mobilenet_v2.pth", *photos]
    )


@check("15.3", "one picture classified, cold, beside a torchvision script", timed=True)
def one_label(world: World) -> str:
    run, peer = classified(world, [ROOT / "sample_media" / "cat.jpg"])
    return bar(run.seconds <= 0.35 * peer.seconds, f"{beside(run, peer)} (bar {1 / 0.35:.2f})")


@check("15.4", "1,000 photographs classified, beside a torchvision loop", timed=True)
def folder(world: World) -> str:
    run, peer = classified(world, list(labels(world.data)) * 5)
    reached = peer.seconds / run.seconds >= 3 and run.megabytes <= peer.megabytes / 2
    return bar(reached, f"{beside(run, peer)} (bars 3 and 0.5)")


@check("15.6", "start-up: import, --help, models list", timed=True)
def start_up(world: World) -> str:
    commands: dict[str, tuple[float, list[object]]] = {
        "import visioncli": (0.05, [sys.executable, "-c", "import visioncli"]),
        "vision --help": (0.12, [BIN / "vision", "--help"]),
        "vision models list": (0.25, [BIN / "vision", "models", "list"]),
    }
    bare = statistics.median(measure([sys.executable, "-c", ""], world.environment).seconds for _ in range(5))
    took = {
        name: statistics.median(measure(command, world.environment).seconds for _ in range(5))
        for name, (_, command) in commands.items()
    }
    took["import visioncli"] -= bare
    figure = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in took.items())
    return bar(all(took[name] <= most for name, (most, _) in commands.items()), figure)


@check("15.8", "the very first detection, nothing compiled, beside the same run in torch", timed=True)
def first_use(world: World) -> str:
    photo = ROOT / "sample_media" / "dog.jpg"
    command: list[object] = [BIN / "vision", "detect", photo, "--model", "yolo26n", "--no-media"]
    firsts, torches = [], []
    for number in range(3):
        kept = {"VISION_CACHE": str(world.folder(f"15 kept {number}"))}
        firsts.append(measure(command, world.environment | kept).seconds)
        torches.append(measure([*command, "--runtime", "torch"], world.environment).seconds)
    first, torch = statistics.median(firsts), statistics.median(torches)
    return bar(first <= 1.5 * torch, f"{first:.2f} s, in torch {torch:.2f} s: {first / torch:.2f} times")
