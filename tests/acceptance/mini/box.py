"""`mini` where there is neither network nor weights, its speed, and the wheel that carries it."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

from tests.acceptance import BIN, NotHereError, World, bar, check
from tests.build_weights import ROOT

FIRST_SECONDS, RUNS = 2.0, 5
PICTURES_A_SECOND, COPIES = 40, 10
SAMPLES = ROOT / "sample_media"
# What a person sees on the pictures and the clip of sample_media.
SEEN = {
    "bus.jpg": {"bus", "person"},
    "astronaut.jpg": {"person"},
    "cat.jpg": {"cat"},
    "dog.jpg": {"dog"},
    "people.mp4": {"person"},
}


def bare(world: World, name: str) -> dict[str, str]:
    """An environment without weights, caches and the folder of real ones."""
    home = world.folder(name)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VISION_", "XDG_", "TORCH_", "YOLO_"))}
    return {**kept, "HOME": str(home), "VISION_SHARED": str(home / "none")}


def cut_off(*command: object, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A command in a network of its own, in which there is nothing."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        raise NotHereError("unshare -n is not permitted here")
    return subprocess.run(
        ["unshare", "-rn", *map(str, command)], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@check("12.1", "make demo without network and weights")
def demo(world: World) -> str:
    clone = world.folder("clone")
    for name in ("visioncli", "tests", "sample_media"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    env = {**bare(world, "demo home"), "PYTHONPATH": str(clone)}
    done = cut_off(sys.executable, clone / "tests" / "demo.py", cwd=clone, env=env)
    last = done.stdout.strip().splitlines()[-1] if done.stdout else done.stderr[-300:]
    return bar(done.returncode == 0 and "mini answers" in done.stdout, last)


@check("12.1", "what mini says of sample_media, with the network cut")
def answers(world: World) -> str:
    env, out = bare(world, "answers"), world.folder("answered")
    seen: dict[str, set[str]] = {}
    for command in ("detect", "track", "segment", "classify"):
        named = [
            p for p in sorted(SAMPLES.iterdir()) if p.suffix == (".mp4" if command == "track" else ".jpg")
        ]
        if command == "detect":
            named.append(SAMPLES / "people.mp4")
        record = out / f"{command}.jsonl"
        done = cut_off(BIN / "vision", command, *named, "--no-media", "--jsonl", record, cwd=out, env=env)
        assert done.returncode == 0, f"{command}: {done.stderr[-300:]}"
        assert "mini answers" in done.stderr, done.stderr[-300:]
        first, *lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
        assert first["model"]["name"] == "mini"
        for line in lines:
            if line["type"] == "result":
                found = line["results"][:1] if command == "classify" else line["results"]
                key = f"{command} {Path(line['source']).name}"
                seen.setdefault(key, set()).update(f["label"] for f in found)
    missed = [
        f"{k}: no {', '.join(v - seen[f'detect {k}'])}" for k, v in SEEN.items() if v - seen[f"detect {k}"]
    ]
    missed += [f"track: no {k}" for k in {"person"} - seen["track people.mp4"]]
    missed += [f"segment bus.jpg: no {k}" for k in {"bus", "person"} - seen["segment bus.jpg"]]
    missed += [] if "cat" in " ".join(seen["classify cat.jpg"]) else ["classify cat.jpg: no cat"]
    labels = "; ".join(f"{k} {', '.join(sorted(v))}" for k, v in seen.items() if not k.startswith("classify"))
    return bar(not missed, f"{', '.join(missed) or 'all that a person sees'} ({labels})")


@check("12.1", "the very first vision detect, with the network cut", timed=True)
def first(world: World) -> str:
    """Each run with an empty home: nothing compiled, nothing cached."""
    times = []
    for number in range(RUNS):
        env = bare(world, f"first {number}")
        began = time.perf_counter()
        done = cut_off(
            BIN / "vision", "detect", SAMPLES / "bus.jpg", "--out", "o", cwd=Path(env["HOME"]), env=env
        )
        times.append(time.perf_counter() - began)
        assert done.returncode == 0, done.stderr[-300:]
        assert "bus" in done.stdout
    median = statistics.median(times)
    return bar(
        median <= FIRST_SECONDS, f"{median:.2f} s (median of {RUNS}, from {min(times):.2f}; at most 2)"
    )


@check("12.3", "pictures a second of mini on a folder", timed=True)
def speed(world: World) -> str:
    folder = world.folder("speed")
    pictures = sorted((world.data / "coco" / "images").glob("*.jpg"))
    for copy in range(COPIES):
        for path in pictures:
            shutil.copy(path, folder / f"{copy}-{path.name}")
    count = len(pictures) * COPIES
    rates = {}
    for command in ("detect", "classify", "segment"):
        times = []
        for number in range(3 if command == "detect" else 1):
            out = world.scratch / f"speed {command} {number}.jsonl"
            began = time.perf_counter()
            world.vision(command, folder, "--model", "mini", "--no-media", "--offline", "--jsonl", out)
            times.append(time.perf_counter() - began)
        rates[command] = count / statistics.median(times)
    figure = ", ".join(f"{command} {rate:.0f}/s" for command, rate in rates.items())
    return bar(
        rates["detect"] >= PICTURES_A_SECOND,
        f"{figure} ({count} pictures, the whole process; detect at least 40)",
    )


@check("12.4", "the wheel, in an empty environment with no network")
def wheel(world: World) -> str:
    """The libraries that it asks for are this environment's; of `vision` there is only the wheel's."""
    folder = world.folder("wheel")
    built = world.run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT
    )
    assert built.returncode == 0, built.stderr[-300:]
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("visioncli/models/data/mini.safetensors").file_size
    env = folder / "env"
    venv.create(env, with_pip=False, symlinks=True)
    (site,) = (env / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig_site() + "\n")
    installed = world.run(
        sys.executable, "-m", "pip", "--python", env / "bin" / "python", "install", "-q", "--no-index", path
    )
    assert installed.returncode == 0, installed.stderr[-300:]
    home = bare(world, "wheel home")
    where = cut_off(
        env / "bin" / "python", "-c", "import visioncli; print(visioncli.__file__)", cwd=folder, env=home
    )
    assert where.stdout.startswith(str(env)), f"visioncli is {where.stdout or where.stderr}"
    found = {}
    for command in ("detect", "classify", "segment"):
        line = [env / "bin" / "vision", command, SAMPLES / "bus.jpg", "--no-media"]
        done = cut_off(*line, cwd=folder, env=home)
        assert done.returncode == 0, f"{command}: {done.stderr[-300:]}"
        assert "mini answers" in done.stderr, done.stderr[-300:]
        found[command] = {row.split("\t")[3] for row in done.stdout.splitlines()}
    assert "bus" in found["detect"] & found["segment"], found
    return f"{path.name}, {path.stat().st_size / 1e6:.1f} MB with {size / 1e6:.1f} of mini: {found['detect']}"


def sysconfig_site() -> str:
    """Where this environment's packages are."""
    import sysconfig

    return sysconfig.get_path("purelib")
