"""Stores a decision's snapshot in the database, beside the exposures."""

import json
from typing import TYPE_CHECKING

from windsock.errors import ConfigurationError
from windsock.experiments.decision import State
from windsock.postgres.migrations import connect
from windsock.postgres.queries import load_queries
from windsock.text import one_line

if TYPE_CHECKING:
    from windsock.experiments.result import Result


def refuse_undecidable(result: "Result") -> None:
    """Raise if nothing may be decided.

    Raises:
        ConfigurationError: The analysis is a preview, the experiment has no document, or its declaration is
            not that of the recorded looks.
    """
    if result.analysis.collected.preview:
        raise ConfigurationError(
            f"{result.decision.sentence} Leave out --at, or name a time that has passed."
        )
    if result.analysis.collected.since.changes or result.decision.state is State.NOT_DECLARED:
        raise ConfigurationError(result.decision.sentence)


def keep(result: "Result", url: str) -> None:
    """Store a decision's input in `windsock.analysis_snapshots`.

    Args:
        result: The analysis and its decision.
        url: The PostgreSQL database, with a user that may insert into that table.

    Raises:
        ConfigurationError: It is not a PostgreSQL database, or may not be written to; or nothing may
            be decided (`refuse_undecidable`).
        UnreachableError: It does not answer.
    """
    refuse_undecidable(result)
    import psycopg  # noqa: PLC0415 - an extra

    if "://" not in url:
        raise ConfigurationError(f"{url}: a snapshot is kept in PostgreSQL; write it to a file instead")
    read = json.loads(result.snapshot())
    experiment, collected = result.analysis.declared.experiment, result.analysis.collected
    row = {
        "experiment": experiment.name,
        "version": experiment.version,
        "environment": collected.environment,
        "taken_at": collected.now,
        "decision": result.decision.state.value,
        "declared": json.dumps(read["declared"]),
        "collected": json.dumps(read["collected"]),
    }
    with connect(url) as connection:
        try:
            connection.execute(load_queries("windsock.experiments.data", "queries.sql")["keep_snapshot"], row)
        except psycopg.Error as error:
            raise ConfigurationError(f"the snapshot cannot be kept: {one_line(error)}") from error
