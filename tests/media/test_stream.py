"""RTSP from a real server, Motion JPEG over HTTP from one that is small: frames, times, loss, passwords."""

from __future__ import annotations

import io
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePath

import av
import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.media.rtsp_server import RtspServer, missing
from visioncli.errors import InputError
from visioncli.media.camera import open_live
from visioncli.media.frame import Failure, Input
from visioncli.media.live import LiveReader
from visioncli.media.sources import find
from visioncli.media.stream import StreamFeed
from visioncli.results import Image

NO_SERVER = missing()
rtsp = pytest.mark.skipif(NO_SERVER is not None, reason=str(NO_SERVER))


@pytest.fixture
def clip(data: Path) -> Path:
    return data / "video" / "ocv4node_people.mp4"  # 800×450, 23.976 frames a second, 19 s


def first_pictures(path: Path, count: int) -> list[Image]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(count))]  # noqa: B905


def live(url: str) -> Input:
    (found,) = find([url])
    assert isinstance(found, Input)
    assert found.kind == "camera"
    return found


@rtsp
@pytest.mark.slow
def test_frames_and_times(clip: Path) -> None:
    with RtspServer(clip) as server, open_live(live(server.url), end=2.5) as reader:
        began = time.monotonic()
        frames = list(reader)
        took = time.monotonic() - began
    assert (reader.info.width, reader.info.height, reader.info.codec) == (800, 450, "h264")
    assert reader.info.fps == pytest.approx(23.976, abs=0.01)
    assert len(frames) + reader.dropped_frames == reader.frames
    assert reader.frames == pytest.approx(60, abs=3)
    assert 1.0 < took < 4.0, "at the camera's pace, but for the second that opening it took"
    times = [frame.time for frame in frames if frame.time is not None]
    assert times[0] == 0
    steps = np.diff([float(frame.time or 0) / max(frame.index or 0, 1) for frame in frames][5:])
    assert np.abs(steps).max() < 0.01, "by the stream's own clock: evenly, whatever the network does"
    # The pictures are those of the clip.
    early = [frame for frame in frames if (frame.index or 0) < 40]
    own = first_pictures(clip, 40)
    assert len(early) > 3
    assert all(np.abs(own[f.index or 0].astype(int) - f.image).mean() < 3 for f in early)


@rtsp
@pytest.mark.slow
def test_a_dropped_connection(clip: Path) -> None:
    """The server is killed in the middle, and comes back after a while on the same port."""
    said: list[str] = []
    with RtspServer(clip) as server:
        source = live(server.url)

        def connect() -> StreamFeed:
            return StreamFeed(server.url, source.source)

        with LiveReader(source.source, connect, tell=said.append, delays=(0.5, 0.5, 0.5, 0.5, 5)) as reader:
            before = [next(reader) for _ in range(10)]
            server.stop()
            threading.Timer(0.8, server.start).start()
            after = [next(reader) for _ in range(20)]
    assert "connection lost" in said[0]
    assert "connected again after" in said[-1]
    assert len(said) == 2, said
    numbers = [frame.index for frame in (*before, *after) if frame.index is not None]
    times = [frame.time for frame in (*before, *after) if frame.time is not None]
    assert numbers == sorted(set(numbers))
    assert times == sorted(set(times))
    assert 0.8 < max(np.diff(times)) < 8


@rtsp
@pytest.mark.slow
def test_a_server_that_stays_away(clip: Path) -> None:
    with RtspServer(clip) as server:
        reader = LiveReader("cam", lambda: StreamFeed(server.url, "cam"), delays=(0.1, 0.2))
        with reader, pytest.raises(InputError) as caught:
            next(reader)
            server.stop()
            for _ in reader:
                pass
    assert caught.value.kind == "network"


@rtsp
def test_passwords_are_never_said(clip: Path) -> None:
    with RtspServer(clip, "me:geheim") as server:
        good, bad = (server.url.replace("//", f"//me:{word}@") for word in ("geheim", "geheim2"))
        for url in (bad, server.url):
            with pytest.raises(InputError, match="wants a user and a password") as caught:
                open_live(live(url))
            assert "geheim" not in "".join(traceback.format_exception(caught.value))
            assert caught.value.kind == "network"
        source = live(good)
        assert "geheim" not in source.source
        assert "geheim" not in str(source.relative)
        with open_live(source) as reader:
            assert next(reader).width == 800
        with pytest.raises(InputError) as caught:
            open_live(live(good.replace("/clip", "/nothing")))
        assert caught.value.kind == "not_found"
    with pytest.raises(InputError, match="no connection") as caught:
        open_live(live(good))
    assert "geheim" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.kind == "network"


@pytest.mark.parametrize("flag", ["images", "dirs"])
def test_a_stream_is_a_video(flag: str) -> None:
    (found,) = find([], **{flag: ["rtsp://me:geheim@127.0.0.1:9/a"]})  # type: ignore[arg-type]
    assert isinstance(found, Failure)
    assert "geheim" not in found.message + found.source


def test_offline() -> None:
    (found,) = find(["rtsp://me:geheim@127.0.0.1:9/a"], offline=True)
    assert isinstance(found, Failure)
    assert (found.kind, found.source) == ("offline", "rtsp://127.0.0.1:9/a")
    assert "geheim" not in found.message


class Camera(BaseHTTPRequestHandler):
    """An IP camera: JPEG after JPEG, without end."""

    frames = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            while True:
                jpeg = io.BytesIO()
                PillowImage.new("RGB", (64, 48), (250, 20, 20)).save(jpeg, "JPEG")
                head = (
                    f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg.getvalue())}\r\n\r\n"
                )
                self.wfile.write(head.encode() + jpeg.getvalue() + b"\r\n")
                time.sleep(0.02)
        except OSError:
            return

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def camera() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/video?token=geheim"
    server.shutdown()
    server.server_close()


def test_motion_jpeg(camera: str) -> None:
    source = live(camera)
    assert source.source.endswith("token=***")
    with open_live(source, end=0.5) as reader:
        frames = list(reader)
    assert frames[0].image.shape == (48, 64, 3)
    assert np.abs(frames[0].image.astype(int) - (250, 20, 20)).max() < 12
    times = [frame.time for frame in frames if frame.time is not None]
    assert 0.2 < times[-1] < 0.5
    assert times == sorted(set(times))


def test_a_number_or_an_address() -> None:
    with pytest.raises(TypeError):
        open_live(Input("a", "camera", b"", PurePath("a")))
