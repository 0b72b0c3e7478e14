"""The command `vision`: its subcommands, imported when they are chosen, and what an error becomes."""

from __future__ import annotations

import atexit
import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from visioncli import __version__
from visioncli.errors import VisionError
from visioncli.output.text import visible

# Command -> one line of help. Each is the module of that name here, with a typer app called `app`.
COMMANDS = {
    "classify": "What is in a picture: the best labels of an image classifier.",
    "detect": "Where things are: boxes with labels and scores, in pictures and video.",
    "segment": "Which pixels are what: a mask for each object, or a class for every pixel.",
    "track": "Who is who in video: boxes with ids that stay, by six trackers on any detector.",
    "eval": "Figures on standard data sets: mAP, top-1, mIoU, MOTA, with a report of the mistakes.",
    "bench": "How fast a model runs on this machine: by runtime, precision and batch; memory, cold start.",
    "cache": "What is kept between runs: compiled networks; how much, and how to be rid of it.",
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

            if Path(args[0]).exists() or "://" in args[0]:
                from visioncli.media.address import public

                ctx.fail(f"{public(args[0])!r} is an input, not a command: vision detect {public(args[0])}")
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
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - else `print` would write to stdout instead
    debug = "--debug" in (args[: args.index("--")] if "--" in args else args)
    try:
        code = app(optional_values(args), prog_name="vision", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = 0  # the reader of stdout has all it wanted (`| head -1`)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as exit:  # a signal (see Interrupt), or typer's 1 for a closed pipe
        code = 0 if isinstance(exit.__context__, BrokenPipeError) else exit.code
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        code = _report(error)
    _let_go_of_stdout()
    sys.exit(code if isinstance(code, int) else 0)


def set_up_process() -> None:
    """What a process of the command's has before anything else happens in it."""
    # Before numpy is imported: the threads of its matrices wait by spinning, on the network's cores. Semantic
    # maps took 33 ms of CPU a picture with two of them, 4 ms with one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # OpenVINO's converter, which nothing here calls: 40 ms of CPU time less for a run that imports OpenVINO.
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]


def console() -> None:
    """The command's process: `main`, then out, without taking torch's or OpenVINO's libraries apart.

    Torch's own end touches 120 MB of them and takes 0.5 s, for a process that is over. Everything of ours is
    closed by then, and what Python does at exit is done.
    """
    set_up_process()
    try:
        main()
    except SystemExit as exit:
        if not {"torch", "openvino"} & sys.modules.keys():
            raise
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(exit.code if isinstance(exit.code, int) else 1)


def _report(error: Exception) -> int:
    """Say what went wrong, in one line, and with which code that ends."""
    if isinstance(error, VisionError):
        if error.kind == "no_input":  # the first thing that anybody sees: on two lines
            _say(error.message)
            _say(error.hint or "")
        else:
            _say(str(error))
        return error.exit_code
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help, in many lines
        sys.stderr.write(f"{error}\n")
        return 2
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # the parser's own errors
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "vision"
        _say(f"{error.format_message()} ({where} --help tells more)")
        return int(error.exit_code)
    if isinstance(error, MemoryError) or "not enough memory" in str(error):  # torch says it in its own way
        _say("out of memory (try a smaller --batch or --imgsz)")
        return 1
    if isinstance(error, OSError) and error.filename is None and error.errno == errno.ENOSPC:
        _say("stdout: cannot be written: the disk is full")
        return 4
    notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
    what = " ".join(f"{type(error).__name__}: {error}{notes}".split())
    _say(f"a bug: {what} (--debug shows where; please report it)")
    return 1


def _let_go_of_stdout() -> None:
    """Leave nothing for Python to flush into a pipe or a full disk at the end: it would complain there."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


def _say(message: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads there, and there is no other place to say it
        sys.stderr.write(f"vision: {visible(message)}\n")
