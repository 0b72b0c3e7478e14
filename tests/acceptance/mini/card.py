"""Write the figures of docs/mini.md: `python -m tests.acceptance.mini.card`, after the weights have changed.

They are measured as `make acceptance` measures them, and stand between two marks in the page.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tests.acceptance import World, world
from tests.acceptance.mini.figures import (
    AIMS,
    EVERYDAY,
    MIOU,
    PERSON,
    START_TOP_1,
    TOP_1,
    class_ious,
    ours_by_class,
    share_right,
    yolo_by_class,
)
from tests.build_weights import ROOT
from visioncli.registry.header import metadata
from visioncli.registry.weights import PACKAGED

PAGE = ROOT / "docs" / "mini.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def table(where: World) -> str:
    """The figures as Markdown."""
    ours, yolo, ious = ours_by_class(where), yolo_by_class(where), class_ious(where)
    rows = [
        ("", "person AP50", f"mean AP50, {len(ours)} classes", "mIoU", "top-1"),
        ("---",) * 5,
        ("**mini**", ours["person"], mean(ours), mean(ious), share_right(where, "mini")),
        ("at least", PERSON, EVERYDAY, MIOU, TOP_1),
        ("aim", AIMS["person"], AIMS["everyday"], AIMS["mIoU"], START_TOP_1 - AIMS["top-1"]),
        ("YOLO26n, 640 px", yolo["person"], np.mean([yolo[name] for name in ours]), "", ""),
        ("MobileNetV2", "", "", "", share_right(where, "mobilenet_v2")),
        ("start weights", "", "", "", START_TOP_1),
    ]
    lines = [f"| {' | '.join(c if isinstance(c, str) else f'{c:.3f}' for c in row)} |" for row in rows]
    step = metadata(PACKAGED / "mini.safetensors").get("step", "?")
    return "\n".join([
        f"Weights of step {step}.", "", *lines, "",
        f"AP50 by class: {listed(ours)}.", "",
        f"IoU by class: {listed(ious)}.",
    ])  # fmt: skip


def mean(values: dict[str, float]) -> float:
    return float(np.mean(list(values.values())))


def listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        figures = table(world(Path(scratch)))
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after}", "utf-8")
    print(figures)


if __name__ == "__main__":
    main()
