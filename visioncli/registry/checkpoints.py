"""Loading checkpoints without running what is in them.

A `.pt` file is a pickle, and a pickle is a program. `torch.load(weights_only=True)` runs it in an
interpreter that knows only the names it is given; here these are exactly the ones that Ultralytics'
checkpoints use. Module classes are handed over as `_Blank`s, which make an empty instance and take no
arguments: a pickle can fill a module with tensors and numbers, but it cannot call its constructor, which in
Ultralytics evaluates text (`activation:` of a model's YAML).
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from visioncli.errors import ModelError
from visioncli.registry import allowed, pickles

_LOCK = threading.Lock()  # torch's list is one for the process: the end of one load would strip another's
_TRUST = "--trust-checkpoint loads it all the same: only if you trust its author with this machine"


class _ForbiddenError(Exception):
    """What a pickle asks of an allowed name is not what checkpoints ask."""


def load(path: Path, *, trust: bool = False) -> Any:
    """The content of a checkpoint, on the CPU: `.safetensors`, or a pickle of torch.save.

    Raises ModelError for a damaged file and for one that names anything but the allowed classes; nothing of
    such a file is run. `trust` runs the pickle whatever it names: for files from people one trusts with the
    machine.
    """
    import torch

    if not path.is_file():
        raise ModelError(f"{path}: no such file", kind="not_found")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if trust:
            return _trusted(path)
        with _only(_allowed(path)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except _ForbiddenError as e:
        raise ModelError(f"{path}: refused: {e}", hint=_TRUST) from e
    except Exception as e:  # a damaged file makes torch, pickle and zipfile raise nearly anything
        raise ModelError(
            f"{path}: not a checkpoint that can be loaded, or a damaged one ({_line(e)})",
            hint="compare its hash: vision models verify",
        ) from e


@contextmanager
def _only(granted: list[Any]) -> Iterator[None]:
    """Let torch know these names and no others: what the process granted before (Ultralytics' own loader
    grants its real classes for good) must not take the place of a stand-in."""
    from torch import serialization

    with _LOCK:
        before = serialization.get_safe_globals()
        serialization.clear_safe_globals()
        try:
            serialization.add_safe_globals(granted)
            yield
        finally:
            serialization.clear_safe_globals()
            serialization.add_safe_globals(before)


def _line(e: Exception) -> str:
    return str(e).strip().split("\n")[0][:160] or type(e).__name__


def _trusted(path: Path) -> Any:
    import torch

    try:
        named = pickles.named(path)
    except ModelError:  # of a kind that only torch can read, or that torch will complain of better
        named = []
    if any(n.startswith("ultralytics.") for n in named):
        from visioncli.models import _ultralytics

        _ultralytics.tasks()
    return torch.load(path, map_location="cpu", weights_only=False)


def _allowed(path: Path) -> list[Any]:
    """What the pickle names, resolved by us; ModelError for a name that is not on the list."""
    named = pickles.named(path)
    special: dict[str, Any] = {
        **dict.fromkeys(allowed.SCALARS, _scalar),
        **dict.fromkeys(allowed.PATHS, _path),
        "_codecs.encode": _latin1,
    }
    classes = {n: _resolve(allowed.CLASSES[n], path) for n in named if n in allowed.CLASSES}
    stand_ins = {n: _blank(cls) for n, cls in classes.items()}
    special[allowed.GETATTR] = _attribute_of({stand_ins[n]: cls for n, cls in classes.items()})
    granted: list[Any] = []
    forbidden: list[str] = []
    for name in named:
        if name in classes:
            # The class itself is there for torch to know its instances: no pickle can spell a line break.
            granted += [(stand_ins[name], name), (classes[name], f"\n{name}")]
        elif name in allowed.TRANSFORMS:
            granted.append((type(name.rpartition(".")[2], (_Remembered,), {}), name))
        elif name in special:
            granted.append((special[name], name))
        elif name in allowed.DTYPES:
            granted += [(_resolve(name, path), name), *_dtype_classes()]
        elif name not in allowed.PLAIN:
            forbidden.append(name)
    if forbidden:
        more = f" and {len(forbidden) - 1} more" if len(forbidden) > 1 else ""
        raise ModelError(
            f"{path}: refused: loading it would run {forbidden[0]}{more}, which no checkpoint needs",
            hint=_TRUST,
        )
    return granted


def _dtype_classes() -> list[Any]:
    """The types of numpy's dtype objects, whose state a pickle may set."""
    return [_resolve(name, Path()) for name in allowed.DTYPES[1:]]


def _resolve(name: str, path: Path) -> Any:
    """The object of that name, now; ModelError where the installed library has none."""
    module, _, attribute = name.rpartition(".")
    try:
        if module.startswith("ultralytics."):
            from visioncli.models import _ultralytics

            return getattr(_ultralytics.load(module), attribute)
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as e:
        raise ModelError(
            f"{path}: needs {name}, which this version of {module.partition('.')[0]} does not have",
            hint=f"install the release of {module.partition('.')[0]} that wrote it",
        ) from e


def _blank(cls: Any) -> type:
    """A stand-in for a class: called, or asked for a new object, it makes an empty instance of `cls`."""

    def empty(_: type, *args: object) -> Any:
        if args:
            raise _ForbiddenError(f"it would construct {cls.__name__} with arguments, which runs code")
        return cls.__new__(cls)

    return type(f"Blank{cls.__name__}", (), {"__new__": empty})


class _Remembered:
    """An object of torchvision's transforms that does nothing but keep its attributes.

    `value` is what it was called with, such as the name of an interpolation.
    """

    def __init__(self, value: str = "") -> None:
        self.value = value


def _attribute_of(classes: dict[type, type]) -> Callable[[Any, str], Any]:
    """A `getattr` for pickles: a module's forward, a member of an enumeration, and nothing else."""

    def attribute(thing: Any, name: str) -> Any:
        if isinstance(thing, type) and issubclass(thing, _Remembered):
            return thing(name.lower())
        if name in ("forward", "forward_fuse"):
            if isinstance(thing, type) and thing in classes:
                return getattr(classes[thing], name)
            if type(thing) in classes.values():
                return getattr(type(thing), name).__get__(thing)
        raise _ForbiddenError(f"it would take {name!r} of {type(thing).__name__}")

    return attribute


def _scalar(dtype: Any, data: Any = None) -> Any:
    """A numpy scalar from its bytes, as numpy pickles it; object dtypes are refused."""
    import numpy as np

    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(data, bytes):
        raise _ForbiddenError("a numpy scalar of a kind that no checkpoint needs")
    return np.frombuffer(data, dtype, count=1)[0]


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """How Python 2 pickles spell bytes: the only use of `_codecs.encode`."""
    if encoding != "latin1" or not isinstance(text, str):
        raise _ForbiddenError("_codecs.encode with anything but latin1")
    return text.encode("latin1")


def _path(*parts: str) -> Path:
    """A path that the training run recorded, on whatever system it ran."""
    return Path("/".join(map(str, parts)))
