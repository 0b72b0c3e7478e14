"""The report of tracks: figures, and each sequence's."""

from __future__ import annotations

from visioncli.evaluate.outcome import Outcome
from visioncli.evaluate.report import charts
from visioncli.evaluate.report.page import Chart, Page


def page(outcome: Outcome) -> Page:
    """A bar a sequence, and the table."""
    table = outcome.tables[0]
    hota = [(str(row[0]), float(row[1] or 0)) for row in table.rows]
    drawn = [Chart("HOTA by sequence", "All together: the first figure above.", charts.bars(hota), wide=True)]
    return Page(outcome, drawn, columns=table.columns, rows=table.rows, key="sequence")
