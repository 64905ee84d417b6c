"""`windsock explain`: where each value of a user's settings comes from, now or at a past moment."""

import logging
from contextlib import nullcontext
from typing import Annotated

import typer

from windsock.cli._database import database
from windsock.cli._options import Environment, FlagFolder, JsonObject, User
from windsock.cli._project import class_with_flag, settings_classes
from windsock.cli._say import print_json, say
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.gitops.contexts import context_of, moment
from windsock.gitops.explaining import Question, explained
from windsock.logs import get_logger


def command(
    flag: Annotated[str, typer.Argument(help="The settings class's flag, such as teacher.")],
    *,
    user: User = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="A past moment, such as 2026-11-01T12:00Z; needs Git and the database."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:CLASS", help="The settings class, or pyproject.toml for those it lists."
        ),
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", "-c", metavar="NAME=VALUE", help="An attribute.")
    ] = None,
    environment: Environment = "production",
    folder: FlagFolder = DEFAULT_FOLDER,
    as_json: JsonObject = False,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="DATABASE_URL",
            show_envvar=True,
            help="The database; without it, for a past moment, an embedded PostgreSQL in .windsock/postgres.",
        ),
    ] = None,
) -> None:
    """Explain a user's settings, field by field, now or at a past moment.

    Example: windsock explain teacher --user ada --settings app.settings:Teacher
    """
    get_logger("windsock.settings").addHandler(logging.NullHandler())  # the explanation has what is refused
    chosen = class_with_flag(settings_classes(settings or ()), flag)
    question = Question(chosen, user, context_of(context or (), None, environment), environment, folder)
    when = None if at is None else moment(at)
    with nullcontext(database_url) if when is None else database(database_url) as url:
        explanation = explained(question, when, url)
    if as_json:
        print_json(explanation.to_dict())
        return
    for line in str(explanation).split("\n"):
        say(line)
