"""A run's events on their way out: to the sinks in order, to the threads that draw and encode, to stderr."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visioncli.output import Sink
from visioncli.output.terminal import Terminal
from visioncli.output.text import plural
from visioncli.profile import Profile

if TYPE_CHECKING:
    from visioncli.output.media import MediaSink, Target, VideoSink
    from visioncli.pipeline import Answer, Opened, Settings
    from visioncli.track.count import Summed


class Work:
    """Hands each event to the sinks in order, and the drawing and encoding to threads behind them."""

    def __init__(
        self,
        sinks: list[Sink],
        media: MediaSink | None,
        terminal: Terminal,
        profile: Profile,
        settings: Settings,
        progress: Any,
        stop: threading.Event,
    ) -> None:
        self.inputs = self.errors = self.copies = 0
        self._stop = stop
        self._cut = False
        self._sinks, self._media, self._terminal, self._profile = sinks, media, terminal, profile
        self._settings, self._progress = settings, progress
        self._pool = ThreadPoolExecutor(2, "write")
        self._saving: list[Future[Any]] = []
        self._video: VideoLane | None = None
        self._began = time.monotonic()

    def start(self, about: Any) -> None:
        """The model is there."""
        self._tell(lambda sink: sink.start(about))

    def _tell(self, what: Callable[[Sink], None]) -> None:
        """Tell all sinks. When the reader of stdout has gone, that sink is dropped and the run drained."""
        for sink in list(self._sinks):
            try:
                what(sink)
            except BrokenPipeError:
                self._sinks.remove(sink)
                self._cut = True
                self._stop.set()

    def take(self, event: Any) -> None:
        """One event of the pipeline."""
        from visioncli.media.frame import Failure
        from visioncli.pipeline import Answer, Closed, Opened
        from visioncli.track.count import Happened, Summed

        if isinstance(event, Answer):
            self._answer(event)
        elif isinstance(event, Failure):
            self.errors += 1
            self.inputs += self._video is None and event.frame is None
            self._terminal.failure(event)
            self._tell(lambda sink: sink.failure(event))
        elif isinstance(event, Happened):
            self._tell(lambda sink: sink.happened(event.events))
        elif isinstance(event, Summed):
            self._summed(event)
        elif isinstance(event, Opened):
            self._opened(event)
        elif isinstance(event, Closed):
            if self._video is not None:
                lane, self._video = self._video, None
                lane.abort() if event.cut else lane.close()
                self.copies += not event.cut
            if event.cut:
                return
            if event.skipped_packets:
                self._terminal.warn(
                    f"{event.input.source}: {plural(event.skipped_packets, 'damaged packet')} skipped"
                )
            if event.dropped_frames:
                dropped = f"{event.dropped_frames:,} of {plural(event.frames, 'frame')} dropped"
                self._terminal.note(
                    f"{event.input.source}: {dropped}: they came faster than the network runs"
                )
            self._tell(
                lambda sink: sink.done(
                    event.input.source, event.frames, event.skipped_packets, event.dropped_frames
                )
            )

    def _summed(self, event: Summed) -> None:
        """A video's counts; in words on stderr where no table shows them."""
        source = event.input.source
        self._tell(lambda sink: sink.summary(source, event.summary))
        if not any(sink.shows_summaries for sink in self._sinks):
            for sentence in event.summary.sentences():
                self._terminal.note(f"{source}: {sentence}")

    def _opened(self, event: Opened) -> None:
        from visioncli.pipeline import progress_total

        self.inputs += 1
        if hasattr(self._progress, "expect_frames"):
            self._progress.expect_frames(event.input.source, progress_total(event.info, self._settings))
        if self._media is not None:
            sink = self._media.video(
                event.input, event.info, start=self._settings.start, end=self._settings.end
            )
            self._video = VideoLane(sink, self._profile)

    def _answer(self, event: Answer) -> None:
        mask_file = None
        if event.frame.index is None:
            self.inputs += 1
            if self._media is not None:
                mask_file = self._save(self._media, event).mask_file(event.frame)
                self.copies += 1
        elif self._video is not None:
            mask_file = self._video.put(event).mask_file(event.frame)
        result = event.result if mask_file is None else replace(event.result, mask_file=mask_file)
        self._tell(lambda sink: sink.result(result))

    def _save(self, media: MediaSink, event: Answer) -> Target:
        """Draw and write a picture in the pool; its names are settled here, in the order of the inputs."""
        target = media.reserve(event.input, event.frame)

        def save() -> None:
            with self._profile.stage("write"):
                media.save_picture(event.input, event.frame, event.result, target)

        self._saving.append(self._pool.submit(save))
        while len(self._saving) > 4:
            self._saving.pop(0).result()
        return target

    def end(self, *, interrupted: bool) -> None:
        """Wait for what is being written; then the sinks' last words."""
        for saved in self._saving:
            saved.result()
        self._saving.clear()
        from visioncli.records import Summary

        seconds = time.monotonic() - self._began
        summary = Summary(self.inputs, self.errors, seconds, interrupted or self._cut)
        self._tell(lambda sink: sink.end(summary))

    def abort(self) -> None:
        """Let go of everything: what is open and not finished is removed."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._video is not None:
            self._video.abort()
            self._video = None


class VideoLane:
    """Draws and encodes one video's frames in a thread of its own, in order."""

    def __init__(self, sink: VideoSink, profile: Profile) -> None:
        from visioncli.background import Behind

        def write(event: Answer) -> None:
            with profile.stage("write"):
                sink.write(event.frame, event.result, event.signs)

        self._sink = sink
        self._lane: Behind[Answer] = Behind(write, 2, name="encode")

    def put(self, event: Answer) -> Target:
        """The next frame; where the video's files go."""
        self._lane.put(event)
        return self._sink.target

    def close(self) -> None:
        """Finish the file."""
        try:
            self._lane.close()
        except BaseException:
            self._sink.abort()
            raise
        self._sink.close()

    def abort(self) -> None:
        """Remove the file."""
        try:
            self._lane.close()
        finally:
            self._sink.abort()
