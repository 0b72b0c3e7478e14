"""Pictures and videos from `http://` and `https://` addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

import httpx

from visioncli import __version__
from visioncli.errors import InputError
from visioncli.media import sniff
from visioncli.media.address import file_name, public
from visioncli.media.frame import Input
from visioncli.media.spool import spool

TIMEOUT = httpx.Timeout(30.0, connect=10.0)  # seconds without an answer, not for the whole
CHUNK = 1 << 16


def download(url: str) -> Input:
    """What lies at `url`, redirects followed, kind decided by its content; endless Motion JPEG is a camera.

    Raises InputError: `not_found` (404, 410), `network` (no connection, an error status, cut off),
    `unsupported` (no picture or video), `too_large`.
    """
    headers = {"User-Agent": f"vision/{__version__}"}
    shown = public(url)
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=TIMEOUT, headers=headers) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise _refused(shown, answer)
            if answer.headers.get("content-type", "").startswith("multipart/x-mixed-replace"):
                return Input(shown, "camera", url, PurePath(file_name(url)))
            return _receive(shown, answer.iter_bytes(CHUNK))
    except httpx.TimeoutException as error:
        raise InputError(f"{shown}: no answer in time", kind="network") from error
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InputError(f"{shown}: not an address", kind="network") from error
    except httpx.HTTPError as error:
        raise InputError(f"{shown}: {str(error) or type(error).__name__}", kind="network") from error


def _refused(url: str, answer: httpx.Response) -> InputError:
    status = f"{answer.status_code} {answer.reason_phrase}".strip()
    gone = answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE)
    return InputError(f"{url}: the server answers {status}", kind="not_found" if gone else "network")


def _receive(url: str, chunks: Iterator[bytes]) -> Input:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= sniff.HEAD:
            break
    media = sniff.sniff(head[: sniff.HEAD])
    name = _file_name(url)
    kind = sniff.by_suffix(name)
    if media is not None:
        if media.what not in ("picture", "video"):
            raise InputError(f"{url}: {media.what}, neither a picture nor a video", kind="unsupported")
        if kind != media.what:
            name += media.suffix
        kind = media.what
    if kind is None:
        raise InputError(f"{url}: neither a picture nor a video", kind="unsupported")
    return spool(_with(head, chunks), url, kind, PurePath(name))


def _with(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _file_name(url: str) -> str:
    """The last part of the address as a name that is safe for a file."""
    last = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2], errors="replace")
    return re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", last).strip(". ")[-200:] or "download"
