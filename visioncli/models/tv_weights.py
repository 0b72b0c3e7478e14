"""torchvision's networks with a state dict in them. Imports torch: for use inside `Network.build`."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from visioncli.errors import ModelError

State = OrderedDict[str, torch.Tensor]

# Module names with dots in DenseNet's published files, which torchvision renames on loading.
_DENSENET_KEY = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")


def read_state(path: Path, *, trust: bool) -> State:
    """The state dict in a checkpoint, fp32; `ModelError` where there is none.

    Taken as it is, or out of the `model`/`state_dict` entry that training scripts write, without the
    `module.` that distributed training puts before each name.
    """
    from visioncli.registry.checkpoints import load

    content = load(path, trust=trust)
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(map(torch.is_tensor, content.values())):
        raise ModelError(
            f"{path}: holds no torchvision state dict", hint="is it a checkpoint of another library?"
        )
    state: State = OrderedDict()
    for key, value in content.items():
        name = _DENSENET_KEY.sub(r"\1\2", str(key).removeprefix("module."))
        state[name] = value.float() if value.is_floating_point() else value
    # The modules' versions: MNASNet and batch norms read old files by them.
    versions = getattr(content, "_metadata", None)
    if versions:
        state._metadata = {k.removeprefix("module."): v for k, v in versions.items()}  # type: ignore[attr-defined]
    return state


class Unset(TorchFunctionMode):
    """Parameters and buffers without memory, hence not initialised: seconds for some networks, for nothing.

    Unlike under `torch.device("meta")`, ranges and the like, which RegNet computes its widths with, are real.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.empty, torch.zeros, torch.ones) and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def frozen(state: State) -> bool:
    """Was it trained with FrozenBatchNorm2d, as torchvision's published detectors mostly are?"""
    return not any(key.endswith("num_batches_tracked") for key in state)


def class_count(
    make: Callable[[int], torch.nn.Module], state: State, usual: int, key: str | None = None
) -> int:
    """How many classes the state dict is for.

    `make(n)` builds the network for n classes; `key` names the parameter that grows with them (None: the last
    one). `usual` where the state dict has no such parameter: then it does not fit at all.
    """
    with Unset():
        expected = make(usual).state_dict()
    key = key or list(expected)[-1]
    if key not in state:
        return usual
    return int(state[key].shape[0]) * usual // int(expected[key].shape[0])


def fit(make: Callable[[], torch.nn.Module], state: State, path: Path, factory: str) -> torch.nn.Module:
    """The network that `make` builds, with the weights of `state`, in evaluation mode.

    `ModelError`, which says what does not fit, where names or shapes differ.
    """
    with Unset():
        model = make()
    if not hasattr(state, "_metadata"):
        state._metadata = {"": {"version": getattr(model, "_version", 1)}}  # type: ignore[attr-defined]
    try:
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        shapes = re.findall(r"size mismatch for (\S+?):", str(error))
        raise _misfit(path, factory, {"of another shape": shapes}) from error
    if missing or unexpected:
        raise _misfit(path, factory, {"missing": missing, "unknown": unexpected})
    return model.eval().requires_grad_(False)


def _misfit(path: Path, factory: str, faults: Mapping[str, Any]) -> ModelError:
    parts = [
        f"{len(keys)} {what} ({keys[0]}{', …' if len(keys) > 1 else ''})"
        for what, keys in faults.items()
        if keys
    ]
    return ModelError(
        f"{path}: these are not weights of {factory}: {', '.join(parts)}",
        hint="name the model that they belong to",
    )
