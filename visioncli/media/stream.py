"""Live streams from addresses (RTSP, Motion JPEG over HTTP), through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from visioncli.errors import InputError
from visioncli.media.address import LIVE
from visioncli.media.live import Feed
from visioncli.media.video_in import to_rgb
from visioncli.results import Image

CONNECT, SILENCE = 10.0, 5.0  # s until an answer, and without a packet, after which a connection is lost

# Over TCP, since UDP loses packets and does not come through most firewalls; little is read ahead; and no
# way to make FFmpeg open anything else.
_RTSP = {"rtsp_transport": "tcp", "analyzeduration": "1000000"}
_PROTOCOLS = "tcp,tls,udp,rtp,srtp,http,https,httpproxy,crypto"


class StreamFeed(Feed):
    """One connection to `address`; messages name it `name`, which holds no password."""

    def __init__(self, address: str, name: str) -> None:
        self._name = name
        self.skipped_packets = 0
        rtsp = address.partition("://")[0].lower() in LIVE
        options = {**(_RTSP if rtsp else {}), "protocol_whitelist": _PROTOCOLS}
        try:
            self._container: InputContainer = av.open(
                address,
                "r",
                format=None if rtsp else "mpjpeg",
                options=options,
                timeout=(CONNECT, SILENCE),
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, OSError) as error:
            raise _refused(name, error) from None  # its text has the password in it
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{name}: there is no video in it", kind="unsupported")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "SLICE"  # threads by frame would hold frames back
        self._reformatter = VideoReformatter()
        self.codec = self._stream.codec_context.name
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps: Fraction | None = rate if rate and 1 <= rate <= 240 else None

    def frames(self) -> Iterator[tuple[VideoFrame, float | None]]:
        """All frames; damaged packets are skipped and counted."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError) as error:
                raise InputError(_words(error), kind="network") from None
            if packet is None:
                return
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                self.skipped_packets += 1
                continue
            for frame in decoded:
                yield frame, frame.time

    def picture(self, frame: VideoFrame) -> Image:
        """RGB by the frame's own matrix and range."""
        return to_rgb(frame, self._reformatter, self._name)

    def close(self) -> None:
        """Hang up."""
        self._container.close()


def _refused(name: str, error: Exception) -> InputError:
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        hint = "put them into the address: rtsp://USER:PASSWORD@HOST/…"
        return InputError(f"{name}: the server wants a user and a password", kind="network", hint=hint)
    if isinstance(error, av.error.HTTPNotFoundError | av.error.FileNotFoundError):
        return InputError(f"{name}: the server has no such stream", kind="not_found")
    return InputError(f"{name}: no connection ({_words(error)})", kind="network")


def _words(error: Exception) -> str:
    """What went wrong, without the address, in which the password stands."""
    if isinstance(error, av.error.ExitError):  # what PyAV's own clock breaks a read off with
        return "no answer in time"
    return str(getattr(error, "strerror", None) or type(error).__name__)
