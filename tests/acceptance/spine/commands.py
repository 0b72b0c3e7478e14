"""The commands as a user types them: the tour, the three lines of the issue, exit 5, start-up, no GPU."""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from pathlib import Path

from tests.acceptance import BIN, World, bar, check
from tests.build_weights import ROOT

RUNS = 11
# Nothing listens there: as good as no network.
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")


@check("11.1", "make demo, on real weights")
def demo(world: World) -> str:
    done = world.run(sys.executable, ROOT / "tests" / "demo.py")
    last = done.stdout.strip().splitlines()[-1]
    return bar(done.returncode == 0, last if done.returncode == 0 else f"{last} {done.stderr[-200:]}")


@check("11.1", "the three commands as written")
def as_written(world: World) -> str:
    folder = world.folder("as written")
    shutil.copy(ROOT / "sample_media" / "bus.jpg", folder / "img.jpg")
    shutil.copy(world.data / "photos" / "cars.mp4", folder / "cars.mp4")
    # The default classifier has no weights here; a user says once in the folder which one to take.
    (folder / "vision.toml").write_text('[classify]\nmodel = "mobilenet_v2"\n')
    path = {"PATH": f"{BIN}:/usr/bin:/bin"}
    found = {}
    for line in (
        "vision classify img.jpg",
        "vision detect --video cars.mp4",
        "find . -name '*.jpg' -not -path './vision-out/*' -print0 | vision detect -0 -",
    ):
        done = world.run("bash", "-o", "pipefail", "-c", line, cwd=folder, env=path)
        assert done.returncode == 0, f"{line}: exit code {done.returncode}: {done.stderr[-200:]}"
        found[line] = [row.split("\t")[3] for row in done.stdout.splitlines()]
    labels, cars, piped = found.values()
    assert len(labels) == 5
    assert "car" in cars
    assert {"person", "bus"} <= set(piped)
    for name in ("img.jpg", "cars.mp4"):
        assert (folder / "vision-out" / name).stat().st_size > 10_000, f"vision-out/{name}"
    return f"{len(labels)} labels, {len(cars)} boxes in the video, {len(piped)} from the list"


@check("11.1", "a named model without weights and network")
def exit_5(world: World) -> str:
    folder = world.folder("no weights")
    picture = ROOT / "sample_media" / "bus.jpg"
    bare = {"VISION_WEIGHTS": str(folder / "none")}
    for extra, env in (((), {**bare, **NO_NETWORK}), (("--offline",), bare)):
        done = world.vision("detect", picture, "--model", "yolo26n", *extra, code=5, cwd=folder, env=env)
        *notes, line = done.stderr.strip().splitlines()
        assert all("downloading" in note for note in notes), notes
        for part in ("yolo26n.pt", "none", "https://", "vision models pull yolo26n", "--model PATH"):
            assert part in line, f"{part!r} is not in: {line}"
        assert not done.stdout
    left = [p.name for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock")]
    assert not left, f"left behind: {left}"
    return "exit 5, one line: file, places, address, pull, how to go without"


@check("11.7", "start-up", timed=True)
def start_up(world: World) -> str:
    medians = {}
    for line in ("--help", "models list"):
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            world.vision(*line.split())
            times.append(time.perf_counter() - began)
        medians[line] = statistics.median(times)
    figure = f"vision --help {medians['--help']:.3f} s, vision models list {medians['models list']:.3f} s"
    return bar(medians["--help"] <= 0.15 and medians["models list"] <= 0.3, f"{figure} (medians of {RUNS})")


HEAVY = ("torch", "torchvision", "cv2", "numpy", "av", "PIL", "ultralytics")


@check("11.7", "what is imported")
def imports(world: World) -> str:
    picture, model = ROOT / "sample_media" / "bus.jpg", world.weights / "yolo26n.pt"
    for line in (["--help"], ["models", "list"]):
        there = imported(world, line)
        assert not there & set(HEAVY), f"vision {' '.join(line)} imports {sorted(there & set(HEAVY))}"
    quietly = ["--no-media", "--quiet", "--runtime", "torch"]
    run = imported(world, ["detect", str(picture), "--model", str(model), *quietly])
    assert "torch" in run
    assert "torchvision" not in run, "a YOLO run imports torchvision"
    return "none of the heavy ones for --help and models list, no torchvision for a YOLO run"


def imported(world: World, arguments: list[str]) -> set[str]:
    """Top-level modules in the process at the end of `vision ARGUMENTS`."""
    out = world.scratch / "modules"
    code = (
        "import sys, atexit, pathlib\n"
        f"atexit.register(lambda: pathlib.Path({str(out)!r}).write_text('\\n'.join(sys.modules)))\n"
        f"from visioncli.cli import main\nmain({arguments!r})"
    )
    done = world.run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr[-300:]
    return set(Path(out).read_text().split())


@check("11.12", "--device cuda without a GPU")
def no_gpu(world: World) -> str:
    import torch

    from tests.acceptance import NotHereError

    if torch.cuda.is_available():
        raise NotHereError("there is a GPU here: `pytest -m gpu` is what counts")
    picture, model = ROOT / "sample_media" / "bus.jpg", world.weights / "yolo26n.pt"
    done = world.vision("detect", picture, "--model", model, "--device", "cuda", "--no-media", code=2)
    (line,) = done.stderr.strip().splitlines()
    assert "no CUDA device" in line, line
    return f"exit 2, {line.removeprefix('vision: ')!r}"
