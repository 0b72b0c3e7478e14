"""What `vision eval` does: a data set and answers to it, figures, and where they are shown."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from visioncli.cli.interrupt import Interrupt
from visioncli.cli.options import Network, batch_size, size
from visioncli.errors import UsageError
from visioncli.output.terminal import Terminal, is_terminal
from visioncli.output.text import plural

if TYPE_CHECKING:
    from visioncli.api import Model
    from visioncli.cli.eval import Data, EvalAnswers, EvalOutputs
    from visioncli.evaluate.answers import Asking
    from visioncli.evaluate.data import BoxSet, LabelSet, MaskSet
    from visioncli.evaluate.names import Matching
    from visioncli.evaluate.outcome import Outcome
    from visioncli.evaluate.report.page import Page
    from visioncli.evaluate.saved import BoxAnswers, LabelAnswers
    from visioncli.media.frame import Failure
    from visioncli.registry.cards import Weights


MOST_CONF = 0.05  # above it precision and recall lack so much that it is said


def run(data: Data, network: Network, answers: EvalAnswers, outputs: EvalOutputs) -> None:
    """Evaluate and show. Raises typer.Exit with 3 where pictures failed."""
    terminal = Terminal(quiet=outputs.quiet, verbose=outputs.verbose)
    size(network.imgsz), batch_size(network.batch, 1)  # say now, not after loading, what makes no sense
    _check(data, outputs)
    with Interrupt(), ExitStack() as stack:
        job = _Job(data, network, answers, outputs, terminal, stack)
        {"classify": job.classify, "detect": job.detect, "segment": job.segment, "track": job.track}[
            job.task
        ]()
    if job.errors:
        terminal.detail(f"{plural(job.errors, 'picture')} failed")
        raise typer.Exit(3)


def _check(data: Data, outputs: EvalOutputs) -> None:
    """Refuse what makes no sense, and to overwrite what exists, before any work."""
    page = outputs.report / "index.html" if outputs.report else None
    for option, path in (("--report", page), ("--save", outputs.save), ("--sweep", outputs.sweep)):
        if path is not None and path.exists() and not outputs.force:
            raise UsageError(f"{option} {path} exists already", hint="--force overwrites it")
    if outputs.report is not None and outputs.report.exists() and not outputs.report.is_dir():
        raise UsageError(f"--report {outputs.report}: is a file, and a folder is wanted")
    boxes = data.task in ("detect", "segment")
    for option, path in (("--save", outputs.save), ("--sweep", outputs.sweep)):
        if path is not None and not boxes:
            raise UsageError(f"{option} is for detect and segment, not for {data.task.value}")
    if data.records is not None and not data.records.exists():
        raise UsageError(f"--records {data.records}: no such file or folder", kind="not_found")


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
        # Figures are compared with other people's: the library's own arithmetic unless another is wanted.
        self.network = replace(network, precision="fp32") if network.precision == "auto" else network
        self.data, self.answers, self.outputs = data, answers, outputs
        self.terminal, self.stack = terminal, stack
        self.task = data.task.value
        self.model: Model | None = None
        self.errors = 0
        self.notes: list[str] = []

    def classify(self) -> None:
        """Labels."""
        from visioncli.evaluate import find, labels
        from visioncli.evaluate.names import match

        data = find.labels(self.data.data, self.data.split)

        def matched(names: Any) -> Matching:
            return match(names, dict(enumerate(data.names)), numbered=data.numbered)

        found = self._saved_labels(data, matched) if self.data.records else self._asked_labels(data, matched)
        self._matched(found.matching, extra=False)
        shown = list(data.names)
        for c, number in found.matching.to_data.items():
            if number is not None:
                shown[number] = found.names[c]
        outcome, counted = labels.outcome(
            data, found.guesses, k=found.k, model=found.model, weights=self._weights(), shown=shown,
            options=self._options(), notes=self.notes,
        )  # fmt: skip

        def page() -> Page:
            from visioncli.evaluate.report import of_labels

            return of_labels.page(outcome, data, found.guesses, counted, shown)

        self._show(outcome, page)

    def _saved_labels(self, data: LabelSet, matched: Any) -> LabelAnswers:
        from visioncli.evaluate import saved

        found = saved.labels(self._records(), data, matched)
        self._say_strays(found.unanswered, found.strangers)
        return found

    def _asked_labels(self, data: LabelSet, matched: Any) -> LabelAnswers:
        from visioncli.evaluate import answers
        from visioncli.evaluate.saved import LabelAnswers

        model = self._load("classify")
        matching = matched(model.names)
        k = min(5, len(model.names))
        asking = self._asking(model, len(data.paths), top_k=k)
        guesses = [answers.guess(result, i, matching) for i, result in asking.pictures(data.paths)]
        return LabelAnswers(guesses, k, model.names, matching, model.name)

    def detect(self) -> None:
        """Boxes."""
        from visioncli.evaluate import find
        from visioncli.evaluate.extra import need

        need("faster_coco_eval", "faster-coco-eval")
        self._boxes(find.boxes(self.data.data, self.data.split), "detect")

    def segment(self) -> None:
        """Instances, or a class for every pixel: as the data set has it."""
        from visioncli.evaluate import find
        from visioncli.evaluate.data import MaskSet
        from visioncli.evaluate.extra import need

        data = find.pixels(self.data.data, self.data.split)
        if isinstance(data, MaskSet):
            self._pixels(data)
            return
        need("faster_coco_eval", "faster-coco-eval")
        self._boxes(data, "segment-instance")

    def _boxes(self, data: BoxSet, kind: str) -> None:
        from visioncli.evaluate import detect

        found = self._saved_boxes(data) if self.data.records else self._asked_boxes(data, kind)
        if found.matching is not None:
            self._matched(found.matching)
        if self.task == "segment" and found.rows and not any("segmentation" in row for row in found.rows):
            raise UsageError("the answers have no masks", hint="vision eval detect counts boxes")
        outcome, counted = detect.outcome(
            self.task, data, found, weights=self._weights(), options=self._options(), notes=self.notes
        )
        if self.outputs.save is not None:
            self._write(self.outputs.save, found.of(counted.kind))
        if self.outputs.sweep is not None:
            self._write(self.outputs.sweep, detect.thresholds(outcome, counted, found.called()))

        def page() -> Page:
            from visioncli.evaluate.report import of_boxes

            return of_boxes.page(outcome, data, found.of(counted.kind), counted)

        self._show(outcome, page)

    def _saved_boxes(self, data: BoxSet) -> BoxAnswers:
        from visioncli.evaluate import saved

        found = saved.boxes(self._records(), data)
        # A results file has no line for a picture in which nothing was found.
        self._say_strays(found.unanswered if found.matching else 0, found.strangers)
        if found.foreign:
            self._note(f"{plural(found.foreign, 'answer')} of categories that the data set lacks: left out")
        self._say_conf(found.conf)
        return found

    def _asked_boxes(self, data: BoxSet, kind: str) -> BoxAnswers:
        from visioncli.evaluate import answers, names
        from visioncli.evaluate.saved import BoxAnswers

        model = self._load(kind)
        self._say_conf(self.answers.conf)
        matching = names.match(model.names, data.names)
        rows: list[dict[str, Any]] = []
        other_size = 0
        asking = self._asking(model, len(data.pictures), **self._answer_options())
        for i, result in asking.pictures([p.path for p in data.pictures]):
            picture = data.pictures[i]
            other_size += (result.width, result.height) != (picture.width, picture.height)
            rows += answers.box_rows(result, picture.id, matching)
        if other_size:
            self._note(f"{plural(other_size, 'picture')}: not of the size that the data set says, upright")
        return BoxAnswers(rows, model.name, matching, model.names)

    def _pixels(self, data: MaskSet) -> None:
        from visioncli.evaluate import pixels

        tally = pixels.Tally(data, keep=self.outputs.report is not None)
        if self.data.records is not None:
            self._saved_pixels(data, tally)
        else:
            self._asked_pixels(data, tally)
        counted = pixels.figures(tally.matrix)
        outcome = pixels.outcome(
            data, counted, pictures=tally.pictures, model=self.model.name if self.model else None,
            weights=self._weights(), options=self._options(), notes=self.notes,
        )  # fmt: skip

        def page() -> Page:
            from visioncli.evaluate.report import of_pixels

            return of_pixels.page(outcome, data, counted, tally)

        self._show(outcome, page)

    def _saved_pixels(self, data: MaskSet, tally: Any) -> None:
        from visioncli.evaluate import mask_folder

        folder = self._records(folder=True)
        missing = 0
        for i, picture in enumerate(data.paths):
            file = mask_folder.answer_file(folder, picture)
            if file is None:
                missing += 1
                continue
            tally.add(i, mask_folder.read(file))
        if not tally.pictures:
            raise UsageError(
                f"--records {folder}: no mask of any picture", hint="NAME.png is wanted for NAME.jpg"
            )
        self._say_strays(missing, 0)

    def _asked_pixels(self, data: MaskSet, tally: Any) -> None:
        from visioncli.evaluate import names, pixels

        model = self._load("segment-semantic")
        matching = names.match(model.names, dict(enumerate(data.names)))
        self._matched(matching)
        asking = self._asking(model, len(data.paths))
        for i, result in asking.pictures(data.paths):
            tally.add(i, pixels.mapped(result.regions.map, matching.to_data, len(data.names)))

    def track(self) -> None:
        """Tracks."""
        from visioncli.evaluate import find, saved, tracks
        from visioncli.evaluate.extra import need

        need("trackers.eval", "trackers")
        data = find.tracks(self.data.data)
        if self.data.records is not None:
            found, name = saved.tracks(self.data.records, data)
        else:
            from visioncli.track.config import configure
            from visioncli.track.follow import Tracking

            config = configure(conf=self.answers.conf)
            model = self._load("detect")
            asking = self._asking(
                model, len(data.sequences), **{**self._answer_options(), "conf": config.lowest}
            )
            found = {clip.name: asking.tracks(clip, Tracking(config)) for clip in data.sequences}
            name = f"{model.name} + {config.name}"
        outcome = tracks.outcome(data, found, model=name, options=self._options(), notes=self.notes)

        def page() -> Page:
            from visioncli.evaluate.report import of_tracks

            return of_tracks.page(outcome)

        self._show(outcome, page)

    # --- what they share

    def _load(self, kind: str) -> Model:
        from visioncli.cli.run import load_model

        task = "detect" if self.task == "track" else kind
        self.model = load_model(task, kind, self.network, self.terminal)
        if self.model.task != kind:
            raise UsageError(
                f"{self.model.name} is a model for {self.model.task}, and the data set is for {kind}"
            )
        return self.model

    def _asking(self, model: Model, total: int, **options: Any) -> Asking:
        from visioncli.evaluate.answers import Asking

        progress = self.terminal.progress("eval")
        self.stack.callback(progress.close)
        if hasattr(progress, "expect_inputs"):
            progress.expect_inputs(total)
            progress.start(None)  # type: ignore[arg-type]
        return Asking(
            model, batch_size(self.network.batch, model.runtime.batch), options, progress, self._failed
        )

    def _failed(self, failure: Failure) -> None:
        self.errors += 1
        self.terminal.failure(failure)

    def _records(self, *, folder: bool = False) -> Path:
        path = self.data.records
        assert path is not None
        if path.is_dir() != folder:
            raise UsageError(
                f"--records {path}: {'a folder of masks' if folder else 'a file'} is wanted here"
            )
        if self.network.model is not None:
            self.terminal.detail(f"--model {self.network.model} is not used: the answers are in {path}")
        return path

    def _weights(self) -> Weights | None:
        return self.model.resolved.variant if self.model else None

    def _answer_options(self) -> dict[str, Any]:
        conf = 0.001 if self.answers.conf is None else self.answers.conf
        return {"conf": conf, "iou": self.answers.iou, "max_det": self.answers.max_det}

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"data": str(self.data.data), "split": self.data.split}
        if self.model is None:
            return {**options, "records": str(self.data.records)}
        running = self.model.runtime
        asked = {} if self.task == "classify" else self._answer_options()
        return {
            **options,
            **asked,
            "imgsz": self.network.imgsz,
            "device": running.device,
            "precision": running.precision,
            "runtime": running.name,
        }

    def _matched(self, matching: Matching, *, extra: bool = True) -> None:
        """Say what of the classes did not match; UsageError where nothing did."""
        if matching.to_data and not any(number is not None for number in matching.to_data.values()):
            raise UsageError(
                f"no class of the data set is one of the model's: {', '.join(matching.missing[:5])}, …",
                hint="labels are compared; ImageNet's WordNet ids are known too",
            )
        if (note := matching.note(extra=extra)) is not None:
            self._note(note)

    def _say_strays(self, unanswered: int, strangers: int) -> None:
        if unanswered:
            self._note(
                f"{plural(unanswered, 'picture')} of the data set without an answer: counted as nothing found"
            )
        if strangers:
            self._note(f"{plural(strangers, 'answer')} to pictures that the data set lacks: left out")

    def _say_conf(self, conf: float | None) -> None:
        if conf is not None and conf > MOST_CONF:
            self._note(f"--conf {conf:g} leaves out answers that mAP and AR count")

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self.terminal.warn(text)

    def _show(self, outcome: Outcome, page: Any) -> None:
        """On stdout, and as a report."""
        from visioncli.evaluate import outcome as shown

        if self.outputs.report is not None:
            from visioncli.evaluate.report.page import write

            write(self.outputs.report, page())
            self.terminal.note(f"report: {self.outputs.report / 'index.html'}")
        if self.outputs.json:
            sys.stdout.write(outcome.json().decode())
        elif is_terminal(sys.stdout):
            print(*shown.tables(outcome), sep="\n")
        else:
            print(*shown.lines(outcome), sep="\n")

    def _write(self, path: Path, value: Any) -> None:
        """A whole JSON file or none."""
        import orjson

        from visioncli.media.atomic import atomic_path, make_folder

        make_folder(path.parent)
        with atomic_path(path) as temporary:
            temporary.write_bytes(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
