"""For maintainers: what no publisher states, computed from the networks themselves (see docs/models.md).

The networks are built with random weights and run once on a blank picture; what counts is how many bytes of
tensors live at the same time.
"""

from __future__ import annotations

import math
import weakref
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from visioncli.registry.cards import Card, builtin

PICTURE = (480, 640)  # the commonest size in COCO, for networks that keep a picture's shape


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors made under it that are alive, and remembers the most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._owners: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._watch(tensor)
        return out

    def _watch(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._owners:
            self._owners[key] = 0
            self.now += size
            self.peak = max(self.peak, self.now)
        self._owners[key] += 1
        weakref.finalize(tensor, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._owners[key] -= 1
        if not self._owners[key]:
            del self._owners[key]
            self.now -= size


def measure(card: Card, sizes: dict[str, Any]) -> tuple[dict[str, float], torch.nn.Module]:
    """Peak activations (`mb`, 10^6 bytes) and `gflops` at batch 1 for a card with the input `sizes`."""
    # These run on shapes alone: their weights would fill a small machine.
    large = card.family in ("ViT", "VGG") or card.adapter == "ultralytics-semantic"
    device = "meta" if large else "cpu"
    listed = card.library == "torchvision" and card.task in ("detect", "segment-instance")
    torch.backends.mha.set_fastpath_enabled(False)  # its one big operator would hide what lives inside
    with torch.no_grad():
        with torch.device(device):
            network = _build(card, sizes).eval()
        with FlopCounterMode(display=False) as flops, Live() as live:
            picture = torch.zeros(_shape(card, sizes), device=device)
            network([picture[0]] if listed else picture)
    return {"mb": live.peak / 1e6, "gflops": flops.get_total_flops() / 1e9}, network


def _build(card: Card, sizes: dict[str, Any]) -> torch.nn.Module:
    if card.library == "torchvision":
        import torchvision

        options: dict[str, Any] = {} if card.task == "classify" else {"weights_backbone": None}
        if card.family == "ViT":
            options["image_size"] = sizes["crop"]
        network: torch.nn.Module = torchvision.models.get_model(card.factory, weights=None, **options)
        return network
    from visioncli.models import _ultralytics

    tasks = _ultralytics.tasks()
    kind = {
        "ultralytics-detect": tasks.DetectionModel,
        "ultralytics-rtdetr": tasks.RTDETRDetectionModel,
        "ultralytics-classify": tasks.ClassificationModel,
        "ultralytics-segment": tasks.SegmentationModel,
        "ultralytics-semantic": tasks.SemanticSegmentationModel,
    }[card.adapter]
    return kind(f"{card.factory}.yaml", verbose=False)  # type: ignore[no-any-return]


def _shape(card: Card, sizes: dict[str, Any]) -> tuple[int, ...]:
    side = sizes.get("imgsz") or sizes.get("crop")
    if side:
        return (1, 3, side, side) if isinstance(side, int) else (1, 3, *side)
    if "resize" in sizes:
        return (1, 3, sizes["resize"], round(sizes["resize"] * PICTURE[1] / PICTURE[0]))
    return (1, 3, *PICTURE)  # detectors resize inside


def checkpoint_bytes(network: torch.nn.Module) -> int:
    """About how large a checkpoint of Ultralytics is: half precision, and 450 bytes of pickle a tensor."""
    values = network.state_dict().values()
    size = sum(v.numel() * (2 if v.is_floating_point() else v.element_size()) + 450 for v in values)
    return int(round(size, 2 - math.floor(math.log10(size))))


def write(path: Path) -> None:
    """Measure the built-in cards that the file lacks, and add them; without the file, all."""
    header = "# Written by generate.py (measure); do not edit. MB are 10^6 bytes."
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    known = {line.split('"')[1]: line for line in old.splitlines() if line.startswith('"')}
    for name, card in builtin().items():
        if name not in known and card.activations_mb is None:  # mini's card has its own
            known[name] = _line(card)
            print(known[name], flush=True)
            lines = [known[n] for n in builtin() if n in known]
            path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")


def _line(card: Card) -> str:
    found, network = measure(card, dict(card.input))
    row: dict[str, Any] = {"activations_mb": round(found["mb"], 1)}
    if card.gflops is None:
        row["gflops"] = round(found["gflops"], 1)
    if card.params is None:
        row["params"] = sum(p.numel() for p in network.parameters())
    if card.library == "ultralytics":
        row["bytes"] = checkpoint_bytes(network)
    variants = {
        w.name: round(measure(card, dict(card.input_for(w)))[0]["mb"], 1)
        for w in card.weights
        if w.input and w.input.get("crop") and w.name != card.default and not w.unfit
    }
    pairs = [f"{k} = {v}" for k, v in row.items()]
    if variants:
        pairs.append("variants = {" + ", ".join(f"{k} = {v}" for k, v in variants.items()) + "}")
    return f'"{card.name}" = {{{", ".join(pairs)}}}'
