"""Build the real checkpoints of `$VISION_SHARED/weights` under the names that the libraries use.

    python tests/build_weights.py build/weights

Prints one line a file; a file that is there is left alone. Exits 3 where VISION_SHARED has no weights.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shared() -> Path | None:
    """The folder of real weights and media, or None where there is none."""
    folder = Path(os.environ.get("VISION_SHARED", ROOT.parent / "shared"))
    return folder if (folder / "weights").is_dir() else None


def build(target: Path, quiet: bool = False, only: Collection[str] | None = None) -> Path:
    """Build what is missing in `target`, of these networks `only`, and return it.

    FileNotFoundError without VISION_SHARED.
    """
    source = shared()
    if source is None:
        raise FileNotFoundError(
            "no real weights: set VISION_SHARED to the folder that holds weights/ and data/"
        )
    target.mkdir(parents=True, exist_ok=True)
    settings = target.parent / "ultralytics-settings"
    settings.mkdir(exist_ok=True)
    env = {**os.environ, "YOLO_CONFIG_DIR": str(settings), "YOLO_AUTOINSTALL": "0", "YOLO_OFFLINE": "1"}
    for packed in sorted((source / "weights").glob("*-q8.safetensors")):
        name = packed.name.removesuffix("-q8.safetensors")
        if only is not None and name not in only:
            continue
        out = target / (f"{name}.pt" if name.startswith("yolo") else f"{name}.pth")
        if not out.exists():
            part = out.with_name(f".{out.name}.part")
            command = [sys.executable, str(source / "weights" / "checkpoints.py"), str(packed), str(part)]
            subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
            part.replace(out)
        if not quiet:
            print(out)
    return target


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "weights"))
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
