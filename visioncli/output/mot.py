"""Tracks in MOTChallenge's format: `--mot FILE|DIR`, a text file a video."""

from __future__ import annotations

import itertools
import os
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING

from visioncli.errors import UsageError
from visioncli.media.atomic import commit, discard, make_folder, output_error, temporary_name
from visioncli.output import Sink
from visioncli.output.stream import check_target
from visioncli.track import mot

if TYPE_CHECKING:
    from visioncli.records import Summary
    from visioncli.results import Result


class MotFiles(Sink):
    """`FILE` for one video, `DIR/NAME.txt` for each of several (a name without suffix is a folder's).

    A video's file takes its name when the video is through; one that was cut leaves none.

    Errors: UsageError for a second video in one FILE and for files that exist, without `force`.
    """

    def __init__(self, target: str, *, force: bool = False) -> None:
        path = Path(target)
        self._force = force
        self._folder = path if path.is_dir() or target.endswith(os.sep) or not path.suffix else None
        self._file = path
        self._done: set[Path] = set()
        self._source: str | None = None
        self._names: tuple[Path, Path] | None = None  # the temporary and the final one
        self._stream: IO[str] | None = None
        if self._folder is None:
            check_target(path, force=force)

    def result(self, result: Result) -> None:
        """A frame's lines."""
        stream = self._open(result.source)
        try:
            stream.write(mot.lines(result))
        except OSError as error:
            raise output_error(self._file, error) from error

    def done(self, source: str, frames: int, skipped_packets: int, dropped_frames: int = 0) -> None:
        """The file takes its name."""
        stream = self._open(source)
        assert self._names is not None
        try:
            stream.close()
        except OSError as error:
            raise output_error(self._file, error) from error
        commit(*self._names)
        self._source = self._names = self._stream = None

    def end(self, summary: Summary) -> None:
        """All videos are through."""
        self.close()

    def close(self) -> None:
        """Remove what has not come to its end."""
        if self._stream is not None:
            self._stream.close()
        if self._names is not None:
            discard(self._names[0])
        self._source = self._names = self._stream = None

    def _open(self, source: str) -> IO[str]:
        if source == self._source and self._stream is not None:
            return self._stream
        self.close()
        final = self._final(source)
        temporary = temporary_name(final)
        try:
            self._stream = temporary.open("w", encoding="ascii", newline="\n")
        except OSError as error:
            raise output_error(final, error) from error
        self._source, self._names = source, (temporary, final)
        self._done.add(final)
        return self._stream

    def _final(self, source: str) -> Path:
        if self._folder is None:
            if self._done:
                raise UsageError(f"--mot {self._file} is for one video", hint="name a folder for several")
            return self._file
        make_folder(self._folder)
        name = PurePath(source)
        # MOTChallenge keeps a sequence's frames in SEQUENCE/img1.
        stem = (name.parent.name if name.name == "img1" else name.stem) or "video"
        tries = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
        final = next(p for p in (self._folder / f"{t}.txt" for t in tries) if p not in self._done)
        check_target(final, force=self._force)
        return final
