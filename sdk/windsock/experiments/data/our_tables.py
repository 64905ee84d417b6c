"""The types of windsock's own tables, wherever they were exported to: a file may have others, or none."""

from collections.abc import Iterable
from typing import Final

import ibis.expr.types as ir

TABLES: Final = frozenset(
    {
        "exposures", "usage_logs", "metric_events", "withdrawals", "experiment_assignments",
        "profile_history", "analysis_snapshots",
    }
)  # fmt: skip

TEXTS: Final = frozenset(
    {
        "answered_model", "arm", "config_id", "environment", "excluded", "experiment", "field", "fingerprint",
        "flag", "key_fingerprint", "name", "request_id", "status", "unit", "user_id", "variant",
    }
)  # fmt: skip
"""Columns of text: ids such as `0012` aren't numbers, and an arm may be called `true`."""

_NUMBERS: Final = frozenset(
    {"allocation", "cost", "input_tokens", "latency_ms", "output_tokens", "value", "version"}
)
_TIMES: Final = frozenset(
    {
        "changed_at", "expires_at", "first_exposed_at", "lifted_at", "occurred_at", "requested_at",
        "taken_at", "withdrawn_at",
    }
)  # fmt: skip


def is_ours(name: str) -> bool:
    """Whether a table is windsock's own, by its name with or without windsock's schema."""
    schema, _, bare = name.rpartition(".")
    return bare in TABLES and schema in ("", "windsock", "public")


def typed(table: ir.Table) -> ir.Table:
    """One of windsock's tables with the types that it has in PostgreSQL.

    A CSV file without rows knows no types, and a column that is empty is read as text or as numbers.
    """
    return table.mutate(
        **dict(_cast(table, TEXTS, "string")),
        **dict(_cast(table, _NUMBERS, "float64")),
        **dict(_cast(table, _TIMES, "timestamp('UTC')")),
    )


def _cast(table: ir.Table, columns: Iterable[str], wanted: str) -> Iterable[tuple[str, ir.Value]]:
    for name in columns:
        if name not in table.columns:
            continue
        kind = table[name].type()
        if kind.is_string() or kind.is_null() if wanted != "string" else not kind.is_string():
            yield name, table[name].cast(wanted)
