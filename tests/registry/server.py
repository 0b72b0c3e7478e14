"""A real HTTP server for downloads, with ranges, validators, and the ways in which servers fail."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server gives and how it fails; `requests` are the (path, Range) that came in."""

    files: dict[str, bytes]
    cut_after: int | None = None  # bytes of a body after which the connection ends, once
    cuts: int = 1
    status: int | None = None
    ranges: bool = True
    validators: bool = True
    seconds_a_block: float = 0.0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Run a server on a free port of this machine; `served.url` is its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            served.requests.append((self.path, asked))
            body = served.files.get(self.path.lstrip("/"))
            if served.status or body is None:
                self.send_error(served.status or 404)
                return
            tag = f'"{hashlib.md5(body).hexdigest()}"'
            start = 0
            if asked and served.ranges and self.headers.get("If-Range") in (None, tag):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if served.validators:
                self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self._body(body[start:])

        def _body(self, body: bytes) -> None:
            if served.cut_after is not None and served.cuts:
                served.cuts -= 1
                body = body[: served.cut_after]
                self.close_connection = True
            for at in range(0, len(body), 65536):
                try:
                    self.wfile.write(body[at : at + 65536])
                except OSError:  # the client was killed
                    return
                time.sleep(served.seconds_a_block)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the test's stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
