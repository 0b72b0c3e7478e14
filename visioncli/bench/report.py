"""Figures as tables for a terminal, as tab-separated lines, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from visioncli.bench.figures import Cold, Failed, Figures, Spread, Steady

if TYPE_CHECKING:
    from rich.console import Console

STAGES = ("decode", "prepare", "network", "finish")

Column = tuple[str, Callable[[Any], str]]


def print_tables(console: Console, figures: Sequence[Figures], cores: int) -> None:
    """Three tables: the combinations, their stages, and cold starts; each only where there is one.

    `cores` are those of this machine: what the network and they allow is the roofline.
    """
    under_way = [one for one in figures if isinstance(one, Steady)]
    cold = [one for one in figures if isinstance(one, Cold)]
    names: list[Column] = [("runtime", _runtime), ("precision", _precision)]
    batched: list[Column] = [*names, ("batch", lambda one: str(one.batch))]
    _table(
        console,
        "under way",
        under_way,
        [
            *batched,
            ("pictures/s", lambda one: _number(one.rate.median)),
            ("spread", lambda one: _spread(one.rate)),
            ("network/s", lambda one: _number(one.network.median)),
            ("roof", lambda one: f"{one.rate.median / one.roofline(cores):.0%}"),
            ("MB", lambda one: f"{one.peak_mb:.0f}"),
        ],
    )
    _table(
        console,
        "ms a picture, by stage",
        under_way,
        [
            *batched,
            *((name, _stage(name)) for name in STAGES),
            ("CPU, all threads", lambda one: _number(one.cpu_ms)),
        ],
    )
    _table(
        console,
        "cold start: the command on one picture",
        cold,
        [
            *names,
            ("seconds", lambda one: f"{one.seconds.median:.2f}"),
            ("spread", lambda one: f"{one.seconds.low:.2f}–{one.seconds.high:.2f}"),
            ("CPU s", lambda one: f"{one.cpu_s:.2f}"),
            ("MB", lambda one: f"{one.peak_mb:.0f}"),
        ],
    )


def _table(console: Console, title: str, rows: Sequence[Figures], columns: Sequence[Column]) -> None:
    from rich import box
    from rich.table import Table

    if not rows:
        return
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading, _ in columns:
        numeric = heading not in ("runtime", "precision")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(text(row) for _, text in columns))
    console.print(table)


def _runtime(one: Steady | Cold) -> str:
    return one.runtime if one.device == "cpu" else f"{one.runtime} {one.device}"


def _precision(one: Steady | Cold) -> str:
    return f"{one.precision} auto" if one.asked == "auto" else one.precision


def _stage(name: str) -> Callable[[Steady], str]:
    return lambda one: _number(one.stages[name]) if name in one.stages else ""


def _number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _spread(of: Spread) -> str:
    return f"{_number(of.low)}–{_number(of.high)}"


def lines(figures: Sequence[Figures]) -> list[str]:
    """A heading and a line a combination, tab-separated, with its cold start; nothing rounded for looks."""
    started = {(one.runtime, one.asked): one for one in figures if isinstance(one, Cold)}
    heading = (
        *("runtime", "device", "precision", "asked", "batch", "pictures_s", "low", "high", "network_s"),
        *("cpu_ms", "peak_mb", *(f"{name}_ms" for name in STAGES), "cold_s", "cold_cpu_s", "cold_mb"),
    )
    rows = ["\t".join(heading)]
    for one in figures:
        if not isinstance(one, Steady):
            continue
        cold = started.get((one.runtime, one.asked))
        values: tuple[object, ...] = (
            *(one.runtime, one.device, one.precision, one.asked, one.batch),
            *(_plain(v) for v in (one.rate.median, one.rate.low, one.rate.high, one.network.median)),
            *(_plain(one.cpu_ms), _plain(one.peak_mb)),
            *(_plain(one.stages.get(name)) for name in STAGES),
            *(_plain(v) for v in ((cold.seconds.median, cold.cpu_s, cold.peak_mb) if cold else (None,) * 3)),
        )
        rows.append("\t".join(map(str, values)))
    return rows


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def tree(about: dict[str, Any], figures: Sequence[Figures], *, complete: bool) -> dict[str, Any]:
    """What `--json` prints. `complete` is false where it was interrupted."""
    cores = about["machine"]["cores"]
    return {
        **about,
        "complete": complete,
        "steady": [
            {
                **asdict(one),
                "rate": _values(one.rate),
                "network": _values(one.network),
                "roofline": one.roofline(cores),
            }
            for one in figures
            if isinstance(one, Steady)
        ],
        "cold": [
            {**asdict(one), "seconds": _values(one.seconds)} for one in figures if isinstance(one, Cold)
        ],
        "failed": [asdict(one) for one in figures if isinstance(one, Failed)],
    }


def _values(of: Spread) -> dict[str, object]:
    return {"median": of.median, "low": of.low, "high": of.high, "values": list(of.values)}
