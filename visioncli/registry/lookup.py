"""From what the user typed to a card and a file: names, variants, paths, plugins."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from visioncli.errors import ModelError, UsageError
from visioncli.registry import weights as store
from visioncli.registry.cards import COMMANDS, Card, Weights, builtin

GROUP = "visioncli.models"
SUFFIXES = (".pt", ".pth", ".safetensors")
# What an Ultralytics checkpoint's network class is for: task, adapter.
NETWORKS = {
    "DetectionModel": ("detect", "ultralytics-detect"),
    "YOLOv10DetectionModel": ("detect", "ultralytics-detect"),
    "RTDETRDetectionModel": ("detect", "ultralytics-rtdetr"),
    "ClassificationModel": ("classify", "ultralytics-classify"),
    "SegmentationModel": ("segment-instance", "ultralytics-segment"),
    "SemanticSegmentationModel": ("segment-semantic", "ultralytics-semantic"),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model that can be loaded: its card, the published weights meant (None for a stranger), the file,
    its hash.

    `note` is one line that the user ought to see, or None.
    """

    card: Card
    variant: Weights | None
    path: Path
    sha256: str
    note: str | None = None


def cards() -> Mapping[str, Card]:
    """All cards by name: the built-in ones, then those of plugins."""
    return {**plugins(), **builtin()}


@cache
def plugins() -> Mapping[str, Card]:
    """The cards of installed plugins (entry points of the group `visioncli.models`).

    One that cannot be loaded costs a line on stderr and nothing else.
    """
    from importlib.metadata import entry_points

    found: dict[str, Card] = {}
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
            for card in _cards_of(loaded() if callable(loaded) else loaded):
                found[card.name] = replace(card, plugin=point.name)
        except Exception as e:  # a stranger's code: whatever it raises is its own affair
            print(
                f"vision: plugin {point.name} ({point.value}) is left out: {type(e).__name__}: {e}",
                file=sys.stderr,
            )
    return found


def _cards_of(loaded: object) -> Iterable[Card]:
    found: list[Card] = []
    for card in loaded if isinstance(loaded, Iterable) else [loaded]:
        if not isinstance(card, Card):
            raise TypeError(f"gives a {type(card).__name__}, not a visioncli.registry.cards.Card")
        found.append(card)
    return found


def find(name: str, task: str | None = None) -> Card:
    """The card of that name; UsageError where there is none (with the nearest) or it is for another task."""
    card = builtin().get(name) or plugins().get(name)
    if card is None:
        raise UsageError(f"there is no model {name!r}", hint=_suggest(name, task))
    return _for_task(card, task, name)


def every() -> list[Card]:
    """All cards, those of one name for several tasks one after the other."""
    return [one for card in cards().values() for one in card.every]


def _suggest(name: str, task: str | None) -> str:
    from difflib import get_close_matches

    fitting = {c.name.lower(): c.name for c in every() if task is None or same_command(c.task, task)}
    close = [fitting[n] for n in get_close_matches(name.lower(), list(fitting), n=3, cutoff=0.6)]
    if not close:
        return "vision models list shows all; a checkpoint is named by its path"
    return f"did you mean {' or '.join(close)}? vision models list shows all"


def same_command(one: str, other: str) -> bool:
    """Whether two tasks are run by the same command; `segment` stands for both kinds.

    `track` takes whatever finds objects.
    """
    if "track" in (one, other):
        return {one, other} <= {"track", "detect", "segment-instance"}
    return COMMANDS.get(one, one) == COMMANDS.get(other, other)


def _for_task(card: Card, task: str | None, spec: str) -> Card:
    """The card itself or its sibling for `task`; UsageError where there is none."""
    if task is None:
        return card
    fitting = next((c for c in card.every if same_command(c.task, task)), None)
    if fitting is None:
        command = COMMANDS.get(card.task, card.task)
        listed = "detect" if task == "track" else task
        raise UsageError(
            f"{spec} is a model for {command}, not for {COMMANDS.get(task, task)}",
            hint=f"vision {command} --model {spec}; vision models list --task {listed} shows those that fit",
        )
    return fitting


def resolve(
    spec: str,
    task: str | None = None,
    *,
    weights_dir: Path | None = None,
    offline: bool = False,
    progress: bool = True,
    patience: float | None = None,
) -> Resolved:
    """The card and the weights file of `NAME`, `NAME:VARIANT`, `NAME:PATH` or the `PATH` of a checkpoint.

    Downloads what is published and not on this machine, unless `offline`; `patience`: seconds within which
    the server must begin to answer. Raises UsageError for what names no model or one for another task,
    ModelError where the weights are not to be had.
    """
    name, colon, rest = spec.partition(":")
    if not colon and _is_path(spec):
        return _resolve_path(store.expanded(spec), task, spec)
    if not colon and Path(spec).suffix in SUFFIXES and Path(spec).stem in builtin():
        name = Path(spec).stem  # `yolo26n.pt`, as `yolo` takes it, where no such file is
    card = find(name, task)
    weights = card.default_weights
    if rest and (weights := card.variant(rest)) is None:
        path = store.expanded(rest)
        if not path.is_file():
            raise UsageError(
                f"{name} has no weights {rest!r}, and there is no such file",
                hint=f"its weights: {', '.join(w.name for w in card.weights) or 'none published'}",
            )
        return _with_path(card, path)
    if weights is None:
        raise ModelError(f"{name}: no weights are published for it", hint=f"name a file: --model {name}:PATH")
    if weights.unfit:
        raise UsageError(f"{name}:{weights.name} cannot be used here: {weights.unfit}")
    found = store.fetch(
        card,
        weights,
        weights_dir=weights_dir,
        offline=offline,
        progress=progress,
        patience=patience,
        spec=name if weights == card.default_weights else f"{name}:{weights.name}",
    )
    return Resolved(card, weights, found.path, found.sha256, found.note)


def _is_path(spec: str) -> bool:
    """Whether the user means a file: it looks like one, and no card has that name."""
    if spec in builtin():
        return False
    path = store.expanded(spec)
    return os.sep in spec or path.is_file() or (path.suffix in SUFFIXES and path.stem not in builtin())


def _with_path(card: Card, path: Path) -> Resolved:
    """`card` with a file of the user's: as the published variant of that file name, else the default."""
    weights = next((w for w in card.weights if w.filename == path.name), card.default_weights)
    digest = store.sha256(path)
    foreign = weights and weights.sha256 and not digest.startswith(weights.sha256)
    return Resolved(
        card, weights, path, digest, store.foreign(path, card, weights) if foreign and weights else None
    )


def _resolve_path(path: Path, task: str | None, spec: str) -> Resolved:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise ModelError(
            f"{spec}: {what}, and no model has that name", kind="not_found", hint=_suggest(path.stem, task)
        )
    from visioncli.registry import pickles

    known = _by_file_name(path)
    named = pickles.named(path) if path.suffix != ".safetensors" else []
    network = next(
        (n.rpartition(".")[2] for n in named if n.startswith("ultralytics.") and n.endswith("Model")), None
    )
    if network is not None:
        return _ultralytics(path, network, known, task, spec)
    if known is None or known.library == "ultralytics":
        raise UsageError(
            f"{spec}: does not say which network its weights are for",
            hint="name it too: --model NAME:PATH, such as resnet50:PATH; vision models list shows the names",
        )
    return _with_path(_for_task(known, task, spec), path)


def _ultralytics(path: Path, network: str, known: Card | None, task: str | None, spec: str) -> Resolved:
    """An Ultralytics checkpoint, which carries its network: only what it is for has to be known."""
    if network not in NETWORKS:
        raise UsageError(f"{spec}: holds a {network}, which no command here runs")
    what, adapter = NETWORKS[network]
    card = known if known and known.adapter == adapter else None
    if card is None:
        imgsz = 224 if what == "classify" else 640
        card = Card(path.stem, what, "Ultralytics", "ultralytics", adapter, path.stem, input={"imgsz": imgsz})
    _for_task(card, task, spec)
    return Resolved(card, card.default_weights, path, store.sha256(path))


def _by_file_name(path: Path) -> Card | None:
    """The card that a file name tells: a published file's, or the longest name that it is or begins with."""
    for card in builtin().values():
        if any(w.filename == path.name for w in card.weights):
            return card
    stem = path.name.removesuffix(path.suffix)
    fitting = [n for n in builtin() if stem == n or stem.startswith((f"{n}-", f"{n}_", f"{n}."))]
    return builtin()[max(fitting, key=len)] if fitting else None
