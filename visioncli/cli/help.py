"""The help of one command: options under headings, examples as they are typed."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Command(TyperCommand):
    """A command whose options are listed by their panel, and whose epilog is example lines.

    Plain text: rich's boxes cost a tenth of a second and half of an 80-column terminal.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """A section a panel, in the order in which they first appear; arguments come before all of them."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                more = "..." if parameter.nargs == -1 else ""
                record = (f"{parameter.metavar}{more}", record[1])  # without its Python type
            panel = getattr(parameter, "rich_help_panel", None) or "More"
            panels.setdefault(panel, []).append(record)
        panels["More"] = panels.pop("More")  # `--help` comes first otherwise
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The example lines, not wrapped: they are there to be copied."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"  {line}\n")
