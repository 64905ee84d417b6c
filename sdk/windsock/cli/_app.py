"""The command group: knows every verb's name and one-line help without importing it."""

import os
import sys
from difflib import get_close_matches
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn

from windsock.cli._say import inert, note, say, warn, wrapped
from windsock.errors import ConfigurationError, MissingExtraError, UnreachableError, WindsockError
from windsock.text import did_you_mean, one_line

try:
    import typer

    from windsock.cli._lazy_group import LazyGroup
except ImportError as missing:
    raise SystemExit(str(MissingExtraError("the windsock command", "cli"))) from missing

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    # group: verb: (module below windsock.cli, one line of help); in the order of `windsock --help`
    "See": {
        "demo": ("demo", "See it work in seven steps, with measurements."),
        "eval": ("eval", "Evaluate one flag for one context, and say why."),
        "explain": (
            "explain",
            "Say where each value of a user's settings comes from, now or at a past moment.",
        ),
        "usage": ("usage", "Show what requests used: profiles, values, healed fields."),
        "serve": ("serve", "Serve the web console: what is set, who gets it and why, and what to do."),
        "doctor": (
            "doctor",
            "Look for common problems, and say what serves and how it buckets users.",
        ),
    },
    "Flags as code": {
        "init": ("init", "Write a repository's first flag files."),
        "import": ("import_", "Turn a YAML configuration into flag files and settings classes."),
        "export": ("export", "Print settings classes as flags, JSON Schema or an OpenFeature manifest."),
        "lint": ("lint", "Find what flag files get wrong before they serve."),
        "fmt": ("fmt", "Format flag files."),
        "check": ("check", "Check flag files against the classes and features that read them."),
        "diff": ("diff", "Show what changed between two states of the flags, flag by flag."),
        "plan": ("plan", "Plan a change to the flags: its steps, and exactly which users it affects."),
        "apply": ("apply", "Apply a plan to a folder or as a Git commit."),
        "rollout": ("rollout", "Add users to a variant step by step over time."),
        "history": ("history", "Show who changed a flag, when, and what."),
        "refs": ("refs", "Show where flags and fields are used in Python."),
        "stale": ("stale", "Show flags and fields that can be removed."),
    },
    "Profiles and healing": {
        "profile": ("profile", "List, tune and assign profiles; each change can be undone."),
        "quarantine": ("quarantine", "List and lift values that were withdrawn because they failed in use."),
    },
    "Experiments": {
        "experiment": ("experiment", "Plan, follow, report and decide experiments."),
    },
    "Database and mirror": {
        "dev": ("dev", "Run a database, the mirror and the console on your machine, until Ctrl-C."),
        "migrate": ("migrate", "Bring the database schema up to date."),
        "mirror": ("mirror", "Publish the database's assignments as flagd files."),
        "prune": ("prune", "Delete old rows, except those of open experiments."),
        "forget": ("forget", "Erase one person from every table."),
        "token": ("token", "Create, list and revoke tokens for the API and the console."),
    },
}
VERBS = {verb: entry for verbs in GROUPS.values() for verb, entry in verbs.items()}

_UsageError: Any = typer.BadParameter.__mro__[1]  # of click, or of the copy that typer has
EXIT_ERROR = 1
EXIT_CHANGES = 3
EXIT_IO = 4


class Verbs(LazyGroup):
    """The verbs; nothing that a command line quotes back acts on a terminal."""

    SECTIONS = GROUPS

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; what a usage error quotes is escaped."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":  # the help of a verb, which quotes nothing
                raise
            first, *more = wrapped(f"Error: {inert(error.format_message())}", sys.stderr)
            raise _UsageError("\n".join([first.removeprefix("Error: "), *more]), ctx=error.ctx) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb; for a misspelt one, suggest the nearest."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = did_you_mean(args[0], list(VERBS)) if get_close_matches(args[0], VERBS, n=1) else ""
            ctx.fail(f"there is no command {args[0]!r}{near or '; windsock --help lists them'}")
        return super().resolve_command(ctx, args)


# No markup mode: plain help needs no `rich`, so that `windsock --help` answers at once and pipes well.
app = typer.Typer(cls=Verbs, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _version(value: bool) -> None:
    if value:
        say(f"windsock {version('windsock')}")
        raise typer.Exit


@app.callback()
def windsock(
    show_version: Annotated[  # noqa: ARG001 - its callback has done it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Typed settings that are flags: flagd files, profiles from Postgres, evaluated through OpenFeature."""
    del sys.argv[1:]  # parsed; a settings class that reads the command line reads its service's, not this one


def fail(error: WindsockError, code: int = EXIT_ERROR) -> NoReturn:
    """Say what went wrong on stderr and leave with `code`."""
    headline, *more = error.lines
    warn(headline)
    for line in more:
        note(line)
    raise SystemExit(code)


def main() -> None:
    """Run the command line; an error of ours, a database or a file is one message, any other a traceback."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a locale may not have the arrow of a change
                stream.reconfigure(errors="backslashreplace")
        app()
    except UnreachableError as error:
        fail(error, EXIT_IO)
    except WindsockError as error:
        fail(error)
    except UnicodeEncodeError as error:
        if not any("\ud800" <= each <= "\udfff" for each in error.object):
            raise
        fail(ConfigurationError("an argument isn't UTF-8; set the terminal's encoding to UTF-8"))
    except Exception as error:
        what = _failed(error)
        if what is None:
            raise
        fail(UnreachableError(what), EXIT_IO)


def _failed(error: Exception) -> str | None:
    """What to say of a file's error, or a database driver's: a standby, a lost connection, a limit."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    driver = sys.modules.get("psycopg")  # which only some commands load
    if driver is not None and isinstance(error, driver.Error):
        return f"the database failed: {one_line(error)}"
    return None
