"""Text made safe and short for people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

# C0 and C1 controls, DEL, line separators, marks that turn the writing direction, and undecodable bytes: all
# that could move the cursor, colour the terminal or make a name look like another.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def visible(text: str) -> str:
    r"""`text` on one line with its control characters shown (`\n`, `\x1b`, `\u202e`), safe for a terminal."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def by_count(labels: Iterable[str]) -> list[tuple[str, int]]:
    """Labels with how often they occur, the most frequent first, equals in the order of their first."""
    return Counter(labels).most_common()


def clock(seconds: float) -> str:
    """Seconds as people read them: `0.84 s`, `12.3 s`, `2:05`, `1:02:05`."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def plural(count: int, noun: str) -> str:
    """`1 picture`, `1,204 pictures`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
