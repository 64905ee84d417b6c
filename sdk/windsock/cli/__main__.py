"""`python -m windsock.cli`: the command for an interpreter that is named, such as an isolated one (`-I`)."""

from windsock.cli import main

main()
