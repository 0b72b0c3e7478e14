"""Step 6: write the file that ships: the moving average, norms folded in, half precision, what it answers.

python -m visioncli.train.mini.export build/mini/run/last.pt visioncli/models/data/mini.safetensors

`--detects` and `--segments` name the classes that the file says it answers, and `vision` then offers; a class
that it was trained on and does badly at is better left out. What was exported before may stand in the place
of the checkpoint, to change what it says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from visioncli.models.mini_net import MiniNet, folded_state
from visioncli.registry.cards import labels
from visioncli.registry.header import metadata

LIMIT = 12_000_000  # bytes


def export(checkpoint: Path, out: Path, *, norms: bool = False, answers: dict[str, str] | None = None) -> int:
    """Write `out` from a training checkpoint or an earlier export, in one piece; returns its size in bytes.

    `answers` maps `detects` and `segments` to labels with commas; what it leaves out stays as it was.
    """
    whole, about = _read(checkpoint)
    if not norms and any(".norm." in name for name in whole):
        net = MiniNet(folded=False)
        net.load_state_dict(whole)
        whole = folded_state(net)
    tensors = {k: v.contiguous() if ".norm." in k else v.half().contiguous() for k, v in whole.items()}
    bad = [k for k, v in tensors.items() if not torch.isfinite(v).all()]
    if bad:
        raise ValueError(f"{checkpoint}: not finite in half precision: {', '.join(bad)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".part")
    save_file(tensors, temporary, {**about, **(answers or {})})
    temporary.chmod(0o644)
    size = temporary.stat().st_size
    if size > LIMIT:
        temporary.unlink()
        raise ValueError(f"{size} bytes are more than the {LIMIT} that may ship")
    temporary.replace(out)
    return size


def _read(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights, and what the file says of itself."""
    if checkpoint.suffix == ".safetensors":
        tensors = load_file(checkpoint)
        whole = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
        return whole, metadata(checkpoint)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return state["average"], {"network": "mini", "step": str(state["step"])}


def chosen(text: str, known: str) -> str:
    """Labels with commas, in the order of the label set `known`; ValueError for one that is not in it."""
    wanted = {label.strip() for label in text.split(",")}
    if strange := wanted - set(labels(known)):
        raise ValueError(f"not a label of {known}: {', '.join(sorted(strange))}")
    return ",".join(label for label in labels(known) if label in wanted)


def main() -> None:
    """Command line of this step."""
    parser = argparse.ArgumentParser(description="write the file that ships")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--norms", action="store_true", help="keep the norms, to train on from it")
    parser.add_argument("--detects", metavar="person,car", help="labels of COCO's that it answers")
    parser.add_argument("--segments", metavar="person,car", help="labels of VOC's, beside the background")
    args = parser.parse_args()
    answers = {}
    try:
        if args.detects:
            answers["detects"] = chosen(args.detects, "coco")
        if args.segments:
            answers["segments"] = chosen(f"__background__,{args.segments}", "voc")
    except ValueError as error:
        parser.error(str(error))
    size = export(args.checkpoint, args.out, norms=args.norms, answers=answers)
    print(f"{args.out}: {size:,} bytes, {metadata(args.out)}")


if __name__ == "__main__":
    main()
