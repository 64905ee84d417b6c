"""Detect tables that use windsock's names but differ from its own tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from windsock.postgres.queries import load_queries

if TYPE_CHECKING:
    import psycopg

TEXT = ("text", "character varying")
TIME = ("timestamp with time zone",)
NUMBER = ("double precision", "numeric")


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table's required shape.

    Attributes:
        table: Its name, including the schema.
        version: The migration that creates it.
        columns: The types that each column may have; empty for any type.
        optional: The same for columns that the migration adds if they're missing.
        keys: Columns that must be unique, each by itself.
        is_ours: Whether nobody but a trusted role may own it: whoever owns a table can run code as every role
            that writes to it.
    """

    table: str
    version: str
    columns: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    is_ours: bool = True


LEDGER = TableShape("supabase_migrations.schema_migrations", "", {"version": TEXT}, is_ours=False)
PROFILES = TableShape(
    "public.profiles", "20260221000024", {"id": ()}, {"config_id": ("uuid",)}, is_ours=False
)
CONFIGURATIONS = TableShape(
    "public.app_configurations",
    "20260221000024",
    {
        "id": ("uuid",),
        "name": TEXT,
        "description": TEXT,
        "settings": ("jsonb",),
        "is_active": ("boolean",),
        "created_at": (*TIME, "timestamp without time zone"),
        "updated_at": (*TIME, "timestamp without time zone"),
    },
    keys=("id", "name"),
)
USAGE = TableShape(
    "public.usage_logs",
    "20260222000002",
    {
        "id": ("uuid",),
        "requested_at": TIME,
        "user_id": TEXT,
        "request_id": TEXT,
        "environment": TEXT,
        "flag": TEXT,
        "variant": TEXT,
        "config_id": ("uuid",),
        "revision": TEXT,
        "reason": TEXT,
        "values": ("jsonb",),
        "healed": ("jsonb",),
        "latency_ms": NUMBER,
        "input_tokens": ("bigint", "numeric"),
        "output_tokens": ("bigint", "numeric"),
        "cost": ("numeric",),
        "trace_id": TEXT,
    },
)
# It may be the application's: what the mirror needs of its columns, it checks where it writes them.
BASE_VALUES = TableShape("public.learning_config", "20260222000007", {})
ALL = (PROFILES, CONFIGURATIONS, USAGE, BASE_VALUES)


def differences(connection: "psycopg.Connection", shape: TableShape) -> str:
    """Describe how a table differs; empty if it fits or doesn't exist."""
    types = _types(connection, shape)
    return "; ".join(misfits(shape.columns, types)) if types else ""


def refusal(connection: "psycopg.Connection", shape: TableShape) -> str:
    """Describe why migrations can't use what has a table's name; empty if they can, or it doesn't exist."""
    query = load_queries("windsock.postgres", "ledger.sql")["relation"]
    found = connection.execute(query, {"table": shape.table}).fetchone()
    if found is None:
        return ""
    kind, unique, owner, maker = found
    if kind != "table":
        return f"it is a {kind}"
    if owner and shape.is_ours:
        return f"it belongs to {owner}, whose triggers would run as you; if they may, take it over first"
    if maker:
        return f"the type of its id belongs to {maker}, whose casts would run as you"
    types = _types(connection, shape)
    present = {column: allowed for column, allowed in shape.optional.items() if column in types}
    wrong = misfits({**shape.columns, **present}, types)
    return "; ".join([*wrong, *(f"{key} is not unique" for key in shape.keys if key not in unique)])


def id_type(connection: "psycopg.Connection") -> str | None:
    """The type of users' ids in `profiles`, as SQL spells it; None if there's no such column."""
    found = _types(connection, PROFILES).get("id")
    return "uuid" if found == '"uuid"' else found  # quote_all_identifiers


def _types(connection: "psycopg.Connection", shape: TableShape) -> dict[str, str]:
    query = load_queries("windsock.postgres", "ledger.sql")["columns"]
    return dict(connection.execute(query, {"table": shape.table}).fetchall())


def misfits(columns: Mapping[str, tuple[str, ...]], types: Mapping[str, str]) -> list[str]:
    """Describe how each column differs.

    Args:
        columns: The types that each column may have, the usual one first; empty for any type.
        types: The existing columns, with their types as named by `format_type`.
    """
    types = {column: kind.replace('"', "") for column, kind in types.items()}  # quote_all_identifiers
    return [
        f"{column} is {types[column]}, not {allowed[0]}" if column in types else f"no column {column}"
        for column, allowed in columns.items()
        if column not in types or (allowed and types[column] not in allowed)
    ]
