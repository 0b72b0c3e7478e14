"""Step 6: write the file that ships: the moving average, norms folded in, half precision.

python -m visioncli.train.mini.export build/mini/run/last.pt visioncli/models/data/mini.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from visioncli.models.mini_net import MiniNet, folded_state

LIMIT = 12_000_000  # bytes


def export(checkpoint: Path, out: Path, *, norms: bool = False) -> int:
    """Write `out` from a training checkpoint, in one piece; returns its size in bytes."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    whole = state["average"]
    if not norms:
        net = MiniNet(folded=False)
        net.load_state_dict(whole)
        whole = folded_state(net)
    tensors = {k: v.contiguous() if ".norm." in k else v.half().contiguous() for k, v in whole.items()}
    bad = [k for k, v in tensors.items() if not torch.isfinite(v).all()]
    if bad:
        raise ValueError(f"{checkpoint}: not finite in half precision: {', '.join(bad)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".part")
    save_file(tensors, temporary, {"network": "mini", "step": str(state["step"])})
    temporary.chmod(0o644)
    size = temporary.stat().st_size
    if size > LIMIT:
        temporary.unlink()
        raise ValueError(f"{size} bytes are more than the {LIMIT} that may ship")
    temporary.replace(out)
    return size


def main() -> None:
    """Command line of this step."""
    parser = argparse.ArgumentParser(description="write the file that ships")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--norms", action="store_true", help="keep the norms, to train on from it")
    args = parser.parse_args()
    print(f"{args.out}: {export(args.checkpoint, args.out, norms=args.norms):,} bytes")


if __name__ == "__main__":
    main()
