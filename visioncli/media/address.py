"""Addresses as they may be shown: without what opens doors."""

from __future__ import annotations

import re

LIVE = ("rtsp", "rtsps")  # schemes of streams that are live

# user:password@ before the host; an @ in a password does not end it, a / or ? or # does.
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")
# Cameras take it in the path, too: rtsp://host/user=admin&password=…&channel=1
_SECRET = re.compile(
    r"(?i)((?:pass(?:word|wd|phrase)?|pwd|token|secret|api_?key|auth|sig(?:nature)?)=)[^&/?#;]*"
)


def public(text: str) -> str:
    """An address without its user, password and tokens; what is no address is returned as it is."""
    if "://" not in text:
        return text
    return _SECRET.sub(r"\1***", _USER.sub(r"\1", text))


def file_name(address: str) -> str:
    """A name for files about an address: its host and path, safe on every system."""
    shown = public(address).partition("://")[2].partition("?")[0]
    return re.sub(r"[^\w.-]+", "-", shown).strip("-.")[-200:] or "stream"
