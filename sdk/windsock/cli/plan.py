"""`windsock plan`: what a change of the flag files does, and exactly who it moves."""

import csv
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from windsock import disk
from windsock.cli._app import EXIT_CHANGES, EXIT_ERROR
from windsock.cli._database import DatabaseUrl, database
from windsock.cli._project import settings_classes
from windsock.cli._say import note, say, warn
from windsock.errors import ConfigurationError, UnreachableError
from windsock.flag_names import MIRROR_FOLDER
from windsock.flagfiles.files import DEFAULT_FOLDER, read_files, write_bytes
from windsock.flagfiles.sets import flag_set
from windsock.gitops.contexts import moment
from windsock.gitops.impact import Moved
from windsock.gitops.plan import Limits, Plan, PlanRequest, dump, make, parse_share
from windsock.gitops.plan_text import markdown, text
from windsock.gitops.population import Context, Population, assigned, exposed, from_file, synthetic
from windsock.gitops.repository import Repository
from windsock.text import count
from windsock.variables import user_id_key

_MADE_UP = 10_000
_POSTGRES = ("postgresql://", "postgres://")


class PlanForm(StrEnum):
    """How a plan is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Flag files or folders; by default flagd/.")
    ] = None,
    *,
    against: Annotated[str, typer.Option(metavar="REV", help="The Git revision that is served.")] = "HEAD",
    head: Annotated[
        str | None, typer.Option(metavar="REV", help="The revision to plan; by default the working tree.")
    ] = None,
    users: Annotated[
        str | None,
        typer.Option(
            help="A CSV, TSV, JSONL or Parquet file, `mirror` for its assignments, `usage` or postgresql://… "
            "for everybody in usage_logs, or how many to make up."
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(help="The file's column with the targeting key.")] = None,
    environment: Annotated[
        str, typer.Option(envvar="ENVIRONMENT", help="Of users without one.")
    ] = "production",
    settings: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:CLASS", help="A settings class to import that must go on fitting."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The moment of the plan, ISO 8601; by default now."),
    ] = None,
    max_moved: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE", help="Fail when one flag moves more of the users, now or later, such as 2%."
        ),
    ] = None,
    allow_reshuffle: Annotated[
        bool, typer.Option("--allow-reshuffle", help="Let users of a running experiment lose their arm.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the plan here, for `windsock apply`.")] = None,
    who: Annotated[Path | None, typer.Option(help="Write every user who moves into this CSV file.")] = None,
    form: Annotated[PlanForm, typer.Option("--format", help="How to write the plan.")] = PlanForm.TEXT,
    database_url: DatabaseUrl = None,
) -> None:
    """Plan a change: its steps, and who gets what else, now and later. Exit 0 nothing, 3 changes, 1 findings.

    Example: windsock plan --against origin/main --users users.parquet --max-moved 2%
    """
    named = paths or [DEFAULT_FOLDER]
    limits = Limits(None if max_moved is None else parse_share(max_moved), allow_reshuffle)
    repository = Repository()
    before = repository.files_at(against, named)
    after = repository.files_at(head, named) if head is not None else read_files(named)
    if head is None and (dirty := repository.uncommitted(named)):
        note(f"planned from the working tree, with {count(len(dirty), 'uncommitted file')}")
    declarations = [each.__windsock__.declaration for each in settings_classes(settings or ())]
    with _population(users, key, environment, database_url) as population, _written(who) as on_moved:
        request = PlanRequest(
            repository.resolve(against),
            before,
            after,
            _told(population),
            declarations,
            limits,
            time.time() if at is None else moment(at).timestamp(),
        )
        plan = make(request, on_moved)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if out is not None:
        write_bytes(out, dump(plan).encode())
    _show(plan, form)
    if plan.findings:
        raise typer.Exit(EXIT_ERROR)
    if plan.steps:
        raise typer.Exit(EXIT_CHANGES)


@contextmanager
def _population(
    users: str | None, key: str | None, environment: str, database_url: str | None
) -> Iterator[Population]:
    if users is None or users.isdecimal():
        yield synthetic(_MADE_UP if users is None else int(users), environment)
    elif users == "mirror":
        yield assigned(flag_set(read_files([DEFAULT_FOLDER / MIRROR_FOLDER])), environment)
    elif users == "usage" or users.startswith(_POSTGRES):
        if user_id_key() is not None:
            raise ConfigurationError(
                "--users: usage_logs has hashes of the user ids (WINDSOCK_USER_ID_KEY), and flags see the "
                "ids; name a file that has them"
            )
        with database(database_url if users == "usage" else users) as url:
            yield exposed(url)
    else:
        yield from_file(Path(users), environment, key)


def _told(population: Population) -> Population:
    """The population, counted on the terminal while it is evaluated; in a pipe or a log nothing is."""
    if not sys.stderr.isatty():
        return population

    def batches() -> Iterator[Sequence[Context]]:
        count = 0
        for batch in population.batches():
            count += len(batch)
            print(f"\r{count:,} users", end="", file=sys.stderr, flush=True)
            yield batch

    return Population(population.description, batches)


def _show(plan: Plan, form: PlanForm) -> None:
    if form is PlanForm.JSON:
        print(dump(plan), end="")
        return
    if form is PlanForm.MARKDOWN:
        print("\n".join(markdown(plan)))
        return
    for line in text(plan):
        say(line)
    for finding in plan.findings:
        warn(finding)
    note(f"{plan.effect}; {plan.population}; against {plan.base[:12]}")


@contextmanager
def _written(path: Path | None) -> Iterator[Callable[[Moved], None] | None]:
    if path is None:
        yield None
        return
    try:
        with disk.replacing(path) as data:  # half a list would look like a whole one
            file = io.TextIOWrapper(data, encoding="utf-8", newline="")
            writer = csv.writer(file)
            writer.writerow(("flag", "user", "before", "after", "reason"))
            yield lambda moved: writer.writerow(astuple(moved))
            file.detach()  # flushes, and leaves the file to be closed by its owner
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be written: {error.strerror}") from error
