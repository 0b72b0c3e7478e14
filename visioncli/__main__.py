"""`python -m visioncli` is `vision`."""

from visioncli.cli import console

console()
