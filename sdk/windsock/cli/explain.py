"""`windsock explain`: where each value of a user's settings comes from, now or at a past moment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._project import settings_classes
from windsock.cli._say import print_json, say
from windsock.errors import ConfigurationError
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.gitops.contexts import context_of, moment
from windsock.gitops.explaining import ExplanationWithRules, Question, explained_at, explained_now
from windsock.postgres.migrations import connect
from windsock.settings.settings import Settings


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
    asked = Question(chosen, user, context_of(context or (), None, environment), environment, folder)
    if at is None:
        _show(explained_now(asked), as_json=as_json)
        return
    if not database_url:
        raise ConfigurationError("the past of an assignment is in the database: give --database-url")
    with connect(database_url) as connection:
        _show(explained_at(asked, moment(at), connection), as_json=as_json)


def _class_of(flag: str, names: Sequence[str]) -> type[Settings]:
    classes = settings_classes(names)
    for each in classes:
        if each.__windsock__.declaration.flag == flag:
            return each
    raise ConfigurationError(
        f"no settings class named here has the flag {flag!r}; name its class with --settings module:Class, "
        "or --settings pyproject.toml for those listed there"
    )


def _show(told: ExplanationWithRules, *, as_json: bool) -> None:
    rules = [(key, "  " * step.depth + step.text, step.found) for key, steps in told.rules for step in steps]
    if as_json:
        print_json({**told.explanation.to_dict(), "rules": rules, "log": told.log})
        return
    for line in str(told.explanation).split("\n"):
        say(line)
    for key, text, found in rules:
        say(f"  rule of {key}: {text}  ->  {found}")
    for line in told.log:
        say(f"  {line}")
