"""A real RTSP server: GStreamer's, run by the system's own Python in a process of its own.

`python3 rtsp_server.py CLIP PORT [USER:PASSWORD]` plays an H.264 MP4 at its own pace to each client, from its
beginning, at rtsp://127.0.0.1:PORT/clip, and says `ready`. `RtspServer` starts and stops that process.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PYTHON = "/usr/bin/python3"
NEEDED = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good"


def missing() -> str | None:
    """Why there is no such server here; None where there is one."""
    test = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer;"
        "Gst.init(None); assert all(map(Gst.ElementFactory.find, ('qtdemux', 'rtph264pay')))"
    )
    if not Path(PYTHON).exists() or subprocess.run([PYTHON, "-c", test], capture_output=True).returncode:
        return f"needs GStreamer's RTSP server (apt-get install {NEEDED})"
    return None


class RtspServer:
    """One server on one port, which can be stopped and started again, as cameras are."""

    def __init__(self, clip: Path, login: str | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._command = [PYTHON, __file__, str(clip), str(self.port), *([login] if login else [])]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"rtsp://127.0.0.1:{self.port}/clip"

    def start(self) -> None:
        """Come up; returns when connections are taken."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", "the RTSP server does not start"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the RTSP server takes no connections")

    def stop(self) -> None:
        """Go away without a word, as a cable does that is pulled."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()


def serve(clip: str, port: str, login: str | None = None) -> None:
    """What runs in the process."""
    import gi

    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer(service=port, address="127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{clip}" ! qtdemux ! rtph264pay config-interval=1 name=pay0 pt=96 )'
    )
    if login:
        user, _, password = login.partition(":")
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", user)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        role = Gst.Structure.new_empty(user)
        role.set_value("media.factory.access", True)
        role.set_value("media.factory.construct", True)
        factory.add_role_from_structure(role)
    server.get_mount_points().add_factory("/clip", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    serve(*sys.argv[1:])
