"""The table on a terminal: a row a picture as it comes, and a summary a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.table import Table as RichTable
from rich.text import Text

from visioncli.output import Sink
from visioncli.output.tally import Tally
from visioncli.output.text import by_count, clock, plural, visible

if TYPE_CHECKING:
    from visioncli.output.terminal import Terminal
    from visioncli.records import Run, Summary
    from visioncli.results import Result
    from visioncli.track.summary import VideoSummary

CLASSIFY = "classify"
_SIZE = 11
_ROWS = 12  # classes of a video that are shown
_GAP = "  "


class Table(Sink):
    """Rows in columns that are known before the names are: a million pictures take no memory."""

    shows_summaries = True

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._classify = False
        self._semantic = False
        self._headed = False
        self._name = 0
        self._pictures = 0
        self._frames = 0
        self._objects = 0
        self._videos: dict[str, Tally] = {}
        self._summary: VideoSummary | None = None

    def start(self, run: Run) -> None:
        """Columns fit the terminal."""
        self._classify = run.task == CLASSIFY
        self._semantic = run.options.get("kind") == "semantic"
        self._name = max(12, min(48, self._terminal.out.width // 3))

    def result(self, result: Result) -> None:
        """A picture's row; a frame is counted."""
        if result.frame is not None:
            self._frames += 1
            self._objects += len(result)
            self._videos.setdefault(result.source, Tally()).add(result, top_only=self._classify)
            return
        self._pictures += 1
        self._objects += len(result)
        if not self._headed:
            self._headed = True
            found = "best label" if self._classify else "found"
            self._terminal.print(Text(self._row("picture", "size", found), "dim"))
        start = self._row(visible(result.source), f"{result.width}×{result.height}", "")
        if self._semantic:
            parts = _shares(result)
        else:
            parts = _labels(result) if self._classify else _counts(result.labels)
        self._terminal.print(Text(start).append_text(_fit(parts, self._terminal.out.width - cell_len(start))))

    def summary(self, source: str, summary: VideoSummary) -> None:
        """Kept for `done`, which comes next."""
        self._summary = summary

    def done(self, source: str, frames: int, skipped_packets: int, dropped_frames: int = 0) -> None:
        """A video's summary."""
        tally = self._videos.pop(source, None)
        summary, self._summary = self._summary, None
        if tally is None:
            return
        facts = [f"{tally.width}×{tally.height}", plural(frames, "frame"), clock(tally.seconds)]
        if skipped_packets:
            facts.append(plural(skipped_packets, "damaged packet") + " skipped")
        if dropped_frames:
            facts.append(f"{dropped_frames:,} dropped")
        title = Text(visible(source), "bold").append(_GAP + " · ".join(facts), "not bold dim")
        self._terminal.print(title)
        self._found(tally, summary)
        for sentence in [] if summary is None else summary.sentences():
            self._terminal.print(_GAP + visible(sentence))

    def _found(self, tally: Tally, summary: VideoSummary | None) -> None:
        rows = len(tally.classes if summary is None else summary.labels)
        if not rows:
            self._terminal.print(Text(_GAP + "nothing found", "dim"))
        elif summary is not None:
            self._terminal.out.print(_tracks_table(tally, summary))
        else:
            shown = _shares_table if self._semantic else _labels_table if self._classify else _objects_table
            self._terminal.out.print(shown(tally))
        if rows > _ROWS:
            self._terminal.print(Text(f" + {rows - _ROWS} more", "dim"))

    def end(self, summary: Summary) -> None:
        """How much was done, in which time."""
        parts = []
        if self._pictures:
            parts.append(plural(self._pictures, "picture"))
        if self._frames:
            parts.append(plural(self._frames, "frame"))
        if not self._classify and not self._semantic:
            parts.append(plural(self._objects, "object"))
        if summary.errors:
            parts.append(plural(summary.errors, "error"))
        looked_at = self._pictures + self._frames
        rate = f" ({looked_at / summary.seconds:,.1f}/s)" if looked_at > 1 and summary.seconds > 0 else ""
        parts.append(clock(summary.seconds) + rate)
        before = "interrupted after " if summary.interrupted else ""
        self._terminal.print(Text(before + " · ".join(parts), "dim"))

    def _row(self, name: str, size: str, found: str) -> str:
        return f"{_shorten(name, self._name)}{_GAP}{size:>{_SIZE}}{_GAP}{found}"


def _shorten(name: str, width: int) -> str:
    """`name` in exactly `width` cells; a longer one keeps its end, which tells files apart."""
    if cell_len(name) <= width:
        return set_cell_size(name, width)
    while cell_len(name) > width - 1:
        name = name[1:]
    return set_cell_size("…" + name, width)


def _counts(labels: list[str]) -> list[Text]:
    return [Text.assemble((str(n), "bold cyan"), " ", visible(label)) for label, n in by_count(labels)]


def _shares(result: Result) -> list[Text]:
    """What of the picture each class takes, the background left out."""
    foreground = set(result.regions.foreground(result.names).tolist())
    return [
        Text.assemble((f"{row['fraction']:.1%}", "bold cyan"), " ", visible(row["label"]))
        for row in result.objects()
        if row["class"] in foreground
    ]


def _labels(result: Result) -> list[Text]:
    texts = []
    for i, (label, score) in enumerate(zip(result.labels, result.scores.tolist(), strict=True)):
        style, number = ("bold", "bold cyan") if i == 0 else ("dim", "dim")
        texts.append(Text.assemble((visible(label), style), " ", (f"{score:.2f}", number)))
    return texts


def _fit(parts: list[Text], width: int) -> Text:
    """As many parts as fit, then how many more there are."""
    if not parts:
        return Text("–", "dim")
    line = parts[0]
    for i, part in enumerate(parts[1:], 1):
        more = f" + {len(parts) - i} more"
        room = width - (cell_len(more) if i + 1 < len(parts) else 0)
        if line.cell_len + 3 + part.cell_len > room:
            return line.append(more, "dim")
        line = line.append(" · ", "dim").append_text(part)
    return line


def _grid(*headers: str) -> RichTable:
    table = RichTable(box=None, header_style="dim", padding=(0, 1), pad_edge=True)
    for i, header in enumerate(headers):
        table.add_column(header, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _objects_table(tally: Tally) -> RichTable:
    table = _grid("label", "objects", "frames", "at once", "from", "to", "best")
    for label, one in tally.ranked()[:_ROWS]:
        table.add_row(
            visible(label), Text(f"{one.count:,}", "bold cyan"), f"{one.frames:,}", f"{one.most:,}",
            clock(one.first), clock(one.last), Text(f"{one.best:.2f}", "dim"),
        )  # fmt: skip
    return table


def _tracks_table(tally: Tally, summary: VideoSummary) -> RichTable:
    """A row a label; lengths are from a track's first sight to its last."""
    table = _grid("label", "tracks", "at once", "longest", "mean")
    rows = list(summary.labels.items())[:_ROWS]
    for label, one in rows:
        most = tally.classes[label].most
        table.add_row(
            visible(label), Text(f"{one.count:,}", "bold cyan"), f"{most:,}",
            clock(one.longest), clock(one.mean),
        )  # fmt: skip
    if len(summary.labels) > 1:
        every = summary.tracks
        table.add_row("all", f"{every.count:,}", "", clock(every.longest), clock(every.mean), style="dim")
    return table


def _shares_table(tally: Tally) -> RichTable:
    table = _grid("class", "frames", "mean share", "largest", "from", "to")
    for label, one in sorted(tally.classes.items(), key=lambda item: -item[1].scores)[:_ROWS]:
        table.add_row(
            visible(label), f"{one.frames:,}", Text(f"{one.scores / tally.frames:.1%}", "bold cyan"),
            f"{one.best:.1%}", clock(one.first), clock(one.last),
        )  # fmt: skip
    return table


def _labels_table(tally: Tally) -> RichTable:
    table = _grid("best label", "frames", "share", "from", "to", "mean")
    for label, one in tally.ranked()[:_ROWS]:
        table.add_row(
            visible(label), Text(f"{one.frames:,}", "bold cyan"), f"{one.frames / tally.frames:.0%}",
            clock(one.first), clock(one.last), Text(f"{one.mean:.2f}", "dim"),
        )  # fmt: skip
    return table
