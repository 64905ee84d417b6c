"""The flag files and the Git repository of the command line's tests."""

from tests.cli.conftest import git, write

__all__ = ["git", "write"]
