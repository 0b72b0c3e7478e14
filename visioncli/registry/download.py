"""Downloads that leave a whole, checked file under its name, or nothing: resumed, locked, atomic."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from visioncli.errors import VisionError
from visioncli.registry.weights import sha256 as hash_of

if TYPE_CHECKING:
    import httpx

TRIES = 4
PAUSE = 0.5  # seconds before the second attempt, doubled before each further one
CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
# Pickles, zips (torch.save) and safetensors never begin like a page: a captive portal's answer is not
# weights.
PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")


class DownloadError(VisionError, OSError):
    """A download that did not come to a checked file; the message says why."""

    exit_code = 5
    kind = "download"


class _TryAgainError(Exception):
    """A failure that a later attempt may not meet."""


class _Meter(Protocol):
    def __call__(self, done: int, total: int | None) -> None: ...


def download(
    url: str, target: Path, *, sha256: str | None = None, licence: str | None = None, progress: bool = True
) -> str:
    """Fetch `url` into `target` and return its SHA-256.

    `sha256`: the digest or its beginning; a file that has another is not kept. Where it is None the digest
    seen is recorded in `TARGET.sha256`. What was received is kept in `.NAME.part` and resumed if the server
    can. A second process waits and takes the first one's file. Raises DownloadError.
    """
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.parent / f".{target.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _say(f"waiting for another process that downloads {target.name}", progress)
            lock.acquire()
        try:
            return _locked(url, target, sha256, licence, progress)
        finally:
            lock.release()
    except DownloadError:
        raise
    except OSError as e:
        raise DownloadError(f"{target.parent}: {e.strerror or e}") from e


def reach(url: str, seconds: float) -> None:
    """Raise DownloadError unless the server begins to answer well within `seconds`.

    In a thread, since looking up a name has no time limit. One that hangs is left behind and ends with the
    process.
    """
    outcome: list[int | Exception] = []

    def ask() -> None:
        try:
            with _client() as client, client.stream("GET", url) as answer:
                outcome.append(answer.status_code)
        except Exception as e:  # told below, in the thread that waits
            outcome.append(e)

    thread = threading.Thread(target=ask, name="reach", daemon=True)
    thread.start()
    thread.join(seconds)
    host = urlsplit(url).netloc
    if not outcome:
        raise DownloadError(f"no answer from {host} within {seconds:g} s")
    found = outcome[0]
    if isinstance(found, DownloadError):
        raise found
    if isinstance(found, Exception):
        raise DownloadError(f"no connection to {host}: {found}") from found
    if found >= 400:
        raise DownloadError(f"{url}: {found}")


def _locked(url: str, target: Path, sha256: str | None, licence: str | None, progress: bool) -> str:
    import httpx

    record = target.with_name(target.name + ".sha256")
    wanted = sha256 or (record.read_text(encoding="ascii").strip() if record.is_file() else None)
    if wanted and target.is_file() and (digest := hash_of(target)).startswith(wanted):
        return digest  # another process has fetched it meanwhile
    if licence:
        _say(f"downloading {target.name} from {urlsplit(url).netloc} (licence: {licence})", progress)
    with _client() as client, _meter(target.name, progress) as meter:
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                return _attempt(client, url, target, sha256, record, meter)
            except _TryAgainError as e:
                reason = str(e)
            except (
                httpx.ConnectError,
                httpx.ConnectTimeout,
                httpx.ProxyError,
                httpx.UnsupportedProtocol,
            ) as e:
                raise DownloadError(f"no connection to {urlsplit(url).netloc}: {e}") from e
            except httpx.TransportError as e:
                reason = str(e) or type(e).__name__
            except (httpx.InvalidURL, httpx.TooManyRedirects, httpx.DecodingError) as e:
                raise DownloadError(f"{url}: {e}") from e
    raise DownloadError(f"{url}: {reason} ({TRIES} attempts; the next one goes on from there)")


def _client() -> httpx.Client:
    """Follows redirects and the environment's proxies; gives up early where there is no network."""
    import httpx

    try:
        return httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            headers={"Accept-Encoding": "identity", "User-Agent": "vision"},
        )
    except (ImportError, ValueError, httpx.InvalidURL) as e:  # SOCKS without its package, or not a URL at all
        raise DownloadError(f"the proxy that the environment names cannot be used: {e}") from e


def _attempt(
    client: httpx.Client, url: str, target: Path, sha256: str | None, record: Path, meter: _Meter
) -> str:
    part, tag = (target.with_name(f".{target.name}.{s}") for s in ("part", "part.tag"))
    validator = tag.read_text(encoding="utf-8") if tag.is_file() and part.is_file() else ""
    start = part.stat().st_size if validator else 0
    headers = {"Range": f"bytes={start}-", "If-Range": validator} if start else {}
    with client.stream("GET", url, headers=headers) as answer:
        start = _check_answer(answer, start, part, url)
        length = answer.headers.get("content-length")
        total = start + int(length) if length else None
        if not start:
            part.unlink(missing_ok=True)  # before the tag: old bytes must never stand beside a new tag
            _remember(tag, answer.headers)
        with part.open("ab" if start else "wb") as file:
            done = start
            for piece in answer.iter_raw():
                file.write(piece)
                done += len(piece)
                meter(done, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done != total:
        raise _TryAgainError(f"{done} of {total} bytes received")
    return _accept(part, tag, target, sha256, record, resumed=start > 0)


def _check_answer(answer: httpx.Response, start: int, part: Path, url: str) -> int:
    """From which byte the body goes on; raises for what is no body of ours."""
    if answer.status_code == 206 and answer.headers.get("content-range", "").startswith(f"bytes {start}-"):
        return start
    if answer.status_code == 200:
        return 0
    if answer.status_code in (206, 416):  # what we have does not fit what they have: begin again
        part.unlink(missing_ok=True)
        raise _TryAgainError("the server could not resume")
    if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
        raise _TryAgainError(f"the server says {answer.status_code} {answer.reason_phrase}")
    raise DownloadError(f"{url}: {answer.status_code} {answer.reason_phrase}")


def _remember(tag: Path, headers: httpx.Headers) -> None:
    """Keep what tells whether the file is the same at the next attempt; weak ETags cannot (RFC 9110)."""
    etag = headers.get("etag", "")
    validator = etag if etag and not etag.startswith("W/") else headers.get("last-modified", "")
    if validator:
        tag.write_text(validator, encoding="utf-8")
    else:
        tag.unlink(missing_ok=True)


def _accept(part: Path, tag: Path, target: Path, sha256: str | None, record: Path, *, resumed: bool) -> str:
    """Check the whole file and give it its name; a wrong one is removed."""
    with part.open("rb") as file:
        beginning = file.read(64).lstrip().lower()
    digest = hash_of(part)
    reason = None
    if not beginning or beginning.startswith(PAGES):
        reason = "the server sent a page instead of weights"
    elif sha256 and not digest.startswith(sha256):
        reason = f"its SHA-256 is {digest[: max(len(sha256), 8)]}…, published is {sha256}"
    if reason:
        part.unlink()
        tag.unlink(missing_ok=True)
        if resumed:  # the two pieces may not belong together
            raise _TryAgainError(reason)
        raise DownloadError(f"{target.name}: {reason}; nothing was kept")
    if sha256 is None:
        fresh = record.with_name(f".{record.name}.part")
        fresh.write_text(digest + "\n", encoding="ascii")
        fresh.replace(record)
    part.replace(target)
    tag.unlink(missing_ok=True)
    return digest


def _say(line: str, progress: bool) -> None:
    if progress:
        print(f"vision: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _meter(name: str, progress: bool) -> Iterator[_Meter]:
    """A progress bar on stderr where that is a terminal; else nothing."""
    if not (progress and sys.stderr.isatty()):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns: tuple[Any, ...] = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
