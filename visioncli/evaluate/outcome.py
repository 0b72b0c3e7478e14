"""What an evaluation found, ready to be shown: tables for people, lines for pipes, JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from visioncli import __version__
from visioncli.output.text import visible

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under `columns`; `kind` is the first column of its lines in a pipe. Floats are shares, 0..1."""

    kind: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One evaluation: `figures` by key, `classes` a dictionary each, `published` as `figures`."""

    task: str
    data: Mapping[str, Any]
    model: str | None
    options: Mapping[str, Any]
    figures: Mapping[str, Cell]
    labels: Mapping[str, str]
    classes: Sequence[Mapping[str, Any]]
    tables: Sequence[Table]
    published: Mapping[str, float] = field(default_factory=dict)
    page: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def json(self) -> bytes:
        """One object, with unrounded figures."""
        whole = {
            "type": "eval",
            "tool": "vision",
            "version": __version__,
            "task": self.task,
            "data": self.data,
            "model": self.model,
            "options": self.options,
            "figures": self.figures,
            "published": dict(self.published, page=self.page) if self.published else None,
            "classes": self.classes,
            **self.extra,
            "notes": self.notes,
        }
        return orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n"

    def summary(self) -> Table:
        """The figures, with the published ones beside them where there are any."""
        columns = ["figure", "measured"] + (["published"] if self.published else [])
        rows: list[list[Cell]] = []
        for key, value in self.figures.items():
            row: list[Cell] = [self.labels.get(key, key), value]
            if self.published:
                row.append(self.published.get(key, ""))
            rows.append(row)
        return Table("figure", columns, rows)


def lines(outcome: Outcome) -> list[str]:
    """Tab-separated, for a pipe: `figure`, key and value; then each table's rows."""
    out = [f"figure\t{key}\t{_plain(value)}" for key, value in outcome.figures.items()]
    out += [f"published\t{key}\t{_plain(value)}" for key, value in outcome.published.items()]
    for table in outcome.tables:
        out += ["\t".join([table.kind, *map(_plain, row)]) for row in table.rows]
    return out


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:.6f}" if isinstance(cell, float) else visible(str(cell))


def tables(outcome: Outcome) -> list[str]:
    """Aligned columns, for a terminal."""
    out = [visible(f"{outcome.model or 'saved answers'} on {outcome.data['name']} · {counts(outcome)}"), ""]
    for table in (outcome.summary(), *outcome.tables):
        cells = [list(table.columns), *([_short(c) for c in row] for row in table.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
        for row in cells:
            first = row[0].ljust(widths[0])
            rest = "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            out.append(f" {first}{rest}")
        out.append("")
    return out[:-1]


def counts(outcome: Outcome) -> str:
    """`64 pictures · 430 objects · 80 classes`."""
    return " · ".join(f"{value:,} {key}" for key, value in outcome.data.items() if isinstance(value, int))


def _short(cell: Cell) -> str:
    if cell is None:
        return "–"
    return (
        f"{cell:.3f}" if isinstance(cell, float) else visible(f"{cell:,}" if isinstance(cell, int) else cell)
    )
