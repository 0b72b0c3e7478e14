"""An evaluation of boxes, and of instance masks, from data set to outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visioncli.evaluate import boxes
from visioncli.evaluate.boxes import BoxFigures
from visioncli.evaluate.data import BoxSet
from visioncli.evaluate.outcome import Outcome, Table
from visioncli.evaluate.saved import BoxAnswers
from visioncli.registry import cards
from visioncli.registry.cards import Weights

VOC = {"voc2007": "VOC 2007 mAP", "voc2012": "VOC 2012 mAP"}


def outcome(
    task: str,
    data: BoxSet,
    answers: BoxAnswers,
    *,
    weights: Weights | None = None,
    options: dict[str, Any],
    notes: list[str],
) -> tuple[Outcome, BoxFigures]:
    """Figures of boxes for `detect`, of masks then of boxes for `segment`; the second is the main kind's."""
    kinds = ["box"] if task == "detect" else ["mask"]
    if task == "segment" and answers.of("box"):
        kinds.append("box")
    counted = [boxes.figures(data, answers.of(kind), kind) for kind in kinds]
    main = counted[0]
    figures: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for one in counted:
        prefix = "" if one is main else "box_"
        for key, label in [*boxes.COCO, *VOC.items()]:
            figures[prefix + key] = {**one.coco, **one.voc}[key]
            labels[prefix + key] = label if one is main else f"{label} (boxes)"
    rows = [
        (c.name, c.objects, c.found, c.ap, c.ap50, c.ar, c.best_f1, c.threshold)
        for c in main.classes
        if c.objects or c.found
    ]
    table = Table("class", ("class", "objects", "found", "AP", "AP 50", "AR", "best F1", "at score"), rows)
    classes = [
        {
            "label": c.name, "objects": c.objects, "found": c.found, "ap": c.ap, "ap50": c.ap50, "ar": c.ar,
            "best_f1": c.best_f1, "threshold": c.threshold,
        }
        for c in main.classes
    ]  # fmt: skip
    about = {
        "name": data.name,
        "format": data.format,
        "pictures": len(data.pictures),
        "objects": sum(not a["iscrowd"] for a in data.annotations),
        "classes": len(data.names),
    }
    outcome = Outcome(
        task=task,
        data=about,
        model=answers.model,
        options=options,
        figures=figures,
        labels=labels,
        classes=classes,
        tables=[table],
        published=published(task, data, weights),
        page=weights.page if weights else None,
        notes=notes,
    )
    return outcome, main


def published(task: str, data: BoxSet, weights: Weights | None) -> dict[str, float]:
    """The card's figures as shares, where the data set has COCO's classes."""
    if weights is None or set(data.names.values()) != set(cards.labels("coco")):
        return {}
    keys = {"map": "map", "map50": "map50"}
    if task == "segment":
        keys = {"mask_map": "map", "map": "box_map"}
    return {ours: weights.metrics[theirs] / 100 for theirs, ours in keys.items() if theirs in weights.metrics}


def thresholds(outcome: Outcome, counted: BoxFigures, called: Mapping[int, str]) -> dict[str, Any]:
    """The file of `--sweep`: the threshold with the best F1 (IoU 0.5) of each class that was found.

    `called` has the model's words for categories.
    """
    return {
        "type": "thresholds",
        "model": outcome.model,
        "data": outcome.data["name"],
        "conf": {
            called.get(c.category, c.name): round(c.threshold, 4)
            for c in counted.classes
            if c.threshold is not None
        },
    }
