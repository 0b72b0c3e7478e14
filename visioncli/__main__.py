"""`python -m visioncli` is `vision`."""

from visioncli.cli import main

main()
