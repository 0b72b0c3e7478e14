"""Defaults of options from outside the command line: flag > variable > file in the folder > user file.

A flag beats `VISION_*` variables (`VISION_MAX_DET=50` is `--max-det 50`), these beat `vision.toml` in the
working folder, and that beats `vision/vision.toml` in the user's configuration folder. `--config FILE` or
`VISION_CONFIG` names one file to read instead of the two. Keys are the long option names; those at the top
hold for every command, those in `[detect]`, `[classify]`, … for one, and win there:

    model = "yolo11n"
    [detect]
    conf = 0.4
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer

from visioncli.errors import UsageError

FILE = "vision.toml"
VARIABLE = "VISION_CONFIG"
_PREFIX = "VISION_"
# What only a command line may say: which inputs one run is about, and what a folder from elsewhere with a
# vision.toml in it must not say for its reader.
_NEVER = frozenset(
    {"image", "video", "dir", "from_file", "null", "force", "trust_checkpoint", "config", "help"}
)


def apply(ctx: typer.Context, file: Path | None) -> Path | None:
    """Put the defaults for the command of `ctx` where typer looks for them; the callback of `--config`.

    Use it as `typer.Option("--config", is_eager=True, callback=config.apply)`: being eager it runs before the
    other options take their defaults.

    Raises: as `load_defaults`.
    """
    if ctx.resilient_parsing:  # completion only guesses: a broken file is told when the command runs
        return file
    known: dict[str, Any] = {}
    for parameter in ctx.command.params:
        if parameter.param_type_name == "option" and parameter.name not in _NEVER:
            known[parameter.name] = _value_type(parameter)
    root = ctx.find_root()
    command = ctx.command_path.removeprefix(root.command_path).strip().partition(" ")[0]
    ctx.default_map = load_defaults(command, known, file=file, others=lambda: _tree(root))
    return file


def load_defaults(
    command: str,
    known: Mapping[str, Any],
    *,
    file: Path | None = None,
    others: Callable[[], Mapping[str, Collection[str]]] | None = None,
) -> dict[str, Any]:
    """The defaults for `command`, by parameter name (`max_det`), merged from files and variables.

    `known` maps the command's parameter names to the types of their values (`bool`, `int`, `float`, `str`,
    `Path`, an Enum, `list[…]` of one). `others` gives every command's name and parameter names; it is asked
    only when a file has a key that `command` does not know, to tell another command's option from a mistake.

    Raises: UsageError that names file and key (or variable) for what is unknown, of the wrong type or no
    TOML.
    """
    merged: dict[str, Any] = {}
    for path in _files(file):
        tree = _Lazy(others, command, known)
        data = _read(path)
        own = data.pop(command, {})
        if not isinstance(own, dict):
            raise UsageError(
                f"{path}: {command} is a table, not a value", hint=f"write [{command}] above its keys"
            )
        top = _values(path, "", _without_tables(path, data, tree), known, tree.everywhere)
        merged |= top | _values(path, f"[{command}] ", own, known, tree.inside)
    for name, kind in known.items():
        variable = _PREFIX + name.upper()
        text = os.environ.get(variable)
        if text:  # an empty variable is an unset one, as everywhere in the shell
            merged[name] = _from_text(variable, text, kind)
    return merged


def _files(file: Path | None) -> list[Path]:
    """The files to read, the least important first."""
    if file is None and os.environ.get(VARIABLE):
        file = Path(os.environ[VARIABLE])
    if file is not None:
        if not file.is_file():
            raise UsageError(f"{file}: no such configuration file")
        return [file]
    import platformdirs

    user = Path(platformdirs.user_config_dir("vision", appauthor=False)) / FILE
    return [path for path in (user, Path(FILE)) if path.is_file()]


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


class _Lazy:
    """Every command with its options, asked for once and only if need be."""

    def __init__(
        self,
        others: Callable[[], Mapping[str, Collection[str]]] | None,
        command: str,
        known: Collection[str],
    ) -> None:
        self._others = others
        self._command = command
        self._known = known
        self._all: Mapping[str, Collection[str]] | None = None

    def commands(self) -> Mapping[str, Collection[str]]:
        if self._all is None:
            self._all = {self._command: self._known} | dict(self._others() if self._others else {})
        return self._all

    def inside(self) -> frozenset[str]:
        """What the command's table may hold: `[models]` that of all its subcommands."""
        return frozenset(self.commands()[self._command])

    def everywhere(self) -> frozenset[str]:
        return frozenset(name for names in self.commands().values() for name in names)


def _without_tables(path: Path, data: dict[str, Any], tree: _Lazy) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in data.items():
        if not isinstance(value, dict):
            values[key] = value
        elif key not in tree.commands():
            raise UsageError(f"{path}: [{key}] is no command", hint=_suggest(key, tree.commands()))
    return values


def _values(
    path: Path,
    table: str,
    data: Mapping[str, Any],
    known: Mapping[str, Any],
    elsewhere: Callable[[], frozenset[str]],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in data.items():
        name = key.replace("-", "_")
        if name in known:
            values[name] = _from_toml(f"{path}: {table}{key}", value, known[name])
        elif name in _NEVER:
            raise UsageError(
                f"{path}: {table}{key} cannot be set in a file", hint="give it on the command line"
            )
        elif name not in (allowed := elsewhere()):
            raise UsageError(f"{path}: {table}{key} is no option", hint=_suggest(name, allowed or known))
    return values


def _suggest(name: str, among: Collection[str]) -> str | None:
    import difflib

    close = difflib.get_close_matches(name, among, 1)
    return f"did you mean {close[0].replace('_', '-')}?" if close else None


def _from_toml(where: str, value: Any, kind: Any) -> Any:
    """A value of a file as the option takes it; text options also take numbers and, comma-joined, lists."""
    if get_origin(kind) is list:
        items = value if isinstance(value, list) else [value]
        return [_from_toml(where, item, get_args(kind)[0]) for item in items]
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind not in (bool, int, float):
        if isinstance(value, list) and value and all(_is_word(item) for item in value):
            return ",".join(str(item) for item in value)
        if _is_word(value):
            return str(value)
    raise UsageError(f"{where} = {_shown(value)}: {_wanted(kind)} is wanted")


def _is_word(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _from_text(variable: str, text: str, kind: Any) -> Any:
    """A variable's value as the option takes it."""
    if get_origin(kind) is list:
        inner = get_args(kind)[0]
        parts = text.split(os.pathsep if inner is Path else ",")
        return [_from_text(variable, part, inner) for part in parts if part]
    if kind is bool:
        lowered = text.lower()
        if lowered in ("1", "true", "yes", "on"):
            return True
        if lowered in ("0", "false", "no", "off"):
            return False
        raise UsageError(f"{variable}={text}: 1 or 0, true or false is wanted")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise UsageError(f"{variable}={text}: {_wanted(kind)} is wanted") from None
    return text


def _wanted(kind: Any) -> str:
    if kind is bool:
        return "true or false"
    if kind is int:
        return "a whole number"
    if kind is float:
        return "a number"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(member.value) for member in kind)
    return "text"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _value_type(parameter: Any) -> Any:
    return parameter.type_descriptor.annotation


def _tree(root: Any) -> dict[str, set[str]]:
    """Every command's options; imports the modules of lazy commands."""
    return {name: _options(root, group) for name, group in _children(root, root.command)}


def _options(root: Any, command: Any) -> set[str]:
    names = {p.name for p in command.params if p.param_type_name == "option"} - _NEVER
    for _, child in _children(root, command):
        names |= _options(root, child)
    return names


def _children(root: Any, command: Any) -> list[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        return []
    return [(name, command.get_command(root, name)) for name in command.list_commands(root)]
