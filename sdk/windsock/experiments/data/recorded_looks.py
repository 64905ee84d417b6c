"""The first recorded look of an experiment's version, to notice that its declaration has changed since."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import ibis
from pydantic import TypeAdapter, ValidationError

from windsock.errors import ConfigurationError
from windsock.experiments.changes import changes
from windsock.experiments.data.sources import in_utc, with_columns
from windsock.experiments.data.warehouse import Warehouse, utc
from windsock.experiments.reading import DeclaredExperiment
from windsock.text import escaped, printable

SNAPSHOTS: Final = "windsock.analysis_snapshots"
_LONGEST: Final = 200
"""Characters of what is wrong with a recorded declaration."""

_NOT_A_DECLARATION: Final = frozenset(
    {"json_invalid", "dataclass_type", "model_type", "dict_type", "missing"}
)
"""How pydantic calls what isn't even the outline of a declaration."""

_DECLARED: Final[TypeAdapter[DeclaredExperiment]] = TypeAdapter(DeclaredExperiment)


@dataclass(frozen=True, slots=True)
class SinceFirstLook:
    """What has changed since the first recorded look of a version, on which its error promise rests.

    Attributes:
        looked_at: When that look was; None if none is recorded.
        changes: What differs now, in words.
        unread: Why recorded looks can't be compared; empty if they were, or there are none.
    """

    looked_at: datetime | None = None
    changes: tuple[str, ...] = ()
    unread: str = ""


def since_first_look(
    warehouse: Warehouse, declared: DeclaredExperiment, environment: str, now: datetime
) -> SinceFirstLook:
    """Compare a declaration with that of the first look recorded by `windsock experiment decide --record`.

    Args:
        warehouse: Where the table of recorded looks may be.
        declared: The experiment as it is declared now.
        environment: The environment whose looks count.
        now: Later looks are ignored.
    """
    table = warehouse.find(SNAPSHOTS)
    if table is None:
        return SinceFirstLook()
    experiment = declared.experiment
    try:
        table = with_columns(table, SNAPSHOTS, "experiment", "version", "environment", "declared")
        taken = table.mutate(at=in_utc(table, "taken_at", SNAPSHOTS))
        looks = taken.filter(
            taken.experiment == experiment.name,
            taken.version == experiment.version,
            taken.environment == environment,
            taken.at <= ibis.literal(now, type="timestamp('UTC')"),
        )
        first = looks.order_by("at").select("at", declared=looks.declared.cast("string")).limit(1)
        rows = warehouse.rows(first, SNAPSHOTS)
    except ConfigurationError as error:
        return SinceFirstLook(unread=str(error).partition("\n")[0])
    if not rows:
        return SinceFirstLook()
    looked_at = utc(rows[0]["at"])
    try:
        then = _DECLARED.validate_json(str(rows[0]["declared"]))
    except ValidationError as error:
        return SinceFirstLook(looked_at, unread=f"that of {looked_at:%Y-%m-%d} holds {_refused(error)}")
    return SinceFirstLook(looked_at, changes(then, declared))


def _refused(error: ValidationError) -> str:
    """What a row holds: something else, or a declaration from before one of today's rules."""
    first, *_ = error.errors(include_url=False, include_input=False)
    if first["type"] in _NOT_A_DECLARATION and len(first["loc"]) <= 1:
        return "no declaration"
    where = ".".join(map(str, first["loc"]))
    reason = first["msg"].removeprefix("Value error, ")
    return f"a declaration that today's rules refuse ({escaped(printable(f'{where}: {reason}', _LONGEST))})"
