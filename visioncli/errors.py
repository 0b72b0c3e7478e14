"""What can go wrong, as a user sees it: one line that says what, which file, and what to do."""

from __future__ import annotations


class VisionError(Exception):
    """An error with a message for the user and the exit code that the command ends with.

    `kind` is one word for the record (`decode`, `not_found`, `too_large`, `unsupported`, `usage`, …), `hint`
    says what to do about it. Subclasses also inherit the builtin that people catch for the same thing.
    """

    exit_code = 1
    kind = "error"

    def __init__(self, message: str, *, hint: str | None = None, kind: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if kind is not None:
            self.kind = kind

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(VisionError, ValueError):
    """The command line, a configuration file or an argument of the Python API makes no sense."""

    exit_code = 2
    kind = "usage"


class InputError(VisionError, OSError):
    """One input cannot be read; a run goes on with the others and ends with exit code 3."""

    exit_code = 3
    kind = "decode"
    source: str | None = None  # the input's name, put in by whoever knows it


class OutputError(VisionError, OSError):
    """An output could not be written (disk full, no permission, …)."""

    exit_code = 4
    kind = "output"


class ModelError(VisionError, RuntimeError):
    """A model or its weights are not to be had, or cannot be loaded."""

    exit_code = 5
    kind = "model"
