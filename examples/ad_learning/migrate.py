"""Prepares a database: windsock's migrations and this system's own, in one ledger."""

from pathlib import Path

from windsock.postgres.migrations import connect, migrate, read_migrations

from . import config_loader, worker

OWN = Path(__file__).with_name("migrations")


def prepare(database_url: str) -> list[str]:
    """Apply what is pending; give the names of the files that were applied.

    Raises:
        MigrationError: A migration fails; what was applied before it stays.
    """
    with connect(database_url) as connection:
        applied = migrate(connection, [*read_migrations(), *read_migrations(OWN)])
    return [migration.path.name for migration in applied]


def main() -> None:
    """Prepare the database that the environment names."""
    applied = prepare(config_loader.database_url())
    for line in [f"applied {name}" for name in applied] or ["nothing to apply"]:
        print(line)  # noqa: T201 - a terminal program prints


if __name__ == "__main__":
    worker.program(main)
