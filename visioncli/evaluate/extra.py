"""The packages of the extra `[eval]`, or one line that says how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType

from visioncli.errors import UsageError


def need(module: str, package: str) -> ModuleType:
    """The module; UsageError with the command that installs `package` where it is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise UsageError(
            f"vision eval needs {package} here, which is not installed",
            hint="pip install 'visioncli[eval]'",
            kind="missing",
        ) from error
