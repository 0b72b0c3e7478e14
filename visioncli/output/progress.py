"""Progress on a terminal: pictures done of how many, frames of the video at hand, rate and time left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from visioncli.output import Sink
from visioncli.output.text import visible

if TYPE_CHECKING:
    from rich.console import Console

    from visioncli.media.frame import Failure
    from visioncli.records import Run, Summary
    from visioncli.results import Result


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        done = f"{int(task.completed):,}"
        total = "" if task.total is None else f"/{int(task.total):,}"
        return Text(f"{done}{total} {unit}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        seconds = time.monotonic() - task.fields["began"]
        if not task.completed or seconds <= 0:
            return Text("")
        rate = task.completed / seconds
        text = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
        left = (task.total - task.completed) / rate if task.total else 0.0
        minutes, seconds = divmod(round(left), 60)
        return Text(f"{text} · {minutes}:{seconds:02d} left" if left > 0 else text, "dim")


class ProgressBar(Sink):
    """A line for the inputs and one for each video that is running; gone when the run has ended."""

    def __init__(self, console: Console, task: str) -> None:
        self._progress = Progress(
            SpinnerColumn(style="cyan"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24, complete_style="cyan", finished_style="cyan"),
            _Amount(),
            _Rate(),
            console=console,
            transient=True,
            refresh_per_second=6,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._inputs = self._progress.add_task(
            task, total=None, unit="inputs", began=time.monotonic(), visible=False
        )
        self._videos: dict[str, TaskID] = {}
        self._expected: dict[str, int] = {}

    def expect_inputs(self, count: int | None) -> None:
        """How many inputs there are in all; None when nobody knows (a list on stdin)."""
        self._progress.update(self._inputs, total=count)

    def expect_frames(self, source: str, count: int | None) -> None:
        """About how many results a video will give; None when nobody knows (a camera)."""
        if count is not None:
            self._expected[source] = count

    def start(self, run: Run) -> None:
        """Begin to draw."""
        self._progress.update(self._inputs, began=time.monotonic())
        self._progress.start()

    def result(self, result: Result) -> None:
        """One picture, or one frame of a video, more."""
        if result.frame is None:
            self._progress.update(self._inputs, advance=1, visible=True)
            return
        if result.source not in self._videos:
            self._videos[result.source] = self._progress.add_task(
                visible(result.source).rpartition("/")[2],
                total=self._expected.pop(result.source, None),
                unit="frames",
                began=time.monotonic(),
            )
        self._progress.advance(self._videos[result.source])

    def failure(self, failure: Failure) -> None:
        """One input that failed counts as looked at."""
        if failure.frame is None and failure.source not in self._videos:
            self._progress.update(self._inputs, advance=1, visible=True)

    def done(self, source: str, frames: int, skipped_packets: int, dropped_frames: int = 0) -> None:
        """A video's line goes."""
        task = self._videos.pop(source, None)
        if task is not None:
            self._progress.remove_task(task)
        self._progress.update(self._inputs, advance=1, visible=True)

    def end(self, summary: Summary) -> None:
        """The lines go."""
        self._progress.stop()

    def close(self) -> None:
        """The lines go."""
        self._progress.stop()
