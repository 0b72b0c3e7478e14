"""Import Ultralytics' networks and nothing of its habits.

Its import asks DNS whether there is a network, creates a settings file in the user's folder, posts events
where `sync` is true, patches `PIL.Image.open` and `torch.save`, sets OpenCV to one thread and
`OMP_NUM_THREADS` to 1.
Here it runs with a settings folder of ours and offline, and what it changed is put back afterwards.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_LOCK = threading.RLock()


def tasks() -> ModuleType:
    """`ultralytics.nn.tasks`, imported without side effects. Imports torch first."""
    return load("ultralytics.nn.tasks")


def load(name: str) -> ModuleType:
    """A module of ultralytics by its full name, imported without side effects."""
    import importlib

    with _LOCK:
        if name in sys.modules:
            return sys.modules[name]
        with _untouched():
            return importlib.import_module(name)


@contextmanager
def _untouched() -> Iterator[None]:
    """Put back what importing ultralytics changes in the process."""
    import cv2
    import numpy as np
    import PIL.Image
    import torch

    environment = dict(os.environ)
    threads, image_open, torch_save = cv2.getNumThreads(), PIL.Image.open, torch.save
    torch_print, numpy_print = vars(torch._tensor_str.PRINT_OPTS).copy(), np.get_printoptions()
    first = "ultralytics" not in sys.modules
    os.environ.update(_settings())
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        cv2.setNumThreads(threads)
        PIL.Image.open = image_open
        torch.save = torch_save
        vars(torch._tensor_str.PRINT_OPTS).update(torch_print)
        np.set_printoptions(**numpy_print)
        if first:  # its log goes to stdout, which is ours for data
            logging.getLogger("ultralytics").setLevel(logging.ERROR)


def _settings() -> dict[str, str]:
    """Environment for the import: a settings folder of ours with `sync` off, offline, nothing installed."""
    folder = _folder()
    file = folder / "Ultralytics" / "settings.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{os.getpid()}")
        part.write_text(json.dumps({"sync": False}), "utf-8")
        part.replace(file)
    return {
        "YOLO_CONFIG_DIR": str(folder),
        "YOLO_AUTOINSTALL": "0",
        "YOLO_OFFLINE": "1",
        "YOLO_VERBOSE": "false",
        "ULTRALYTICS_SAFE_LOAD": "1",
    }


def _folder() -> Path:
    """Where ultralytics may keep its settings: our cache, else a temporary folder."""
    from platformdirs import user_cache_path

    folder = user_cache_path("vision", appauthor=False) / "ultralytics"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return (
            Path(tempfile.gettempdir()) / f"vision-ultralytics-{os.getuid() if hasattr(os, 'getuid') else 0}"
        )
    if os.access(folder, os.W_OK):
        return folder
    return Path(tempfile.gettempdir()) / f"vision-ultralytics-{os.getuid() if hasattr(os, 'getuid') else 0}"
