"""The page itself: parts in order, a style, a little JavaScript, all in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from visioncli import __version__
from visioncli.evaluate.outcome import Cell, Outcome, counts
from visioncli.media.atomic import atomic_path, make_folder

HERE = Path(__file__).parent
_TILES = 12


@dataclass(frozen=True, slots=True)
class Card:
    """A picture of a mistake. `src` is a data URI, `labels` the classes that it is about (for the filter)."""

    src: str
    title: str
    detail: str
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Mistakes of one kind, worst first."""

    title: str
    about: str
    cards: Sequence[Card]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing: `svg` with its lines, `about` what it shows."""

    title: str
    about: str
    svg: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown. `filter` are the classes that one can choose, the first cell of `rows` is one."""

    outcome: Outcome
    charts: Sequence[Chart] = ()
    galleries: Sequence[Gallery] = ()
    filter: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = field(default=(), repr=False)
    key: str = "class"


def write(folder: Path, page: Page) -> None:
    """Write `folder/index.html`, whole or not at all."""
    make_folder(folder)
    with atomic_path(folder / "index.html") as temporary:
        temporary.write_text(html(page), "utf-8")


def html(page: Page) -> str:
    """The page as one document."""
    outcome = page.outcome
    name = f"{outcome.model or 'saved answers'} on {outcome.data['name']}"
    parts = [
        _head(page, name),
        _figures(outcome),
        _filter(page),
        *([f'<section class="charts">{"".join(map(_chart, page.charts))}</section>'] if page.charts else []),
        *map(_gallery, page.galleries),
        _table(page),
        _foot(outcome),
    ]
    style = (HERE / "style.css").read_text("utf-8")
    script = (HERE / "script.js").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="data:,">'
        f"<title>{_text(name)}</title><style>{style}</style></head><body>"
        f"<main>{''.join(parts)}</main><script>{script}</script></body></html>\n"
    )


def _head(page: Page, name: str) -> str:
    outcome = page.outcome
    facts = [f"vision eval {outcome.task}"]
    facts += [counts(outcome), str(outcome.data["format"])]
    notes = "".join(f"<li>{_text(note)}</li>" for note in outcome.notes)
    return (
        f'<header><p class="kicker">{_text(" · ".join(facts))}</p><h1>{_text(name)}</h1>'
        f"{f'<ul class=notes>{notes}</ul>' if notes else ''}</header>"
    )


def _figures(outcome: Outcome) -> str:
    tiles = []
    for i, (key, value) in enumerate(outcome.figures.items()):
        if i >= _TILES and key.startswith("box_"):
            continue
        published = outcome.published.get(key)
        beside = f'<span class="beside">published {_short(published)}</span>' if published is not None else ""
        bar = ""
        if isinstance(value, float) and 0 <= value <= 1 and key != "ece":  # of that, less is better
            bar = f'<i class="bar"><b style="width:{100 * value:.1f}%"></b></i>'
        main = " main" if i == 0 else ""
        tiles.append(
            f'<div class="tile{main}"><dt>{_text(outcome.labels.get(key, key))}</dt>'
            f"<dd>{_short(value)}{beside}</dd>{bar}</div>"
        )
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _filter(page: Page) -> str:
    if not page.filter:
        return ""
    options = "".join(f'<option value="{_text(name)}">{_text(name)}</option>' for name in page.filter)
    return (
        f'<nav class="filter"><label for="class">{_text(page.key.capitalize())}</label>'
        f'<select id="class"><option value="">all</option>{options}</select>'
        '<span id="shown" role="status"></span></nav>'
    )


def _chart(chart: Chart) -> str:
    wide = " wide" if chart.wide else ""
    return (
        f'<figure class="chart{wide}"><figcaption><h2>{_text(chart.title)}</h2>'
        f"<p>{_text(chart.about)}</p></figcaption>{chart.svg}</figure>"
    )


def _gallery(gallery: Gallery) -> str:
    cards = "".join(
        f'<figure class="card" data-labels="{_labels(card.labels)}">'
        f'<img src="{card.src}" alt="{_text(card.title)}" loading="lazy">'
        f"<figcaption><b>{_text(card.title)}</b><span>{_text(card.detail)}</span></figcaption></figure>"
        for card in gallery.cards
    )
    none = '<p class="none">none</p>'
    return (
        f'<section class="gallery"><h2>{_text(gallery.title)}</h2><p>{_text(gallery.about)}</p>'
        f'<div class="cards">{cards or none}</div>'
        '<p class="none empty" hidden>none of this class</p></section>'
    )


def _table(page: Page) -> str:
    if not page.rows:
        return ""
    head = "".join(f'<th scope="col"><button type="button">{_text(c)}</button></th>' for c in page.columns)
    rows = "".join(
        f'<tr data-labels="{_text(str(row[0]))}"><th scope="row">{_text(str(row[0]))}</th>'
        + "".join(f'<td data-value="{_value(cell)}">{_cell(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in page.rows
    )
    return (
        f'<section><h2>By {_text(page.key)}</h2><div class="scroll"><table id="classes">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _labels(labels: Sequence[str]) -> str:
    """Several, for the script."""
    return _text("\n".join(labels))


def _cell(cell: Cell) -> str:
    bar = ""
    if isinstance(cell, float) and 0 <= cell <= 1:
        bar = f'<i class="bar"><b style="width:{100 * cell:.1f}%"></b></i>'
    return _short(cell) + bar


def _foot(outcome: Outcome) -> str:
    options = ", ".join(f"{k} {v}" for k, v in outcome.options.items() if v is not None)
    published = f" Published figures: {_text(outcome.page)}." if outcome.published and outcome.page else ""
    return f"<footer><p>{_text(options)}.{published} vision {__version__}.</p></footer>"


def _value(cell: Cell) -> str:
    return "" if cell is None else _text(str(cell))


def _short(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else _text(cell)


def _text(text: str) -> str:
    """Text, safe in HTML; bytes of file names that are no UTF-8 become U+FFFD."""
    return escape(text.encode("utf-8", "replace").decode("utf-8"), quote=True)
