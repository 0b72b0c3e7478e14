"""`vision models`: what there is, what is known of it, and the weights on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from visioncli import config
from visioncli.cli import compiled
from visioncli.errors import ModelError, UsageError
from visioncli.registry import weights as store
from visioncli.registry.cards import COMMANDS, Card, Weights
from visioncli.registry.header import answered
from visioncli.registry.lookup import cards, every, find, resolve

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="List models, see what is known of them, fetch and check their weights.",
    no_args_is_help=True,
)

SORTS = {"top1": "top1", "map": "map", "params": "params", "gflops": "gflops", "size": "bytes"}
COLUMNS = (
    "name",
    "task",
    "family",
    "top1",
    "map",
    "params",
    "gflops",
    "bytes",
    "licence",
    "here",
    "compiled",
)
LIBRARIES_MB = 600
"""What a process holds before any network: torch with torchvision 670 MB, with ultralytics 560; resident."""

Places = Sequence[tuple[store.Folder, frozenset[str]]]
WeightsDir = Annotated[
    Path | None, typer.Option("--weights-dir", metavar="DIR", help="Look here first, and download to here.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Make no connection at all.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", is_eager=True, callback=config.apply, help="Read this vision.toml only."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(
    task: Annotated[str | None, typer.Option(metavar="TASK", help="classify, detect or segment.")] = None,
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="One family, such as YOLO26.")] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="KEY", help="top1, map, params, gflops or size.")
    ] = None,
    as_json: Json = False,
    weights_dir: WeightsDir = None,
    config_file: Config = None,
) -> None:
    """List the models: a table on a terminal, tab-separated lines in a pipe."""
    places = store.shelves(weights_dir)
    rows = [_row(card, places) for card in _chosen(task, family)]
    if sort is not None:
        if sort not in SORTS:
            raise UsageError(f"--sort {sort}: not a column to sort by", hint=f"one of {', '.join(SORTS)}")
        key = SORTS[sort]
        best_first = key in ("top1", "map")
        known = [r for r in rows if r[key] is not None]
        rows = sorted(known, key=lambda r: -r[key] if best_first else r[key]) + [
            r for r in rows if r[key] is None
        ]
    if as_json:
        print(json.dumps(rows, indent=2))
    elif sys.stdout.isatty():
        _table(rows)
    else:
        _lines([COLUMNS, *([_plain(r[c]) for c in COLUMNS] for r in rows)])


def _chosen(task: str | None, family: str | None) -> list[Card]:
    chosen = every()
    if task is not None:
        tasks = {t for c in chosen for t in (c.task, COMMANDS.get(c.task, c.task))}
        if task not in tasks:
            raise UsageError(
                f"--task {task}: there is no such task", hint=f"one of {', '.join(sorted(tasks))}"
            )
        chosen = [c for c in chosen if task in (c.task, COMMANDS.get(c.task, c.task))]
    if family is not None:
        wanted = _folded(family)
        fitting = [c for c in chosen if wanted in (_folded(c.family), _folded(c.library))]
        if not fitting:
            families = ", ".join(dict.fromkeys(c.family for c in chosen))
            raise UsageError(f"--family {family}: there is no such family", hint=f"there are {families}")
        chosen = fitting
    return chosen


def _folded(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _row(card: Card, places: Places, weights: Weights | None = None) -> dict[str, Any]:
    """One line of the list, or one variant of `info`: plain values, None where nobody says."""
    weights = weights or card.default_weights
    metrics = weights.metrics if weights else {}
    return {
        "name": card.name,
        "task": card.task,
        "family": card.family,
        "top1": metrics.get("top1"),
        "map": metrics.get("map", metrics.get("map_e2e")),
        "params": (weights and weights.params) or card.params,
        "gflops": (weights and weights.gflops) or card.gflops,
        "bytes": weights.bytes if weights else None,
        "licence": weights.licence if weights else None,
        "here": weights is not None and any(store.present(card, weights, places)),
        "compiled": ",".join(sorted(compiled.precisions().get(card.name, ()))),
    }


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _lines(rows: Sequence[Sequence[str]]) -> None:
    sys.stdout.write("".join("\t".join(row) + "\n" for row in rows))


def _table(rows: list[dict[str, Any]]) -> None:
    """A table as wide as the terminal: where that is too narrow, the least needed columns are left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    cells = [
        {
            "model": row["name"],
            "task": COMMANDS.get(row["task"], row["task"]),
            "family": row["family"],
            "top-1|mAP": _figure(row),
            "params": _count(row["params"]),
            "GFLOPs": _gflops(row["gflops"]),
            "size": _size(row["bytes"]),
            "licence": row["licence"] or "",
            "here": "yes" if row["here"] else "",
            "compiled": row["compiled"],
        }
        for row in rows
    ]
    widths = {h: max(len(h), *(len(c[h]) for c in cells)) + 2 for h in (cells[0] if cells else ())}
    console = Console()
    dropped = []
    expendable = ["family", "GFLOPs", "compiled", "task", "licence"]
    if len({c["task"] for c in cells}) == 1:
        expendable = ["task", "family", "GFLOPs", "compiled", "licence"]
    for heading in expendable:
        if sum(widths.values()) - 2 > console.width:
            del widths[heading]
            dropped.append(heading)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in widths:
        numeric = heading in ("top-1|mAP", "params", "GFLOPs", "size")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for cell in cells:
        table.add_row(*(cell[h] for h in widths))
    console.print(table)
    if dropped:
        print(f"vision: the terminal is too narrow for: {', '.join(dropped)}", file=sys.stderr)


def _figure(row: dict[str, Any]) -> str:
    value = row["top1"] if row["top1"] is not None else row["map"]
    return "" if value is None else f"{value:.1f}"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:.1f} M"


def _gflops(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _size(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:.1f} MB"


@app.command()
def info(
    name: Annotated[str, typer.Argument(metavar="MODEL")],
    as_json: Json = False,
    weights_dir: WeightsDir = None,
    config_file: Config = None,
) -> None:
    """Show what is known of a model: all its weights, its input, and the memory that a run needs."""
    first, *siblings = find(name.partition(":")[0]).every
    places = store.shelves(weights_dir)
    if as_json:
        also = {"siblings": [_about(card, places) for card in siblings]} if siblings else {}
        print(json.dumps({**_about(first, places), **also}, indent=2))
        return
    _print_info(first, places)
    for card in siblings:
        print()
        _print_info(card, places)


def _about(card: Card, places: Places) -> dict[str, Any]:
    keys = ("name", "task", "family", "library", "adapter", "factory", "plugin")
    return {
        **{key: getattr(card, key) for key in keys},
        "params": card.params,
        "gflops": card.gflops,
        "classes": len(_labels(card, places)),
        "default": card.default,
        "weights": [_variant(card, w, places) for w in card.weights],
    }


def _labels(card: Card, places: Places) -> Sequence[str]:
    """The card's, or those that a file which comes with the package says it answers."""
    weights = card.default_weights
    path = next(store.present(card, weights, places), None) if weights and weights.packaged else None
    return answered(path, card.task, card.labels()) if path else card.labels()


def _print_info(card: Card, places: Places) -> None:
    command = COMMANDS.get(card.task, card.task)
    print(f"{card.name}: {command}, {card.family}, from {card.plugin or card.library}")
    print(f"  parameters   {_count(card.params)}")
    print(f"  GFLOPs       {_gflops(card.gflops)} a picture (multiplications and additions counted apart)")
    labels = _labels(card, places)
    some = f": {', '.join(labels)}" if len(labels) < len(card.labels()) else ""
    print(f"  classes      {len(labels) or 'as the checkpoint says'}{some}")
    for weights in card.weights:
        _print_variant(card, weights, _variant(card, weights, places))


def _variant(card: Card, weights: Weights, places: Places) -> dict[str, Any]:
    row = _row(card, places, weights)
    path = next(store.present(card, weights, places), None)
    return {
        "name": weights.name,
        "file": weights.filename,
        "metrics": dict(weights.metrics),
        "page": weights.page,
        "licence": weights.licence,
        "bytes": weights.bytes,
        "sha256": weights.sha256,
        "url": store.download_url(weights),
        "input": dict(card.input_for(weights)),
        "memory_mb": memory_mb(card, weights),
        "unfit": weights.unfit,
        "path": str(path) if path else None,
        "params": row["params"],
        "gflops": row["gflops"],
    }


def memory_mb(card: Card, weights: Weights) -> dict[str, float] | None:
    """What a run at batch 1 and fp32 holds, in MB: weights, activations at their peak; None where unknown."""
    params = weights.params or card.params
    activations = weights.activations_mb or card.activations_mb
    if params is None or activations is None:
        return None
    held = round(params * 4 / 1e6, 1)
    return {"weights": held, "activations": activations, "total": round(held + activations, 1)}


def _print_variant(card: Card, weights: Weights, variant: dict[str, Any]) -> None:
    mark = " (the default)" if variant["name"] == card.default and len(card.weights) > 1 else ""
    figures = ", ".join(f"{_LABELS.get(k, k)} {v}" for k, v in variant["metrics"].items())
    digest = variant["sha256"] or ""
    figures = f"{figures} ({weights.page})" if figures else f"none published ({weights.page})"
    download = ", ".join(filter(None, (_size(weights.bytes), variant["url"]))) or "not published"
    lines = {
        "figures": f"in {weights.page}, the model card" if weights.packaged else figures,
        "input": _input(variant["input"]),
        "memory": _memory(variant["memory_mb"]),
        "download": f"none: {_size(weights.bytes)} that come with vision" if weights.packaged else download,
        "SHA-256": f"{digest}…" if 0 < len(digest) < 64 else digest or "none published",
        "licence": variant["licence"] + (" (not for commercial use)" if "-NC" in variant["licence"] else ""),
        "here": variant["path"] or "no",
    }
    if weights.packaged:
        del lines["SHA-256"]
    if variant["unfit"]:
        lines["not usable"] = variant["unfit"]
    print(f"\n{card.name}:{variant['name']}{mark}")
    for heading, text in lines.items():
        print(f"  {heading:<12} {text}")


_LABELS = {
    "top1": "top-1",
    "top5": "top-5",
    "map": "mAP",
    "map50": "mAP50",
    "map_e2e": "mAP without NMS",
    "mask_map": "mask mAP",
    "mask_map_e2e": "mask mAP without NMS",
    "miou": "mIoU",
    "pixel_acc": "pixel accuracy",
}


def _memory(memory: dict[str, float] | None) -> str:
    if memory is None:
        return "unknown"
    parts = f"weights {memory['weights']:.0f}, activations {memory['activations']:.0f}"
    return (
        f"{memory['total']:.0f} MB at batch 1, fp32 ({parts}), beside about {LIBRARIES_MB} for the libraries"
    )


def _input(values: dict[str, Any]) -> str:
    if "imgsz" in values:
        size = values["imgsz"]
        height, width = (size, size) if isinstance(size, int) else size
        return f"{height}×{width} px"
    if "crop" in values:
        crop, resize = values["crop"], values["resize"]
        return f"{crop}×{crop} px out of the middle, shorter side at {resize} ({values['interpolation']})"
    if "fixed" in values:
        return f"{values['fixed'][0]}×{values['fixed'][1]} px"
    if "min" in values:
        return f"shorter side {values['min']} px, longer side at most {values['max']}"
    if "resize" in values:
        return f"shorter side {values['resize']} px ({values['interpolation']})"
    return ", ".join(f"{k} {v}" for k, v in values.items()) or "as the adapter says"


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(metavar="MODEL…", help="NAME or NAME:WEIGHTS.")],
    weights_dir: WeightsDir = None,
    config_file: Config = None,
    offline: Offline = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr.")] = False,
) -> None:
    """Download weights that are not on this machine, check them, and print where they are."""
    for name in names:
        _known(name)
    for name in names:
        found = resolve(name, weights_dir=weights_dir, offline=offline, progress=not quiet)
        if found.note and not quiet:
            print(f"vision: {found.note}", file=sys.stderr)
        print(found.path)


def _known(spec: str) -> tuple[Card, Weights]:
    """The card and variant of NAME or NAME:WEIGHTS; UsageError for anything else."""
    name, _, rest = spec.partition(":")
    card = find(name)
    weights = card.variant(rest) if rest else card.default_weights
    if weights is None:
        has = ", ".join(w.name for w in card.weights) or "none that are published"
        raise UsageError(f"{name} has no weights {rest!r}", hint=f"its weights: {has}")
    return card, weights


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[MODEL…]")] = None,
    weights_dir: WeightsDir = None,
    config_file: Config = None,
) -> None:
    """Hash the weights on this machine again and compare: all, or those named. Exit 5 if one is wrong."""
    published = [(c, w) for c in cards().values() for w in c.weights if not w.packaged]
    chosen = [_known(n) for n in names] if names else published
    places = store.shelves(weights_dir)
    wrong = 0
    rows = []
    for card, weights in chosen:
        paths = list(store.present(card, weights, places))
        if not paths and names:
            rows.append((f"{card.name}:{weights.name}", "missing", "", ""))
            wrong += 1
        for path in paths:
            verdict, digest = store.verdict(path, weights)
            wrong += verdict == "wrong"
            rows.append((f"{card.name}:{weights.name}", verdict, digest, str(path)))
    _lines(rows)
    if wrong:
        raise ModelError(
            f"{wrong} of {len(rows)} not as published", hint="delete them; vision models pull fetches anew"
        )
    if not rows:
        print("vision: no weights on this machine", file=sys.stderr)


@app.command()
def path(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME:WEIGHTS.")],
    weights_dir: WeightsDir = None,
    config_file: Config = None,
) -> None:
    """Print where a model's weights are on this machine. Exit 5 if they are not."""
    _known(name)
    print(resolve(name, weights_dir=weights_dir, offline=True, progress=False).path)


app.command("compile")(compiled.compile_networks)
