"""`windsock plan`: what a change of the flag files does, and exactly who it moves."""

import functools
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_CHANGES, EXIT_ERROR
from windsock.cli._database import DatabaseUrl, database
from windsock.cli._project import settings_classes
from windsock.cli._say import note, print_document, progress, say, say_whole, warn
from windsock.flagfiles.files import DEFAULT_FOLDER, replace_plain_file
from windsock.gitops.contexts import moment
from windsock.gitops.moved_users_csv import moved_users
from windsock.gitops.plan import Limits, Plan, PlanRequest, dump, make, parse_share
from windsock.gitops.plan_text import markdown, text
from windsock.gitops.population import Context, Population, population
from windsock.gitops.repository import read_revisions
from windsock.text import count


class PlanForm(StrEnum):
    """How a plan is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


Paths = Annotated[list[Path] | None, typer.Argument(help="Flag files or folders; by default flagd/.")]
Against = Annotated[str, typer.Option(metavar="REV", help="The Git revision that is served.")]
Head = Annotated[
    str | None, typer.Option(metavar="REV", help="The revision to plan; by default the working tree.")
]
Users = Annotated[
    str | None,
    typer.Option(
        help="A CSV, TSV, JSONL or Parquet file, `mirror` for its assignments, `usage` or postgresql://… "
        "for everybody in usage_logs, or how many to make up."
    ),
]
Key = Annotated[str | None, typer.Option(help="The file's column with the targeting key.")]
Environment = Annotated[str, typer.Option(envvar="ENVIRONMENT", help="The environment of users without one.")]
SettingsClasses = Annotated[
    list[str] | None,
    typer.Option(metavar="MODULE:CLASS", help="A settings class whose values must stay valid."),
]
At = Annotated[
    str | None, typer.Option(metavar="TIME", help="The moment of the plan, ISO 8601; by default now.")
]
MaxMoved = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Fail if one flag moves a larger share of the users, such as 2%."),
]
AllowReshuffle = Annotated[
    bool, typer.Option("--allow-reshuffle", help="Let users of a running experiment lose their arm.")
]
Out = Annotated[Path | None, typer.Option(help="Write the plan to a file, for `windsock apply`.")]
Who = Annotated[Path | None, typer.Option(help="Write every user who moves to this CSV file.")]
Form = Annotated[PlanForm, typer.Option("--format", help="How to write the plan.")]


def command(
    paths: Paths = None,
    *,
    against: Against = "HEAD",
    head: Head = None,
    users: Users = None,
    key: Key = None,
    environment: Environment = "production",
    settings: SettingsClasses = None,
    at: At = None,
    max_moved: MaxMoved = None,
    allow_reshuffle: AllowReshuffle = False,
    out: Out = None,
    who: Who = None,
    form: Form = PlanForm.TEXT,
    database_url: DatabaseUrl = None,
) -> None:
    """Plan a change: its steps, and who gets something else. Exit 0: none, 3: changes, 1: findings.

    Example: windsock plan --users users.parquet --max-moved 2%
    """
    named = paths or [DEFAULT_FOLDER]
    limits = Limits(None if max_moved is None else parse_share(max_moved), allow_reshuffle)
    revisions = read_revisions(named, against, head)
    if revisions.uncommitted:
        note(f"planned from the working tree, with {count(len(revisions.uncommitted), 'uncommitted file')}")
    declarations = [each.__windsock__.declaration for each in settings_classes(settings or ())]
    opened = functools.partial(_usage_database, database_url)
    with population(users, environment, key, opened) as found, moved_users(who) as on_moved:
        request = PlanRequest(
            revisions.base,
            revisions.before,
            revisions.after,
            _counted(found),
            declarations,
            limits,
            time.time() if at is None else moment(at).timestamp(),
        )
        plan = make(request, on_moved)
    progress("")
    if out is not None:
        replace_plain_file(out, dump(plan).encode())
    _show(plan, form)
    if plan.findings:
        raise typer.Exit(EXIT_ERROR)
    if plan.steps:
        raise typer.Exit(EXIT_CHANGES)


def _usage_database(database_url: str | None, named: str | None) -> AbstractContextManager[str]:
    return database(named or database_url)


def _counted(population: Population) -> Population:
    """The population, counted on the terminal while it is evaluated."""

    def batches() -> Iterator[Sequence[Context]]:
        evaluated = 0
        for batch in population.batches():
            yield batch
            evaluated += len(batch)
            progress(f"{evaluated:,} users")

    fewer = population.fewer
    return replace(
        population,
        batches=batches,
        fewer=None if fewer is None else lambda limit: _counted(fewer(limit)),
    )


def _show(plan: Plan, form: PlanForm) -> None:
    if form is PlanForm.JSON:
        print_document(dump(plan))
        return
    if form is PlanForm.MARKDOWN:
        for line in markdown(plan):
            say_whole(line)
        return
    for line in text(plan):
        say(line)
    for finding in plan.findings:
        warn(finding)
    note(f"{plan.effect}; {plan.population}; against {plan.base[:12]}")
