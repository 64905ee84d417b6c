"""`windsock migrate`: bring the database's tables up to date."""

from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._database import DatabaseUrl, database
from windsock.cli._say import note, say
from windsock.postgres.migrations import (
    MigrationState,
    connect,
    inspect,
    migrate,
    read_migrations,
)
from windsock.postgres.roles import missing_roles

_SAMPLE = "dynamic_config_tables"  # the migration that brings the sample profile

_RESTORING = "see 'Restoring a dump' in docs/migrations.md"


def command(
    database_url: DatabaseUrl = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="A folder of your own that holds the database's whole history (such as supabase/migrations)."
        ),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="List every migration and change nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be applied.")] = False,
) -> None:
    """Apply the pending SQL migrations, each in a transaction, recorded in the Supabase CLI's ledger.

    Example: windsock migrate --dry-run --database-url postgresql://…
    """
    migrations = read_migrations(folder)
    with database(database_url) as url, connect(url) as connection:
        if status or dry_run:
            for entry in inspect(connection, migrations, whole_history=folder is not None):
                if status or entry.state is MigrationState.PENDING:
                    say(f"{entry.version}  {entry.state:<8}  {entry.name}")
            return
        applied = migrate(connection, migrations, whole_history=folder is not None)
        lacking = missing_roles(connection)
    for migration in applied:
        say(f"applied {migration.path.name}")
    if any(migration.name == _SAMPLE for migration in applied):
        note(
            "the profile experimental_v1 is a sample; in production take it out of service: "
            "windsock profile edit experimental_v1 --deactivate"
        )
    if lacking:
        note(f"{lacking}. After restoring a dump, or without CREATEROLE: {_RESTORING}")
    if not applied:
        say("nothing to apply: the database is up to date")
