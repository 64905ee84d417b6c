"""No new migration makes a function that a caller can redirect, or that everybody may execute."""

import re
from pathlib import Path

import pytest
from tests.migrations.qualified import problems

from windsock.postgres.migrations import find_folder

# Applied in databases, so their texts stay as they are; 20260222000023 replaces the functions that they made.
SUPERSEDED = (
    "20260221000024_dynamic_config_tables.sql",
    "20260222000001_windsock_config_reference.sql",
    "20260222000003_windsock_private_tables.sql",
    "20260222000005_windsock_change_triggers.sql",
    "20260222000006_windsock_roles.sql",
    "20260222000007_windsock_learning_config.sql",
    "20260222000008_windsock_quarantine.sql",
    "20260222000010_windsock_history.sql",
    "20260222000012_windsock_lift_changed.sql",
    "20260222000020_windsock_api_role.sql",
    "20260222000021_windsock_api_wakes_mirror.sql",
)
EXAMPLES = Path(__file__).parents[2] / "examples"
SUPERSEDED_EXAMPLES = (
    "20260301000002_ad_learning_winners.sql",
    "20260301000005_ad_learning_index.sql",
    "20260301000006_ad_learning_roles.sql",
)
FILES = [
    *find_folder().glob("*.sql"),
    *EXAMPLES.glob("*/migrations/*.sql"),
    *(
        path for path in EXAMPLES.glob("*/db/*.sql") if not re.search(r"%(\(\w+\))?s", path.read_text())
    ),  # those are queries
]


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(FILES) if path.name not in SUPERSEDED + SUPERSEDED_EXAMPLES],
    ids=lambda path: path.stem,
)
def test_a_migration_names_everything_in_full(path):
    assert problems(path) == []


@pytest.mark.parametrize("name", SUPERSEDED + SUPERSEDED_EXAMPLES)
def test_a_superseded_migration_is_one_that_the_rules_refuse(name):
    """So the list can't grow a file that never needed to be in it."""
    (path,) = (path for path in FILES if path.name == name)
    assert problems(path)


GOOD = """create function windsock.f(a pg_catalog.text) returns pg_catalog.text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    b pg_catalog.text := pg_catalog.upper(a);
begin
    with c as (select name from windsock.api_tokens) select c.name into b from c;
    return b;
end $$;
revoke all on function windsock.f(pg_catalog.text) from public;
"""


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("a pg_catalog.text)", "a text)", "type text has no schema"),
        ("returns pg_catalog.text", "returns text", "type text has no schema"),
        ("b pg_catalog.text", "b text", "type text has no schema"),
        ("pg_catalog.upper(a)", "upper(a)", "function upper() has no schema"),
        ("windsock.api_tokens", "api_tokens", "relation api_tokens has no schema"),
        ("return b;", "return b::text;", "type text has no schema"),
        ("return b;", "b := length(b); return b;", "function length() has no schema"),
        ("return b;", "execute format('select %L', b); return b;", "function format() has no schema"),
        ("windsock.f(a", "f(a", "function f() has no schema"),
        ("set search_path = pg_catalog, pg_temp", "", "lacks: set search_path"),
        ("pg_catalog, pg_temp", "''", "lacks: set search_path"),
        ("pg_catalog, pg_temp", "pg_temp, pg_catalog", "lacks: set search_path"),
        ("from public", "from windsock_api", "revoke all on function windsock.f(…) from public"),
        (
            "revoke all on function windsock.f(",
            "revoke all on function windsock.g(",
            "revoke all on function",
        ),
    ],
)
def test_what_a_migration_may_not_do(tmp_path, before, after, problem):
    path = tmp_path / "1_f.sql"
    path.write_text(GOOD)
    assert problems(path) == []
    path.write_text(GOOD.replace(before, after, 1))
    assert any(problem in each for each in problems(path)), problems(path)
