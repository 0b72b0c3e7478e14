"""`vision models compile`, and which networks `vision models list` calls compiled."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache as once
from pathlib import Path
from typing import Annotated

import typer

from visioncli import cache, config


@once
def precisions() -> dict[str, set[str]]:
    """The precisions that a model's networks have been compiled in, by its name."""
    found: dict[str, set[str]] = {}
    for entry in cache.entries():
        if entry.kind == "compiled":
            found.setdefault(str(entry.about.get("model")), set()).add(str(entry.about.get("precision")))
    return found


def compile_networks(
    names: Annotated[list[str], typer.Argument(metavar="MODEL…", help="NAME, NAME:WEIGHTS or a path.")],
    precision: Annotated[str, typer.Option(metavar="auto|fp32|bf16", help="As for a run.")] = "auto",
    imgsz: Annotated[str | None, typer.Option(metavar="N|HxW", help="As for a run.")] = None,
    weights_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Look here first, and download to here.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Make no connection at all.")] = False,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", is_eager=True, callback=config.apply, help="Read this only."
        ),
    ] = None,
) -> None:
    """Compile networks for this CPU now, which a run would do when it first needs them.

    Prints a line each, tab-separated: model, precision, seconds. `vision cache clear` deletes them.
    """
    from visioncli.api import Model
    from visioncli.cli.options import size
    from visioncli.registry.lookup import resolve
    from visioncli.runtime.openvino_runtime import OpenVinoRuntime

    for name in names:
        found = resolve(name, weights_dir=weights_dir, offline=offline)
        for card in found.card.every:
            began = time.monotonic()
            one = replace(found, card=card)
            model = Model(one, runtime="openvino", precision=precision, imgsz=size(imgsz))
            assert isinstance(model.runtime, OpenVinoRuntime)
            model.runtime.ready()
            print(f"{model.name}\t{model.runtime.precision}\t{time.monotonic() - began:.1f}")
