"""`windsock explain`: where each value of a user's settings comes from, now or at a past moment."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

import windsock
from windsock.cli._context import context_of, moment
from windsock.cli._project import settings_classes
from windsock.cli._say import print_json, say
from windsock.errors import ConfigurationError
from windsock.flagfiles.files import DEFAULT_FOLDER, read_files
from windsock.flagfiles.sets import flag_set
from windsock.flags import FlagSet
from windsock.gitops.repository import Repository
from windsock.postgres.migrations import connect
from windsock.provenance.past import History, Past, given, read_history
from windsock.provenance.rule import trace
from windsock.settings.settings import Settings
from windsock.usage import UsageRecord, hashed_user_id
from windsock.usage.reading import Selection, read
from windsock.variables import user_id_key

_LOOK_BACK = 1_000


def command(
    flag: Annotated[str, typer.Argument(help="The settings class's flag, such as teacher.")],
    *,
    user: Annotated[str | None, typer.Option("--user", "-u", help="The targeting key.")] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="A past moment, such as 2026-11-01T12:00Z; needs Git and the database."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(help="The class to import, as module:Class, or pyproject.toml for those listed there."),
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", "-c", metavar="NAME=VALUE", help="An attribute.")
    ] = None,
    environment: Annotated[
        str, typer.Option(envvar="ENVIRONMENT", help="The attribute `environment`.")
    ] = "production",
    folder: Annotated[Path, typer.Option(help="The folder of the flag files.")] = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    database_url: Annotated[
        str | None, typer.Option(envvar="DATABASE_URL", show_envvar=True, help="The database.")
    ] = None,
) -> None:
    """Explain a user's settings, field by field, now or at a past moment.

    Example: windsock explain teacher --user ada --settings app.settings:Teacher
    """
    chosen = _class_of(flag, settings or ())
    attributes = context_of(context or (), None, environment)
    when = datetime.now(UTC) if at is None else moment(at)
    served = _files_now(folder) if at is None else _files_at(folder, when)
    history = History({}, {})
    logged: UsageRecord | None = None
    if at is not None:
        if not database_url:
            raise ConfigurationError("the past of an assignment is in the database: give --database-url")
        with connect(database_url) as connection:
            history = read_history(connection, [] if user is None else [user])
            rows = read(connection, Selection(_shown(user), None, False, _LOOK_BACK))
            logged = _logged(rows, flag, when)
    past = Past(chosen, [(datetime.min.replace(tzinfo=UTC), served)], history, environment)
    view = past.at(when, user, attributes)
    # the row may have the hash of the id, by which nobody was assigned
    said = _against_the_log(past, logged and replace(logged, user_id=user), attributes)
    _show(view, said, _rules(served, view, {**attributes, "targetingKey": user}, when), as_json=as_json)


def _class_of(flag: str, names: Sequence[str]) -> type[Settings]:
    classes = settings_classes(names)
    for each in classes:
        if each.__windsock__.declaration.flag == flag:
            return each
    raise ConfigurationError(
        f"no settings class named here has the flag {flag!r}; name its class with --settings module:Class, "
        "or --settings pyproject.toml for those listed there"
    )


def _files_now(folder: Path) -> FlagSet:
    mirrored = folder / "mirror"
    return flag_set(read_files([folder, mirrored] if mirrored.is_dir() else [folder]))


def _files_at(folder: Path, when: datetime) -> FlagSet:
    repository = Repository()
    revision = repository.revision_at(when.isoformat())
    if revision is None:
        raise ConfigurationError(f"Git has no commit before {when:%Y-%m-%dT%H:%MZ}")
    return flag_set(repository.files_at(revision, [folder]))


def _shown(user: str | None) -> str | None:
    key = user_id_key()
    return hashed_user_id(user, key) if user is not None and key is not None else user


def _logged(rows: Sequence[UsageRecord], flag: str, when: datetime) -> UsageRecord | None:
    """The last row of this flag at or before a moment; `rows` are newest first."""
    return next((row for row in rows if row.flag == flag and row.requested_at <= when), None)


def _against_the_log(past: Past, row: UsageRecord | None, attributes: Mapping[str, object]) -> list[str]:
    if row is None:
        return []
    differences = past.differences(row, attributes)
    head = f"the log has a row of {row.requested_at:%Y-%m-%d %H:%M:%S} UTC: "
    return [head + "equal"] if not differences else [head + "differs", *differences]


def _rules(
    served: FlagSet, view: Settings, context: Mapping[str, object], when: datetime
) -> list[tuple[str, str, str]]:
    """Each condition of each flag that decided, with what it saw."""
    lines = []
    for outcome in given(view).outcomes:
        found = served.flags.get(outcome.flag_key)
        if found is not None:
            steps = trace(found, context, int(when.timestamp() or time.time()))
            lines += [(outcome.flag_key, "  " * step.depth + step.text, step.found) for step in steps]
    return lines


def _show(view: Settings, said: list[str], rules: list[tuple[str, str, str]], *, as_json: bool) -> None:
    explanation = windsock.explain(view)
    if as_json:
        data = {**explanation.to_dict(), "rules": rules, "log": said}
        print_json(data)
        return
    for line in str(explanation).split("\n"):
        say(line)
    for key, text, found in rules:
        say(f"  rule of {key}: {text}  ->  {found}")
    for line in said:
        say(f"  {line}")
