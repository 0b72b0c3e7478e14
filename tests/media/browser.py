"""A real browser plays a file to its end, headless, and tells what it saw."""

from __future__ import annotations

import functools
import http.server
import queue
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

PAGE = """<!doctype html><video id=v src="{name}"></video><script>
const v = document.getElementById('v'), seen = [];
for (const e of ['canplaythrough', 'ended', 'error']) v.addEventListener(e, () => {{
  seen.push(e);
  if (e == 'canplaythrough' && seen.length == 1) {{ v.playbackRate = 2; v.play(); }}
  const said = [v.duration, v.currentTime, v.videoWidth, v.videoHeight, v.webkitAudioDecodedByteCount];
  if (e != 'canplaythrough') fetch('/said?' + seen.join('+') + '&' + said.join('&'));
}});
</script>"""


@dataclass(frozen=True)
class Seen:
    """The events in their order, and the video's state at the last of them (s, px, bytes)."""

    events: list[str]
    duration: float
    at: float
    width: int
    height: int
    audio_bytes: int

    @property
    def whole(self) -> bool:
        """Whether it could be played through, and was."""
        return self.events[0] == "canplaythrough" and self.events[-1] == "ended"


class _Page(http.server.SimpleHTTPRequestHandler):
    """Serves the page and the video, and remembers what the page says."""

    page: bytes
    said: queue.Queue[str]

    def do_GET(self) -> None:
        if self.path == "/":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(self.page)
        elif self.path.startswith("/said?"):
            self.said.put(self.path.removeprefix("/said?"))
            self.send_error(204)
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


def find() -> str | None:
    """The browser of this machine, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


def play(video: Path, profile: Path, timeout: float = 60) -> Seen:
    """Play `video` at double speed; `profile` is a scratch folder. queue.Empty: it does not end."""
    browser = find()
    assert browser is not None, "no browser installed"
    page = PAGE.format(name=quote(video.name)).encode()
    handler = type("Handler", (_Page,), {"said": queue.Queue(), "page": page})
    serve = functools.partial(handler, directory=str(video.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running = subprocess.Popen(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0",
             f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_address[1]}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            events, duration, at, width, height, heard = handler.said.get(timeout=timeout).split("&")
        finally:
            running.terminate()
            running.wait(30)
            server.shutdown()
    return Seen(events.split("+"), float(duration), float(at), int(width), int(height), int(heard))
