"""A process from its start to its end: wall time, CPU time, the most memory it held."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The system counts into a process's peak what the one that started it held: so a small one does that.
_LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
figures = time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss
with open(sys.argv[1], "w") as file:
    json.dump((*figures, os.waitstatus_to_exitcode(status)), file)
"""
RSS_UNIT = 1e-6 if sys.platform == "darwin" else 1e-3
"""What `ru_maxrss` is counted in, in MB: bytes there, kilobytes elsewhere."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that has ended: seconds, CPU seconds of all its threads, peak memory in MB, exit code.

    `words` is what it wrote to stdout and stderr.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    code: int
    words: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Ran:
    """Run a command to its end, without stdin. Whatever interrupts this ends the command too."""
    with tempfile.TemporaryFile() as words, tempfile.NamedTemporaryFile("r") as figures:
        launcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, figures.name, *command],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )
        try:
            launcher.wait()
        finally:
            if launcher.returncode is None:
                os.killpg(launcher.pid, signal.SIGKILL)
                launcher.wait()
        words.seek(0)
        said = words.read().decode("utf-8", "replace")
        if launcher.returncode:
            raise RuntimeError(f"{command[0]} could not be started: {said[-800:]}")
        seconds, cpu, peak, code = json.load(figures)
    return Ran(seconds, cpu, peak * RSS_UNIT, code, said)
