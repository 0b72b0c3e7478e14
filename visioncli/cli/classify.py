"""`vision classify`."""

from __future__ import annotations

import typer

from visioncli.cli.help import Command
from visioncli.cli.options import ClassifyAnswers, Inputs, Network, Outputs, takes

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """\
vision classify photo.jpg
vision classify holiday/ -k 1 --csv labels.csv --no-media"""


@app.command(cls=Command, epilog=EXAMPLES)
@takes(Inputs, Network, ClassifyAnswers, Outputs)
def classify(inputs: Inputs, network: Network, answers: ClassifyAnswers, outputs: Outputs) -> None:
    """Name what a picture, or each frame of a video, shows: the best labels with their probabilities.

    Prints a table and writes annotated copies to vision-out/. In a pipe: tab-separated lines, one a label.
    """
    from visioncli.cli.run import run

    run("classify", inputs, network, outputs, top_k=answers.top_k)
