"""What a safetensors file says of itself, without its tensors and without any library."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from visioncli.errors import ModelError

LONGEST = 100 << 20  # bytes: the format's own limit of a header
SAYS = {"detect": "detects", "segment-semantic": "segments"}
"""By task, the key under which a file of `mini` lists the labels that it answers, with commas."""


def metadata(path: Path) -> dict[str, str]:
    """The `__metadata__` of a safetensors file; ModelError where it is none.

    Eight bytes of length, then JSON: https://github.com/huggingface/safetensors#format
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 0 < length <= LONGEST else None
    except OSError as e:
        raise ModelError(f"{path}: cannot be read: {e.strerror}") from e
    except ValueError:  # neither JSON nor UTF-8
        header = None
    if not isinstance(header, dict):
        raise ModelError(f"{path}: not a safetensors file")
    about = header.get("__metadata__", {})
    return {str(k): str(v) for k, v in about.items()} if isinstance(about, dict) else {}


def answered(path: Path, task: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Those of `labels` that the file says it answers; all, where it does not say."""
    said = metadata(path).get(SAYS.get(task, ""))
    if said is None:
        return tuple(labels)
    wanted = set(said.split(","))
    if strange := wanted - set(labels):
        raise ModelError(f"{path}: {SAYS[task]} {', '.join(sorted(strange))}, which nobody knows")
    return tuple(label for label in labels if label in wanted)
