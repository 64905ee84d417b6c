"""Detect tables that use windsock's names but differ from its own tables."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    """

    table: str
    version: str
    columns: Mapping[str, tuple[str, ...]]


PROFILES = TableShape("public.profiles", "20260221000024", {"id": ()})
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
ALL = (PROFILES, CONFIGURATIONS, USAGE)


def differences(connection: "psycopg.Connection", shape: TableShape) -> str:
    """Describe how a table differs; empty if it fits or doesn't exist."""
    query = load_queries("windsock.postgres", "ledger.sql")["columns"]
    types: dict[str, str] = dict(connection.execute(query, {"table": shape.table}).fetchall())
    if not types:
        return ""
    return "; ".join(misfits(shape.columns, types))


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
