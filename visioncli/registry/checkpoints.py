"""Loading checkpoints without running what is in them.

A `.pt` file is a pickle, and a pickle is a program. `torch.load(weights_only=True)` runs it in an
interpreter that knows only the names it is given; here these are exactly the ones that Ultralytics'
checkpoints use. Module classes are handed over as `_Blank`s, which make an empty instance and take no
arguments: a pickle can fill a module with tensors and numbers, but it cannot call its constructor, which in
Ultralytics evaluates text (`activation:` of a model's YAML).
"""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

from visioncli.errors import ModelError
from visioncli.registry import pickles

# Found by building every YAML of ultralytics 8.4 (but for open-vocabulary models and `TorchVision`) and
# pickling it.
_MODULES = {
    "torch.nn.modules.activation": "GELU Hardswish LeakyReLU MultiheadAttention ReLU ReLU6 SiLU Sigmoid Tanh",
    "torch.nn.modules.batchnorm": "BatchNorm1d BatchNorm2d",
    "torch.nn.modules.container": "ModuleDict ModuleList Sequential",
    "torch.nn.modules.conv": "Conv1d Conv2d ConvTranspose2d",
    "torch.nn.modules.dropout": "Dropout Dropout2d",
    "torch.nn.modules.flatten": "Flatten",
    "torch.nn.modules.linear": "Identity Linear NonDynamicallyQuantizableLinear",
    "torch.nn.modules.loss": "BCEWithLogitsLoss CrossEntropyLoss",
    "torch.nn.modules.normalization": "GroupNorm LayerNorm",
    "torch.nn.modules.padding": "ZeroPad2d",
    "torch.nn.modules.pooling": "AdaptiveAvgPool2d AvgPool2d MaxPool2d",
    "torch.nn.modules.sparse": "Embedding",
    "torch.nn.modules.upsampling": "Upsample",
    "ultralytics.nn.modules.block": "A2C2f AAttn ABlock AConv ADown Attention Bottleneck BottleneckCSP C1 C2 C2PSA C2f "
    "C2fCIB C2fPSA C3 C3Ghost C3k C3k2 C3x CBFuse CBLinear CIB DFL ELAN1 GhostBottleneck HGBlock HGStem PSA PSABlock "
    "Proto Proto26 RealNVP RepBottleneck RepC3 RepCSP RepNCSPELAN4 RepVGGDW ResNetBlock ResNetLayer SCDown SPP "
    "SPPELAN SPPF",
    "ultralytics.nn.modules.conv": "CBAM ChannelAttention Concat Conv Conv2 ConvTranspose DWConv DWConvTranspose2d "
    "Focus GhostConv LightConv RepConv SpatialAttention",
    "ultralytics.nn.modules.head": "Classify Depth Detect OBB OBB26 Pose Pose26 RTDETRDecoder Segment Segment26 "
    "SemanticSegment v10Detect",
    "ultralytics.nn.modules.transformer": "AIFI DeformableTransformerDecoder DeformableTransformerDecoderLayer "
    "LayerNorm2d MLP MLPBlock MSDeformAttn TransformerBlock TransformerEncoderLayer TransformerLayer",
    "ultralytics.nn.tasks": "ClassificationModel DepthModel DetectionModel OBBModel PoseModel RTDETRDetectionModel "
    "SegmentationModel SemanticSegmentationModel",
    # What training leaves beside the network.
    "ultralytics.utils": "IterableSimpleNamespace",
    "ultralytics.utils.loss": "BboxLoss DFLoss E2EDetectLoss v8ClassificationLoss v8DetectionLoss v8OBBLoss v8PoseLoss "
    "v8SegmentationLoss",
    "ultralytics.utils.tal": "RotatedTaskAlignedAssigner TaskAlignedAssigner",
}
_CLASSES = {
    f"{module}.{name}": f"{module}.{name}" for module, names in _MODULES.items() for name in names.split()
}
# Names that older releases gave to what is elsewhere now.
_MOVED = {
    **{  # until 8.0.105 one file held all modules
        f"ultralytics.nn.modules.{name.rpartition('.')[2]}": name
        for name in _CLASSES
        if name.startswith("ultralytics.nn.modules.")
    },
    "ultralytics.nn.modules.block.Silence": "torch.nn.modules.linear.Identity",
    "ultralytics.nn.tasks.YOLOv10DetectionModel": "ultralytics.nn.tasks.DetectionModel",
    "ultralytics.utils.loss.v10DetectLoss": "ultralytics.utils.loss.E2EDetectLoss",
    "ultralytics.yolo.utils.IterableSimpleNamespace": "ultralytics.utils.IterableSimpleNamespace",
    "ultralytics.yolo.utils.loss.v8DetectionLoss": "ultralytics.utils.loss.v8DetectionLoss",
}
# What torch's own interpreter makes by itself: tensors and their parts, plain containers.
_PLAIN = frozenset(
    [f"torch.{kind}Storage" for kind in ["BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short"]]
    + [
        f"torch.{kind}"
        for kind in ["bfloat16", "bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8"]
    ]
    + [f"torch._utils._rebuild_{kind}" for kind in ("parameter", "tensor", "tensor_v2")]
    + [
        "torch.Size",
        "torch.Tensor",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.storage.UntypedStorage",
    ]
    + ["collections.OrderedDict", "builtins.set", "__builtin__.set", "builtins.dict", "__builtin__.dict"]
)
_SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_PATHS = tuple(f"{m}.{c}Path" for m in ("pathlib", "pathlib._local") for c in ("", "Posix", "Windows"))


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
        with torch.serialization.safe_globals(_allowed(path)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except Exception as e:  # a damaged file makes torch, pickle and zipfile raise nearly anything
        raise ModelError(
            f"{path}: not a checkpoint that can be loaded, or a damaged one ({_line(e)})",
            hint="compare its hash: vision models verify",
        ) from e


def _line(e: Exception) -> str:
    return str(e).strip().split("\n")[0][:160] or type(e).__name__


def _trusted(path: Path) -> Any:
    import torch

    if path.stat().st_size and any(n.startswith("ultralytics.") for n in pickles.named(path)):
        from visioncli.models import _ultralytics

        _ultralytics.tasks()
    return torch.load(path, map_location="cpu", weights_only=False)


def _allowed(path: Path) -> list[Any]:
    """What the pickle names, resolved by us; ModelError for a name that is not on the list."""
    named = pickles.named(path)
    special = {**dict.fromkeys(_SCALARS, _scalar), **dict.fromkeys(_PATHS, _path), "_codecs.encode": _latin1}
    forbidden = [
        n for n in named if not (n in _CLASSES or n in _MOVED or n in _PLAIN or n in special or _is_dtype(n))
    ]
    if forbidden:
        more = f" and {len(forbidden) - 1} more" if len(forbidden) > 1 else ""
        raise ModelError(
            f"{path}: refused: loading it would run {forbidden[0]}{more}, which no checkpoint of a known kind needs",
            hint="--trust-checkpoint loads it all the same: only for a file whose author you trust with this machine",
        )
    allowed: list[Any] = []
    for name in named:
        if name in _CLASSES or name in _MOVED:
            cls = _resolve(_CLASSES.get(name) or _MOVED[name], path)
            # The class itself is only there for torch to know its instances: no pickle can spell a line
            # break.
            allowed += [(_blank(cls), name), (cls, f"\n{name}")]
        elif name in special:
            allowed.append((special[name], name))
        elif _is_dtype(name):
            allowed.append((_resolve(name, path), name))
    return allowed


def _is_dtype(name: str) -> bool:
    """numpy's own dtype class and its per-type classes: `numpy.dtype`, `numpy.dtypes.Float64DType`."""
    return name == "numpy.dtype" or (name.startswith("numpy.dtypes.") and name.endswith("DType"))


def _resolve(name: str, path: Path) -> Any:
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


def _blank(cls: type) -> type:
    """A stand-in for a class: called, or asked for a new object, it makes an empty instance of `cls`."""

    def empty(_: type, *args: object) -> Any:
        if args:
            raise pickle.UnpicklingError(f"a pickle may not construct {cls.__name__} with arguments")
        return cls.__new__(cls)

    return type(f"Blank{cls.__name__}", (), {"__new__": empty})


def _scalar(dtype: Any, data: Any = None) -> Any:
    """A numpy scalar from its bytes, as numpy pickles it; object dtypes are refused."""
    import numpy as np

    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(data, bytes):
        raise pickle.UnpicklingError("a numpy scalar of a kind that no checkpoint needs")
    return np.frombuffer(data, dtype, count=1)[0]


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """How Python 2 pickles spell bytes: the only use of `_codecs.encode`."""
    if encoding != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError("_codecs.encode with anything but latin1")
    return text.encode("latin1")


def _path(*parts: str) -> Path:
    """A path that the training run recorded, on whatever system it ran."""
    return Path("/".join(map(str, parts)))
