"""vision: classify, detect, track and segment pictures and video."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Model", "Result", "VisionError", "__version__", "load"]

if TYPE_CHECKING:
    from visioncli.api import Model, load
    from visioncli.errors import VisionError
    from visioncli.results import Result

_HOMES = {"Model": "api", "load": "api", "Result": "results", "VisionError": "errors"}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: `import visioncli` alone loads nothing heavy."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"visioncli.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'visioncli' has no attribute {name!r}")
