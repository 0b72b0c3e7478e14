"""The sound of a video, copied from the input to the annotated output."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import av
import av.error
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.stream import Discard

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import OutputContainer
    from av.packet import Packet as AnyPacket

    Packet = AnyPacket[AudioStream]

# What MP4 holds and players play; everything else (Vorbis, PCM, WMA, …) becomes AAC.
_COPIED = frozenset({"aac", "mp3", "opus", "ac3", "eac3", "flac", "alac"})
_AAC_BIT_RATE_A_CHANNEL = 80_000
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


def plain(error: Exception) -> str:
    """What FFmpeg or the system said, without numbers and logs."""
    return (error.strerror if isinstance(error, OSError | av.error.FFmpegError) else None) or str(error)


def _file(source: Path | bytes) -> str | IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        # "file:" keeps FFmpeg from taking a colon in the name for a protocol.
        return f"file:{os.fspath(source).encode().decode()}"
    except UnicodeEncodeError:
        return source.open("rb")  # a name that is not UTF-8, which PyAV cannot pass on


class AudioTrack:
    """The best audio stream of `source`, written to `output` piece by piece so that little is in memory.

    Makes its stream in `output` at once; `copy_until(t)` then writes what is heard before `t` (s) and
    `finish()` the rest. All times move back by `shift` (s); what lies before `start` (s, of the input) is
    left out. Sound that cannot be read on is given up and `warn` told once. LookupError where there is none.
    """

    def __init__(
        self,
        source: Path | bytes,
        output: OutputContainer,
        name: str,
        shift: Fraction,
        warn: Callable[[str], None],
        *,
        start: Fraction | None = None,
    ) -> None:
        self._output = output
        self._name = name
        self._shift = shift
        self._start = start
        self._warn = warn
        self._last_dts: int | None = None
        self._waiting: Packet | None = None
        self._broken = False
        self._file = _file(source)
        self._input = av.open(self._file, "r", metadata_errors="replace")
        try:
            self._from = self._best()
            self._packets = self._demux()
            self._copied = self._can_be_copied()
            self._to = self._add_stream()
            self._unwrap = self._filter() if self._copied else None
        except BaseException:
            self.close()
            raise

    def _best(self) -> AudioStream:
        """The stream that FFmpeg thinks best; the others are not even read."""
        best = self._input.streams.best("audio")
        if best is None or best.codec_context is None:
            raise LookupError("no audio stream that can be read")
        for stream in self._input.streams:
            stream.discard = Discard.default if stream is best else Discard.all
        return cast(AudioStream, best)

    def _can_be_copied(self) -> bool:
        """Whether MP4 takes the codec and this stream's header: tried with one packet, in memory.

        The muxer looks at a header only when it finishes the file, too late to do without the sound.
        """
        if self._from.codec_context.codec.canonical_name not in _COPIED or (first := self._next()) is None:
            return False
        packet = av.Packet(bytes(first))  # muxing uses a packet up
        packet.pts, packet.dts, packet.time_base = first.pts, first.dts, first.time_base
        try:
            with av.open(io.BytesIO(), "w", format="mp4") as trial:
                stream = trial.add_stream_from_template(self._from)
                unwrap = self._filter()
                for part in unwrap.filter(packet) if unwrap is not None else [packet]:
                    part.stream = stream
                    trial.mux(part)
        except (av.error.FFmpegError, ValueError):
            return False
        return True

    def _add_stream(self) -> AudioStream:
        if self._copied:
            return self._output.add_stream_from_template(self._from)
        rate = self._from.codec_context.sample_rate
        rate = rate if rate in _AAC_RATES else min(_AAC_RATES, key=lambda r: (abs(r - rate), r))
        channels = min(self._from.codec_context.channels, 2)
        stream = self._output.add_stream("aac", rate=rate)
        stream.codec_context.layout = "stereo" if channels == 2 else "mono"
        stream.codec_context.bit_rate = channels * _AAC_BIT_RATE_A_CHANNEL
        return stream

    def _filter(self) -> BitStreamFilterContext | None:
        """What takes AAC out of the frames that MPEG-TS has it in, as MP4 needs.

        The muxer would do it too, but would complain of a damaged packet while it writes pictures.
        """
        if self._from.codec_context.codec.canonical_name != "aac":
            return None
        return BitStreamFilterContext("aac_adtstoasc", self._from)

    def _demux(self) -> Iterator[Packet]:
        """The stream's packets with data in them, each with its timestamps."""
        for packet in self._input.demux(self._from):
            if packet.size and packet.pts is not None:
                yield packet

    def copy_until(self, moment: Fraction) -> None:
        """Write the sound up to `moment` (s, of the output)."""
        while (packet := self._next()) is not None:
            if self._time(packet) - self._shift > moment:
                return
            self._take(packet)

    def finish(self, end: Fraction | None = None) -> None:
        """Write what is left, up to `end` (s, of the output; None: all)."""
        if end is not None:
            self.copy_until(end)
        else:
            while (packet := self._next()) is not None:
                self._take(packet)
        if not self._copied and not self._broken:
            for frame in self._decode(None):
                self._encode(frame)
            self._encode(None)

    def close(self) -> None:
        """Let go of the input."""
        self._input.close()
        if not isinstance(self._file, str):
            self._file.close()

    def _time(self, packet: Packet) -> Fraction:
        assert packet.pts is not None and packet.time_base is not None
        return packet.pts * packet.time_base

    def _next(self) -> Packet | None:
        """The packet that is to be written next; None at the end of the sound."""
        if self._waiting is None and not self._broken:
            try:
                self._waiting = next(self._packets, None)
            except (av.error.FFmpegError, OSError, IndexError) as error:
                # IndexError is PyAV's answer to a damaged file in which a new stream turns up midway.
                self._give_up(error)
        return self._waiting

    def _take(self, packet: Packet) -> None:
        """Write the waiting packet, as it is or decoded and encoded anew."""
        self._waiting = None
        time = self._time(packet)
        if self._start is not None and time < self._start:
            return
        if self._copied:
            self._copy(packet)
            return
        for frame in self._decode(packet):
            self._encode(frame)

    def _copy(self, packet: Packet) -> None:
        """Mux the packet under its own time; where times do not increase, MP4 needs them to."""
        assert packet.pts is not None and packet.time_base is not None
        shift = round(self._shift / packet.time_base)
        dts = (packet.pts if packet.dts is None else packet.dts) - shift
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
        self._last_dts = dts
        packet.dts, packet.pts = dts, max(packet.pts - shift, dts)
        try:
            packets = self._unwrap.filter(packet) if self._unwrap is not None else [packet]
        except av.error.FFmpegError:
            return  # a damaged packet is a gap and not the end
        for packet in packets:
            packet.stream = self._to
        self._mux(packets)

    def _decode(self, packet: Packet | None) -> list[AudioFrame]:
        """The packet's sound; none of a damaged packet, which is a gap and not the end."""
        try:
            return list(self._from.codec_context.decode(packet))
        except av.error.InvalidDataError:
            return []

    def _encode(self, frame: AudioFrame | None) -> None:
        if frame is not None and frame.pts is not None and frame.time_base is not None:
            frame.pts -= round(self._shift / frame.time_base)
        try:
            packets = self._to.encode(frame)
        except av.error.FFmpegError as error:
            self._give_up(error)
            return
        self._mux(packets)

    def _mux(self, packets: list[Packet]) -> None:
        """Write the packets. What MP4 refuses ends the sound; a disk that is full is the caller's concern."""
        try:
            self._output.mux(packets)
        except OSError:
            raise
        except av.error.FFmpegError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """The sound is broken here: say so once, and leave the rest of it out."""
        if not self._broken:
            self._warn(f"{self._name}: the sound breaks off ({plain(error)})")
        self._broken = True
        self._waiting = None
