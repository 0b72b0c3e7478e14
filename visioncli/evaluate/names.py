"""Which class of a model is which class of a data set: by label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from visioncli.registry import cards

# VOC's words (and some of Open Images') for COCO's classes.
_SAME = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "diningtable": "dining table",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
    "pedestrian": "person",
}
_NOTHING = ("background", "n/a")  # what no object is


@dataclass(frozen=True, slots=True)
class Matching:
    """`to_data[c]` is the data set's number for the model's class `c`, None where it has none.

    `missing` are labels of the data set that the model does not know, `extra` the model's that the data set
    does not have.
    """

    to_data: Mapping[int, int | None]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    def note(self, *, extra: bool = True) -> str | None:
        """One line that says what did not match, or None; without `extra` of the data set's labels only."""
        parts = []
        if self.missing:
            parts.append(f"the model does not know {_some(self.missing)} of the data set: never right")
        if self.extra and extra:
            parts.append(f"the data set does not have the model's {_some(self.extra)}: left out")
        return "; ".join(parts) or None


def folded(label: str) -> str:
    """A label as it is compared: in one case, words parted by one blank, synonyms as one."""
    plain = " ".join(re.sub(r"[_\-\s]+", " ", label).casefold().split())
    return _SAME.get(plain, plain)


def match(model: Sequence[str], data: Mapping[int, str], *, numbered: bool = False) -> Matching:
    """Match by label; a label that occurs twice goes to the first of the other side's not yet taken.

    ImageNet's classes have their WordNet ids and torchvision's words beside the model's own. `numbered`: the
    data set's names are the model's class numbers.
    """
    spellings: list[Sequence[str]] = [model]
    if is_imagenet(model):
        spellings = [wordnet_ids(), cards.labels("imagenet"), model]
    if numbered and not any(name.isdecimal() for name in model):
        spellings = [[str(c) for c in range(len(model))]]
    free: dict[str, list[int]] = {}
    for number, name in data.items():
        free.setdefault(folded(name), []).append(number)
    to_data: dict[int, int | None] = dict.fromkeys(range(len(model)))
    for names in spellings:
        for c, name in enumerate(names):
            numbers = free.get(folded(name))
            if to_data[c] is None and numbers:
                to_data[c] = numbers.pop(0)
    extra = tuple(n for c, n in enumerate(model) if to_data[c] is None and folded(n) not in _NOTHING)
    missing = tuple(data[n] for numbers in free.values() for n in numbers)
    return Matching(to_data, missing, extra)


def is_imagenet(names: Sequence[str]) -> bool:
    """Whether these are ImageNet-1k's classes in their usual order, whoever spelt them."""
    ours = cards.labels("imagenet")
    if len(names) != len(ours):
        return False
    same = sum(folded(a) == folded(b) for a, b in zip(names, ours, strict=True))
    return same > len(ours) / 2


@cache
def wordnet_ids() -> tuple[str, ...]:
    """ImageNet-1k's WordNet ids in the order of its classes, which is their alphabetical one."""
    file = Path(cards.__file__).parent / "names" / "imagenet_wnids.txt"
    return tuple(file.read_text(encoding="utf-8").split())


def _some(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
