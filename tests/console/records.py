"""Rows that make a console look used."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.console.conftest import ADA, BOB, WARM

from windsock.mirror import profiles
from windsock.mirror.profiles import ProfileRow

NAMES = ("warm", "careful", "long answers")


def fill(connection, requests=400):
    """Profiles, changes and requests of the last two days."""
    careful = ProfileRow({"temperature": 0.2, "model": "large"}, "For exams")
    if not profiles.exists(connection, "careful"):
        profiles.save(connection, "careful", None, careful, "Ann")
        profiles.save(
            connection,
            "careful",
            careful,
            ProfileRow({"temperature": 0.1, "model": "large"}, "For exams"),
            "Bo",
        )
    now = datetime.now(UTC)
    connection.execute(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at) values"
        " ('teacher.profile', %s, 'model', 'abc', %s, 'failed in 5 requests: no such model', now() + interval '50 min')"
        " on conflict do nothing",
        [str(WARM), '"huge"'],
    )
    for number in range(5):
        connection.execute(
            "insert into windsock.faults (id, flag, variant, field, fingerprint, value, error, request_id) values"
            " (gen_random_uuid(), 'teacher.profile', %s, 'model', 'abc', %s, '404: no such model: huge', %s)",
            [str(WARM), '"huge"', f"r{number}"],
        )
    with connection.cursor().copy(
        "copy usage_logs (id, requested_at, user_id, request_id, environment, flag, variant, config_id, revision, reason,"
        ' "values", healed, latency_ms, input_tokens, output_tokens, cost, status, error_class, answered_model) from stdin'
    ) as copy:
        for number in range(requests):
            own = number % 3 == 0
            failed = number % 41 == 0
            healed = (
                [{"field": "model", "failed_value": "huge", "error": "no such model", "fell_to": "small"}]
                if number % 23 == 0
                else []
            )
            copy.write_row(
                (
                    UUID(int=10_000 + number), now - timedelta(minutes=7 * number), str(ADA if own else BOB), f"r{number}",
                    "production", "teacher", str(WARM) if own else "production", WARM if own else None, "5f3c2a1b9d0e",
                    "TARGETING_MATCH", json.dumps({"temperature": 1.1 if own else 0.5, "model": "small"}), json.dumps(healed),
                    200 + (number * 37) % 900, 300 + number % 70, 80 + number % 50, 0.0021, "error" if failed else "ok",
                    "TimeoutError" if failed else None, "small-2026-04" if number % 5 else "large-2026-01",
                )
            )  # fmt: skip


def fill_thousands(connection):
    """Ten thousand profiles, users, changes and requests."""
    connection.execute(
        "insert into app_configurations (id, name, settings) select gen_random_uuid(), 'profile ' || n,"
        " '{\"temperature\": 1}' from generate_series(1, 10000) n"
    )
    connection.execute("insert into profiles select gen_random_uuid() from generate_series(1, 10000)")
    connection.execute(
        "insert into windsock.profile_changes (action, profile, before, after, actor) select 'edit', 'profile ' || n,"
        " '{}', '{\"settings\": {}}', 'x' from generate_series(1, 10000) n"
    )
    fill(connection, 10_000)
