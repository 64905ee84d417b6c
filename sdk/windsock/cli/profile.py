"""`windsock profile`: tune profiles and assign them, without SQL."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from windsock.cli._database import DatabaseUrl, database
from windsock.cli._options import JsonList, JsonObject, UserIds
from windsock.cli._project import settings_classes
from windsock.cli._say import note, print_json, say
from windsock.errors import ConfigurationError
from windsock.mirror import profiles, tuning
from windsock.mirror.profiles import ProfileChange, ProfileRow
from windsock.mirror.tuning import Tuned
from windsock.postgres.migrations import connect
from windsock.text import count, one_line

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The profile's name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A field's value, as JSON or as text."),
]
SettingsClasses = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:CLASS",
        help="The settings class that fields and values must fit, or pyproject.toml for those it lists; "
        "repeat it.",
    ),
]


@app.callback()
def command() -> None:
    """List, tune and assign profiles. Every change shows its plan, is audited, and can be undone."""


@app.command("list")
def list_profiles(
    *,
    as_json: JsonList = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show every profile.

    Example: windsock profile list
    """
    with _connected(database_url) as connection:
        rows = profiles.summaries(connection)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    for row in rows:
        say(f"{row.name}  {count(row.users, 'user')}{'' if row.active else ', out of service'}")
        say(f"    {', '.join(row.fields) or 'sets nothing'}")


@app.command()
def show(
    name: Name,
    *,
    as_json: JsonObject = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show a profile, and its newest changes.

    Example: windsock profile show experimental_v1
    """
    with _connected(database_url) as connection:
        found = tuning.details(connection, name)
    row = found.row
    if as_json:
        changes = [asdict(each) for each in found.changes]
        print_json({"name": name, "users": found.users, **row.as_data(), "changes": changes})
        return
    say(f"{name}: {count(found.users, 'user')}, {'active' if row.active else 'not active'}")
    if row.description:
        say(f"  {row.description}")
    for field, value in row.settings.items():
        say(f"  {field} = {json.dumps(value, ensure_ascii=False)}")
    for each in found.changes:
        say(_line(each))


@app.command()
def create(
    name: Name,
    *,
    changed: Set = None,
    description: Annotated[str | None, typer.Option(help="A description, for people.")] = None,
    settings: SettingsClasses = None,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Create a profile.

    Example: windsock profile create warm --set heat=1.1 --settings app:Bot
    """
    after = _checked(name, ProfileRow(_values(changed), description), settings)
    with _connected(database_url) as connection:
        done = tuning.create(connection, name, after, dry_run=dry_run)
    _tell(done, "a new profile; no user has it")


@app.command()
def edit(
    name: Name,
    *,
    changed: Set = None,
    unset: Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Remove a field.")] = None,
    active: Annotated[bool | None, typer.Option("--activate/--deactivate", help="Serve it or not.")] = None,
    description: Annotated[str | None, typer.Option(help="A description, for people.")] = None,
    settings: SettingsClasses = None,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Change a profile for all its users.

    Example: windsock profile edit warm --set heat=1.2 --settings app:Bot
    """
    values = _values(changed)
    with _connected(database_url) as connection:
        done = tuning.edit(
            connection,
            name,
            lambda row: _checked(
                name, row.edited(values, unset or (), active=active, description=description), settings
            ),
            dry_run=dry_run,
        )
    if done.differences:
        _tell(done, f"{count(done.users, 'user')} {'has' if done.users == 1 else 'have'} it")
    else:
        say("nothing to do: the profile already has these values")


@app.command()
def assign(
    name: Name,
    users: UserIds = None,
    *,
    create: Annotated[
        bool, typer.Option("--create", help="Create the row in profiles of users who have none.")
    ] = False,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Assign a profile to users.

    Example: windsock profile assign warm 6b3f… 81aa…
    """
    _assign(name, users, database_url, create=create, dry_run=dry_run)


@app.command()
def unassign(users: UserIds = None, *, dry_run: DryRun = False, database_url: DatabaseUrl = None) -> None:
    """Take the profile from users.

    Example: windsock profile unassign 6b3f…
    """
    _assign(None, users, database_url, dry_run=dry_run)


@app.command()
def undo(
    change: Annotated[int, typer.Argument(help="The change's number, as `show` lists it.")],
    *,
    database_url: DatabaseUrl = None,
) -> None:
    """Take a change back, if nothing changed since.

    Example: windsock profile undo 12
    """
    with _connected(database_url) as connection:
        done = profiles.undo(connection, change)
    say(f"change {change} is undone, by change {done.id}")


@contextmanager
def _connected(url: str | None) -> Iterator["profiles.Connection"]:
    """A connection in one transaction; what the database denies becomes one sentence."""
    with database(url) as found, connect(found) as connection:
        from psycopg import errors  # noqa: PLC0415 - an extra; a connection needs it

        try:
            with connection.transaction():
                yield connection
        except errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"{one_line(error)}: windsock_assigner may assign; to tune, use the tables' owner"
            ) from error
        except errors.InvalidTextRepresentation as error:
            raise ConfigurationError(f"{one_line(error)}: ids in profiles have that type") from error
        except errors.NotNullViolation as error:
            raise ConfigurationError(
                f"{one_line(error)}: your application makes the rows of profiles"
            ) from error
        except (errors.UndefinedTable, errors.UndefinedColumn) as error:
            raise ConfigurationError(f"{one_line(error)}: run `windsock migrate` first") from error


def _assign(
    name: str | None, users: list[str] | None, url: str | None, *, create: bool = False, dry_run: bool
) -> None:
    named = list(dict.fromkeys(users or (line.strip() for line in sys.stdin if line.strip())))
    with _connected(url) as connection:
        done = tuning.assign(connection, name, named, new=create, dry_run=dry_run)
    say(_moves(name, done.users, len(named), done.replaced))
    _undo_with(done.change)


def _moves(name: str | None, moved: int, named: int, from_profile: int) -> str:
    who = count(moved, "user") if moved == named else f"{moved:,} of {count(named, 'user')}"
    if name is None:
        return f"{who} {'loses' if moved == 1 else 'lose'} their profile"
    return f"{who} {'gets' if moved == 1 else 'get'} {name}" + (
        f"; {from_profile:,} had another" if from_profile else ""
    )


def _values(changed: Sequence[str] | None) -> dict[str, object]:
    values: dict[str, object] = {}
    for each in changed or ():
        field, found, text = each.partition("=")
        if not found or not field:
            raise ConfigurationError(f"--set {each}: write the field and its value, as temperature=0.2")
        try:
            values[field] = json.loads(text)
        except ValueError:
            values[field] = text
    return values


def _checked(name: str, row: ProfileRow, classes: list[str] | None) -> ProfileRow:
    """The row, if the named classes accept it."""
    if classes:
        tuning.check(settings_classes(classes), name, row.settings)
    elif row.settings:
        note("not checked against a settings class; name it with --settings MODULE:CLASS")
    return row


def _tell(done: Tuned, audience: str) -> None:
    for line in done.differences:
        say(line)
    say(audience)
    _undo_with(done.change)


def _undo_with(change: int | None) -> None:
    if change is not None:
        say(f"done; `windsock profile undo {change}` takes it back")


def _line(noted: ProfileChange) -> str:
    undone = f", undone by {noted.undone_by}" if noted.undone_by is not None else ""
    return f"  change {noted.id}  {noted.changed_at:%Y-%m-%d %H:%M}  {noted.actor}  {noted.verb}{undone}"
