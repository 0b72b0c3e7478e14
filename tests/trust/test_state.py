"""A call of the Python API leaves the process as it was."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.build_weights import ROOT
from tests.trust.conftest import Watched

STATE = """
import json, locale, logging, os, signal, sys, threading, warnings
import cv2, numpy, PIL.Image, torch
import torchvision  # whose own import sets TORCHINDUCTOR_CACHE_DIR, by torch's compiler

def state():
    return {
        "PIL.Image.open": repr(PIL.Image.open),
        "PIL bomb limit": PIL.Image.MAX_IMAGE_PIXELS,
        "PIL truncated": PIL.ImageFile.LOAD_TRUNCATED_IMAGES,
        "torch.save": repr(torch.save),
        "torch.load": repr(torch.load),
        "torch threads": torch.get_num_threads(),
        "torch gradients": torch.is_grad_enabled(),
        "torch dtype": str(torch.get_default_dtype()),
        "torch deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch seed": torch.initial_seed(),
        "TF32": [torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32],
        "cv2 threads": cv2.getNumThreads(),
        "cv2.imread": repr(cv2.imread),
        "environment": dict(os.environ),
        "signals": {n: repr(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)},
        "warnings": repr(warnings.filters),
        "numpy errors": numpy.geterr(),
        "numpy printing": repr(numpy.get_printoptions()),
        "logging": [repr(logging.root.handlers), logging.root.level, logging.root.manager.disable],
        "excepthook": repr(sys.excepthook),
        "streams": [repr(sys.stdout), repr(sys.stderr)],
        "folder": os.getcwd(),
        "path": list(sys.path),
        "locale": locale.getlocale(),
        "recursion": sys.getrecursionlimit(),
    }

import PIL.ImageFile
samples = sys.argv[1]
before = state()
from visioncli import load
after_import = state()
model = load("yolo26n", imgsz=160)
model(samples + "/dog.jpg")
after_call = state()
for count, _ in enumerate(model.stream(samples + "/people.mp4"), 1):
    if count == 10:
        break
after_stream = state()
load("mobilenet_v2", task="classify")(PIL.Image.open(samples + "/cat.jpg"))
after_classify = state()
changed = {}
for what, later in {
    "import": after_import, "call": after_call, "stream": after_stream, "classify": after_classify
}.items():
    for key in before:
        if later[key] != before[key]:
            changed[what + ": " + key] = [before[key], later[key]]
print(json.dumps(changed))
print(json.dumps(sorted(t.name for t in threading.enumerate() if t is not threading.main_thread())))
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", [None, "3"])
def test_nothing_changed(
    watched: Callable[..., Watched], threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if threads is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    run = watched(ROOT / "sample_media", code=STATE)
    assert run.code == 0, run.stderr.decode()
    changed, alive = (json.loads(line) for line in run.stdout.decode().splitlines())
    assert changed == {}
    assert [
        name for name in alive if name.startswith(("read", "network", "prepare", "encode", "write"))
    ] == []
    assert len(run.stdout.splitlines()) == 2, "nothing of the libraries on stdout"
