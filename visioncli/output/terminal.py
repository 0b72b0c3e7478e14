"""What people see on stderr: notes, warnings, errors and progress; never data.

On a terminal rich draws it, colours honour `NO_COLOR`; elsewhere each message is one plain line and there
is no progress. rich is imported only for a terminal.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import TYPE_CHECKING, TextIO

from visioncli.output import Sink
from visioncli.output.text import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from visioncli.errors import VisionError
    from visioncli.media.frame import Failure
    from visioncli.output.progress import ProgressBar


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at `stream` on a terminal that can move its cursor."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


class Terminal:
    """The one voice of a run on stderr. `quiet` leaves errors only, `verbose` adds details.

    Messages are made safe (control characters of file names shown) and take one line. Safe to use from
    several threads.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.interactive = is_terminal(sys.stderr)
        self._lock = threading.Lock()
        self._console: Console | None = None
        self._out: Console | None = None

    def detail(self, text: str) -> None:
        """Something only `--verbose` wants to know."""
        if self.verbose and not self.quiet:
            self._say("", "dim", text)

    def note(self, text: str) -> None:
        """Something worth knowing."""
        if not self.quiet:
            self._say("", "dim", text)

    def warn(self, text: str) -> None:
        """Something that may not be as the user thinks."""
        if not self.quiet:
            self._say("warning: ", "bold yellow", text)

    def error(self, error: VisionError | str) -> None:
        """Something that failed; printed even with `--quiet`."""
        self._say("error: ", "bold red", str(error))

    def failure(self, failure: Failure) -> None:
        """An input, or a frame of one, that gave no result; printed even with `--quiet`."""
        where = failure.source if failure.frame is None else f"{failure.source}: frame {failure.frame}"
        message = failure.message
        self.error(message if failure.source in message else f"{where}: {message}")

    def progress(self, task: str = "") -> ProgressBar | Sink:
        """A sink that draws progress on stderr; it does nothing where nobody looks or with `--quiet`."""
        if self.quiet or not self.interactive:
            return Sink()
        from visioncli.output.progress import ProgressBar

        return ProgressBar(self.console, task)

    @property
    def console(self) -> Console:
        """rich's console on stderr."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        return self._console

    @property
    def out(self) -> Console:
        """rich's console for tables on stdout: the one on stderr where both are the same terminal.

        Progress is drawn below the rows then, and neither writes over the other.
        """
        if self._out is None:
            if self.interactive and _same_terminal(sys.stdout, sys.stderr):
                return self.console
            from rich.console import Console

            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="replace")  # a terminal that is not UTF-8 gets ? for ×
            self._out = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        return self._out

    def print(self, row: RenderableType) -> None:
        """A row of a table, above the progress."""
        self.out.print(row, soft_wrap=True)

    def _say(self, prefix: str, style: str, text: str) -> None:
        text = visible(text)
        if not self.interactive:
            if sys.stderr is not None:
                with self._lock:
                    sys.stderr.write(f"{prefix}{text}\n")
                    sys.stderr.flush()
            return
        from rich.text import Text

        line = Text.assemble((prefix, style), text) if prefix else Text(text, style)
        self.console.print(line, soft_wrap=True)


def _same_terminal(one: TextIO, other: TextIO) -> bool:
    a, b = os.fstat(one.fileno()), os.fstat(other.fileno())
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
