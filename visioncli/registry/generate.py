"""For maintainers: write the data files of the registry from what the libraries themselves say.

    python -m visioncli.registry.generate torchvision   # data/torchvision.toml and names/, from its weights
    enums python -m visioncli.registry.generate measure       # data/measured.toml: memory, and what nobody
    publishes

`data/ultralytics.toml` is kept by hand: its figures come from Ultralytics' documentation, page by page.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BASE = "https://download.pytorch.org/models/"
PAGES = "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models."
KINDS = {
    "classify": ("torchvision.models", "torchvision-classify", "imagenet"),
    "detect": ("torchvision.models.detection", "torchvision-detect", "coco91"),
    "segment-instance": ("torchvision.models.detection", "torchvision-segment", "coco91"),
    "segment-semantic": ("torchvision.models.segmentation", "torchvision-semantic", "voc"),
}
FAMILIES = {
    "alexnet": "AlexNet", "convnext": "ConvNeXt", "densenet": "DenseNet", "efficientnet": "EfficientNet",
    "googlenet": "GoogLeNet", "inception": "Inception", "maxvit": "MaxViT", "mnasnet": "MNASNet",
    "mobilenetv2": "MobileNet", "mobilenetv3": "MobileNet", "regnet": "RegNet", "resnet": "ResNet",
    "shufflenetv2": "ShuffleNet", "squeezenet": "SqueezeNet", "swin_transformer": "Swin", "vgg": "VGG",
    "vision_transformer": "ViT", "faster_rcnn": "Faster R-CNN", "fcos": "FCOS", "retinanet": "RetinaNet",
    "ssd": "SSD", "ssdlite": "SSDlite", "mask_rcnn": "Mask R-CNN", "deeplabv3": "DeepLabV3", "fcn": "FCN",
    "lraspp": "LR-ASPP",
}  # fmt: skip
METRICS = {"acc@1": "top1", "acc@5": "top5", "box_map": "map", "mask_map": "mask_map", "miou": "miou",
           "pixel_acc": "pixel_acc"}  # fmt: skip
SWAG = "https://github.com/facebookresearch/SWAG/blob/main/LICENSE"


def torchvision_models(task: str) -> list[str]:
    """The builders of one task: RCNNs with masks are instance segmentation, keypoints are left out."""
    import torchvision

    module = sys.modules[KINDS[task][0]]
    found: list[str] = torchvision.models.list_models(module=module)
    if task == "detect":
        return [n for n in found if not n.startswith(("maskrcnn", "keypointrcnn"))]
    if task == "segment-instance":
        return [n for n in found if n.startswith("maskrcnn")]
    return found


def torchvision_toml() -> str:
    """The text of data/torchvision.toml."""
    import torchvision

    parts = [
        f"# Written by generate.py from torchvision {torchvision.__version__.split('+')[0]}; do not edit."
    ]
    for task, (_, adapter, names) in KINDS.items():
        shared = _input_defaults(task)
        parts.append(
            f'\n[[group]]\ntask = "{task}"\nlibrary = "torchvision"\nadapter = "{adapter}"\n'
            f'names = "{names}"\nbase = "{BASE}"\nlicence = "BSD-3-Clause"\n'
            + (f"input = {_inline(shared)}\n" if shared else "")
        )
        parts += [_model_toml(name, task, shared) for name in torchvision_models(task)]
    return "\n".join(parts)


def _model_toml(name: str, task: str, shared: dict[str, Any]) -> str:
    import torchvision

    builder = torchvision.models.get_model_builder(name)
    enum = torchvision.models.get_model_weights(name)
    default, own = enum.DEFAULT, {}
    if task in ("detect", "segment-instance"):
        own = _detector_input(builder)
    else:
        own = {k: v for k, v in _input(default).items() if shared.get(k) != v}
    card = {**shared, **own}
    lines = [
        f"[group.model.{name}]",
        f'family = "{FAMILIES[builder.__module__.rsplit(".", 1)[-1]]}"',
        f"params = {default.meta['num_params']}",
        f"gmacs = {default.meta['_ops']}",
        f'page = "{PAGES}{"" if task == "classify" else KINDS[task][0].rsplit(".", 1)[-1] + "."}{name}.html"',
    ]
    if len(enum) > 1:
        lines.append(f'default = "{default.name}"')
    if own:
        lines.append(f"input = {_inline(own)}")
    lines.append("weights = [")
    lines += [f"  {_inline(weights_row(w, default, card, task))}," for w in enum]
    return "\n".join([*lines, "]", ""])


def weights_row(weights: Any, default: Any, card_input: dict[str, Any], task: str) -> dict[str, Any]:
    """One variant as a TOML row: what torchvision's `meta` says, less what the card says already."""
    meta, file = weights.meta, weights.url.rsplit("/", 1)[-1]
    if weights.url != BASE + file:
        raise ValueError(f"{weights}: not under {BASE}: {weights.url}")
    row: dict[str, Any] = {"name": weights.name, "file": file}
    if found := re.search(r"-([0-9a-f]{8,})\.pth$", file):
        row["sha256"] = found[1]
    row["bytes"] = round(meta["_file_size"] * 2**20)
    for figures in meta["_metrics"].values():
        row |= {METRICS[k]: v for k, v in figures.items() if not math.isnan(v)}
    if "license" in meta:
        if meta["license"] != SWAG:
            raise ValueError(f"{weights}: a licence nobody has looked at: {meta['license']}")
        row["licence"] = "CC-BY-NC-4.0"
    if meta["num_params"] != default.meta["num_params"]:
        row["params"] = meta["num_params"]
    if meta["_ops"] != default.meta["_ops"]:
        row["gmacs"] = meta["_ops"]
    if task in ("classify", "segment-semantic"):
        own = {k: v for k, v in _input(weights).items() if card_input.get(k) != v}
        if own:
            row["input"] = own
    if not meta["categories"]:
        row["unfit"] = "features only: there is no trained classifier in them"
    return row


def _input(weights: Any) -> dict[str, Any]:
    """What `weights.transforms()` does, as plain values."""
    preset = weights.transforms()
    size = {"crop": preset.crop_size[0]} if hasattr(preset, "crop_size") else {}
    return {
        **size,
        "resize": preset.resize_size[0],
        "interpolation": preset.interpolation.value,
        "mean": list(preset.mean),
        "std": list(preset.std),
    }


def _input_defaults(task: str) -> dict[str, Any]:
    common = {"interpolation": "bilinear", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    return {
        "classify": {"crop": 224, "resize": 256, **common},
        "segment-semantic": {"resize": 520, **common},
    }.get(task, {})


def _detector_input(builder: Any) -> dict[str, Any]:
    """The resizing and normalisation that a detector has inside."""
    inside = builder(weights=None, weights_backbone=None).transform
    size = {"fixed": list(inside.fixed_size)} if inside.fixed_size else {
        "min": inside.min_size[0], "max": inside.max_size}  # fmt: skip
    return {**size, "mean": list(inside.image_mean), "std": list(inside.image_std)}


def _inline(table: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{k} = {_value(v)}" for k, v in table.items()) + "}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return _inline(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def write_names() -> None:
    """The label files, from torchvision's categories; COCO's 80 are its 91 without the gaps."""
    from torchvision.models import get_model_weights

    coco91 = get_model_weights("fasterrcnn_resnet50_fpn").DEFAULT.meta["categories"]
    sets = {
        "imagenet": get_model_weights("resnet50").DEFAULT.meta["categories"],
        "coco91": coco91,
        "coco": [n for n in coco91 if n not in ("__background__", "N/A")],
        "voc": get_model_weights("fcn_resnet50").DEFAULT.meta["categories"],
    }
    for name, lines in sets.items():
        (HERE / "names" / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write what the first argument names."""
    import torchvision  # noqa: F401  (fills sys.modules for torchvision_models)

    match sys.argv[1:]:
        case ["torchvision"]:
            (HERE / "data" / "torchvision.toml").write_text(torchvision_toml(), encoding="utf-8")
            write_names()
        case ["measure"]:
            from visioncli.registry.measure import write

            write(HERE / "data" / "measured.toml")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
