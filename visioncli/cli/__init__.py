"""The command `vision`: its subcommands, imported when they are chosen, and what an error becomes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from visioncli import __version__
from visioncli.errors import VisionError

# Command -> one line of help. Each is the module of that name here, with a typer app called `app`.
COMMANDS = {
    "classify": "What is in a picture: the best labels of an image classifier.",
    "detect": "Where things are: boxes with labels and scores, in pictures and video.",
    "models": "The models there are, their weights, and what is on this machine.",
}


class LazyCommands(TyperGroup):
    """Imports a command's module when the command is chosen: `vision --help` stays instant."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All commands, whether imported or not."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"visioncli.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual, with a suggestion for what is no command, and the commonest slip named."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib
            from pathlib import Path

            if Path(args[0]).exists() or "://" in args[0]:
                ctx.fail(f"{args[0]!r} is an input, not a command: vision detect {args[0]}")
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"no command {args[0]!r}{f': did you mean {close[0]}?' if close else ''}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in `--help`, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"vision {__version__}")
        raise typer.Exit


# Without rich for the top: importing it would cost more than all the rest of `vision --help`.
app = typer.Typer(
    name="vision",
    cls=LazyCommands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Try: vision detect photo.jpg    Help on a command: vision detect --help",
)


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Classify, detect, track and segment what is in pictures and video, with the networks people know.

    Inputs are files, folders, globs, addresses, `-` for stdin, or camera numbers. Annotated copies go to
    vision-out/, a table to the terminal, tab-separated lines into a pipe, records to --jsonl.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit with its code; every error is one line on stderr."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in (args[: args.index("--")] if "--" in args else args)
    try:
        code = app(optional_values(args), prog_name="vision", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except BrokenPipeError:
        # The reader of stdout has all it wanted (`| head -1`): quiet, and nothing left to flush into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except VisionError as error:
        if debug:
            raise
        _say(str(error))
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except MemoryError:
        if debug:
            raise
        _say("out of memory (try a smaller --batch or --imgsz)")
        sys.exit(1)
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # the parser's own errors
            _say(_usage(error))
            sys.exit(error.exit_code)
        if debug:
            raise
        notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
        _say(f"a bug: {type(error).__name__}: {error}{notes} (--debug shows where; please report it)")
        sys.exit(1)


def optional_values(args: list[str]) -> list[str]:
    """Give `--jsonl` its value where it has none: `-`, stdout."""
    out: list[str] = []
    for i, argument in enumerate(args):
        if argument == "--":
            return out + args[i:]
        out.append(argument)
        if argument == "--jsonl":
            following = args[i + 1] if i + 1 < len(args) else ""
            if not following or (following.startswith("-") and following != "-"):
                out.append("-")
    return out


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "vision"
    return f"{error.format_message()} ({where} --help tells more)"


def _say(message: str) -> None:
    one_line = " ".join(message.split())
    sys.stderr.write(f"vision: {one_line}\n")
