"""The AI Teacher's role in the database: it reads and charges wallets, and nothing else."""

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from app.services.wallet import Standing, Wallets
from psycopg.errors import InsufficientPrivilege

DB = Path(__file__).parents[2] / "examples/ai_teacher/db"


@pytest.fixture
def role(database, sql):
    """The connection string of the service's own role."""
    for name in ("wallets", "role", "wallets", "role"):  # applied again, they change nothing
        sql((DB / f"{name}.sql").read_text())
    sql("alter role ai_teacher login")
    return f"{database}&user=ai_teacher"


@pytest.fixture
def pupil(role, sql):
    pupil = uuid4()
    sql("insert into profiles (id) values (%s)", pupil)
    sql("insert into wallets (user_id, balance) values (%s, 10)", pupil)
    return pupil


def test_it_reads_and_charges_wallets(role, sql, pupil, caplog):
    wallets = Wallets(role)
    wallets.open()
    try:
        assert wallets.check(pupil) == Standing("free")
        wallets.charge(pupil, 3)
    finally:
        wallets.close()
    assert sql("select balance from wallets") == [(7,)]
    assert caplog.text == ""


@pytest.mark.parametrize(
    "statement",
    [
        "update wallets set tier = 'school'",
        "insert into wallets (user_id) values (gen_random_uuid())",
        "delete from wallets",
        "select settings from app_configurations",
        "update profiles set config_id = null",
        "delete from usage_logs",
        "create table public.mine ()",
    ],
)
def test_it_may_not(role, statement):
    with psycopg.connect(role) as own, pytest.raises(InsufficientPrivilege):
        own.execute(statement)
