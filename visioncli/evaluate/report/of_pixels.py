"""The report of a class for every pixel."""

from __future__ import annotations

import numpy as np
from PIL import Image

from visioncli.errors import InputError
from visioncli.evaluate import mask_folder
from visioncli.evaluate.data import MaskSet
from visioncli.evaluate.outcome import Outcome
from visioncli.evaluate.pixels import Map, PixelFigures, Tally
from visioncli.evaluate.report import charts, pictures
from visioncli.evaluate.report.page import Card, Chart, Gallery, Page
from visioncli.results import Image as Pixels

_BARS, _MATRIX = 60, 30  # classes that are drawn


def page(outcome: Outcome, data: MaskSet, counted: PixelFigures, tally: Tally) -> Page:
    """IoU by class, confusions, and the pictures with the most wrong pixels."""
    here = [c for c in np.argsort(-counted.iou, kind="stable").tolist() if not np.isnan(counted.iou[c])]
    bars = [(data.names[c], float(counted.iou[c])) for c in here[:_BARS]]
    chosen = sorted(sorted(here, key=lambda c: -counted.matrix[c].sum())[:_MATRIX])
    take = [*chosen, len(data.names)]
    names = [data.names[c] for c in chosen]
    counts = counted.matrix[np.ix_(chosen, take)]
    drawn = [
        Chart("IoU by class", "Best first.", charts.bars(bars), wide=True),
        Chart(
            "Confusions",
            "Rows: what a pixel is. Columns: what was said. In per cent of the row.",
            charts.heat_map(names, [*names, "another"], counts, shares=True),
            wide=True,
        ),
    ]
    columns = ("class", "share of pixels", "IoU", "accuracy")
    rows = [(c["label"], c["share"], c["iou"], c["accuracy"]) for c in outcome.classes if c["share"]]
    return Page(outcome, drawn, [_worst(data, tally)], [row[0] for row in rows], columns, rows)


def _worst(data: MaskSet, tally: Tally) -> Gallery:
    cards = []
    for share, place, answer in tally.worst:
        try:
            image = pictures.read(data.paths[place])
        except InputError:  # it was reported when the model was to see it
            continue
        truth = mask_folder.read(data.masks[place])
        labels = [data.names[c] for c in np.unique(truth).tolist() if c < len(data.names)]
        cards.append(
            Card(
                _shown(image, truth, answer),
                data.paths[place].name,
                f"{1 - share:.1%} of pixels wrong",
                labels,
            )
        )
    return Gallery(
        "Pictures with the most wrong pixels", "Wrong pixels in orange; grey does not count.", cards
    )


def _shown(image: Pixels, truth: Map, answer: Map) -> str:
    """The picture, faint, with what is wrong in orange."""
    if truth.shape != image.shape[:2]:
        return pictures.whole(image)
    drawn = image.astype(np.float32) * 0.75 + 40
    wrong = (truth != answer) & (truth != mask_folder.VOID)
    drawn[wrong] = 0.25 * drawn[wrong] + 0.75 * np.array(pictures.SAID, np.float32)
    drawn[truth == mask_folder.VOID] = 128
    small = Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8))
    small.thumbnail((pictures.SIDE, pictures.SIDE), Image.Resampling.LANCZOS)
    return pictures.uri(small)
