"""What `vision eval` does: a data set and answers to it, figures, and where they are shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from visioncli.cli.interrupt import Interrupt
from visioncli.cli.options import Network, batch_size, size
from visioncli.errors import OutputError, UsageError
from visioncli.output.terminal import Terminal, is_terminal
from visioncli.output.text import plural

if TYPE_CHECKING:
    from visioncli.api import Model
    from visioncli.cli.eval import Data, EvalAnswers, EvalOutputs
    from visioncli.evaluate.data import BoxSet
    from visioncli.evaluate.outcome import Outcome
    from visioncli.evaluate.saved import BoxAnswers
    from visioncli.media.frame import Failure


def run(data: Data, network: Network, answers: EvalAnswers, outputs: EvalOutputs) -> None:
    """Evaluate and show. Raises typer.Exit with 3 where pictures failed."""
    terminal = Terminal(quiet=outputs.quiet, verbose=outputs.verbose)
    size(network.imgsz), batch_size(network.batch, 1)  # say now, not after loading, what makes no sense
    _spare(outputs)
    with Interrupt(), ExitStack() as stack:
        job = _Job(data, network, answers, outputs, terminal, stack)
        job.boxes()
    if job.errors:
        terminal.detail(f"{plural(job.errors, 'picture')} failed")
        raise typer.Exit(3)


def _spare(outputs: EvalOutputs) -> None:
    """Refuse to overwrite what exists, before any work."""
    page = outputs.report / "index.html" if outputs.report else None
    for option, path in (("--report", page), ("--save", outputs.save), ("--sweep", outputs.sweep)):
        if path is not None and path.exists() and not outputs.force:
            raise UsageError(f"{option} {path} exists already", hint="--force overwrites it")


class _Job:
    """One evaluation."""

    def __init__(
        self,
        data: Data,
        network: Network,
        answers: EvalAnswers,
        outputs: EvalOutputs,
        terminal: Terminal,
        stack: ExitStack,
    ) -> None:
        self.data, self.network, self.answers, self.outputs = data, network, answers, outputs
        self.terminal, self.stack = terminal, stack
        self.errors = 0
        self.notes: list[str] = []

    def boxes(self) -> None:
        """`detect`, and instances of `segment`."""
        from visioncli.evaluate import detect, find
        from visioncli.evaluate.extra import need

        need("faster_coco_eval", "faster-coco-eval")
        task = self.data.task.value
        data = find.boxes(self.data.data, self.data.split)
        model: Model | None = None
        if self.data.records is not None:
            found = self._saved_boxes(self.data.records, data)
        else:
            model = self._model()
            found = self._asked_boxes(model, data)
        if found.matching is not None and (note := found.matching.note()):
            self._note(note)
        outcome, _ = detect.outcome(
            task,
            data,
            found,
            weights=model.resolved.variant if model else None,
            options=self._options(model),
            notes=self.notes,
        )
        if self.outputs.save is not None:
            import orjson

            _write(self.outputs.save, orjson.dumps(found.rows, option=orjson.OPT_SERIALIZE_NUMPY))
        self._show(outcome)

    def _saved_boxes(self, path: Path, data: BoxSet) -> BoxAnswers:
        from visioncli.evaluate import saved

        if not path.is_file():
            raise UsageError(f"--records {path}: no such file", kind="not_found")
        found = saved.boxes(path, data)
        if found.unanswered:
            self._note(f"{plural(len(found.unanswered), 'picture')} of the data set have no answer there")
        if found.strangers:
            self._note(f"{plural(found.strangers, 'result')} of pictures that the data set lacks: left out")
        return found

    def _asked_boxes(self, model: Model, data: BoxSet) -> BoxAnswers:
        from visioncli.evaluate import answers, names
        from visioncli.evaluate.saved import BoxAnswers

        matching = names.match(model.names, data.names)
        rows: list[dict[str, Any]] = []
        other_size = 0
        paths = [p.path for p in data.pictures]
        for i, result in self._ask(model, paths, answers.ask):
            picture = data.pictures[i]
            other_size += (result.width, result.height) != (picture.width, picture.height)
            rows += answers.box_rows(result, picture.id, matching)
        if other_size:
            self._note(f"{plural(other_size, 'picture')} upright have another size than the data set says")
        return BoxAnswers(rows, model.name, matching)

    def _ask(self, model: Model, paths: list[Path], ask: Callable[..., Any]) -> Any:
        """The model's answers, with progress."""
        import threading

        progress = self.terminal.progress("eval")
        self.stack.callback(progress.close)
        if hasattr(progress, "expect_inputs"):
            progress.expect_inputs(len(paths))
            progress.start(None)  # type: ignore[arg-type]
        batch = batch_size(self.network.batch, model.runtime.batch)
        yield from ask(
            model, paths, batch, threading.Event(), progress, self._failed, **self._answer_options()
        )
        progress.close()

    def _failed(self, failure: Failure) -> None:
        self.errors += 1
        self.terminal.failure(failure)

    def _answer_options(self) -> dict[str, Any]:
        return {"conf": self.answers.conf, "iou": self.answers.iou, "max_det": self.answers.max_det}

    def _model(self) -> Model:
        from visioncli.cli.run import _model

        task = self.data.task.value
        return _model(task, task, self.network, self.terminal)

    def _options(self, model: Model | None) -> dict[str, Any]:
        options: dict[str, Any] = {"data": str(self.data.data), "split": self.data.split}
        if model is None:
            return {**options, "records": str(self.data.records)}
        running = model.runtime
        return {
            **options,
            **self._answer_options(),
            "imgsz": self.network.imgsz,
            "device": running.device,
            "precision": running.precision,
        }

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self.terminal.warn(text)

    def _show(self, outcome: Outcome) -> None:
        from visioncli.evaluate import outcome as shown

        if self.outputs.json:
            sys.stdout.buffer.write(outcome.json())
        elif is_terminal(sys.stdout):
            print(*shown.tables(outcome), sep="\n")
        else:
            print(*shown.lines(outcome), sep="\n")


def _write(path: Path, content: bytes) -> None:
    """A whole file or none."""
    from visioncli.media.atomic import atomic_path, make_folder

    make_folder(path.parent)
    with atomic_path(path) as temporary:
        try:
            temporary.write_bytes(content)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
