"""`vision cache`: what is kept between runs, and how to be rid of it."""

from __future__ import annotations

import sys

import typer

from visioncli import cache
from visioncli.output.text import plural

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="See and delete what is kept between runs: compiled networks, and facts of checkpoints.",
    no_args_is_help=True,
)


@app.command()
def info() -> None:
    """List what is kept, tab-separated: kind, model, precision, shape, bytes; the sum on stderr."""
    total = 0
    for entry in cache.entries():
        total += entry.bytes
        about = [str(entry.about.get(name) or "") for name in ("model", "precision", "shape")]
        print("\t".join([entry.kind, *about, str(entry.bytes)]))
    print(f"vision: {total / 1e6:.1f} MB in {cache.folder()}", file=sys.stderr)


@app.command()
def clear() -> None:
    """Delete all of it. What a later run needs, it makes anew."""
    files, size = cache.clear()
    print(f"{plural(files, 'file')} deleted, {size / 1e6:.1f} MB, in {cache.folder()}")
