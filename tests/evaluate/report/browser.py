"""A real browser opens a page from its file, headless, and tells what it made of it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.media.browser import find

_CONSOLE = re.compile(r":CONSOLE[:(]\d+\)?\] (.*)")


@dataclass(frozen=True)
class Seen:
    """The page as the browser has it after its scripts, and what it said on the console."""

    dom: str
    console: list[str]


def look(page: Path, scratch: Path, script: str = "", timeout: float = 90) -> Seen:
    """Open a copy of `page` with `script` run at its end."""
    browser = find()
    assert browser is not None, "no browser installed"
    copy = scratch / "page.html"
    text = page.read_text("utf-8")
    assert text.count("</body>") == 1
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--enable-logging=stderr", f"--user-data-dir={scratch / 'profile'}", "--dump-dom", copy.as_uri()],
        capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=timeout, check=False,
    )  # fmt: skip
    return Seen(done.stdout, _CONSOLE.findall(done.stderr))
