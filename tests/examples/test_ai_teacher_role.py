"""The AI Teacher's role in the database: it reads and charges wallets, and nothing else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from app.core.config import WalletOptions
from app.services.wallet import Refused, Wallets
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


@pytest.fixture
def wallets(role, tmp_path):
    options = WalletOptions(database_url=role, wallet_seconds=30, wallet_ledger=tmp_path / "owed.sqlite")
    wallets = Wallets(options)
    wallets.open()
    yield wallets
    wallets.close()


def test_it_reads_and_charges_wallets(wallets, sql, pupil, caplog):
    assert wallets.check(pupil) == "free"
    with wallets.charged(pupil, 3, on_credit=0):
        pass
    assert sql("select balance from wallets") == [(7,)]
    assert sql("select user_id, credits from wallet_charges") == [(pupil, 3)]
    assert caplog.text == ""


def test_a_failed_answer_costs_nothing(wallets, sql, pupil):
    def fail():
        with wallets.charged(pupil, 30, on_credit=0):
            assert sql("select balance from wallets") == [(0,)]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert sql("select balance from wallets") == [(10,)]
    assert sql("select credits from wallet_charges") == [(0,)]


def test_a_charge_that_is_sent_twice_is_taken_once(wallets, sql, pupil):
    statement = (DB / "charge_wallet.sql").read_text()
    charge = {"id": uuid4(), "user_id": pupil, "credits": 4}
    with psycopg.connect(wallets._pool.conninfo) as own:
        for _ in range(2):
            own.execute(statement, charge)
    assert sql("select balance from wallets") == [(6,)]


def test_a_charge_that_arrives_after_its_refund_takes_nothing(wallets, sql, pupil):
    charge = {"id": uuid4(), "user_id": pupil, "credits": 4}
    with psycopg.connect(wallets._pool.conninfo) as own:
        own.execute((DB / "give_back.sql").read_text(), charge)
        own.execute((DB / "charge_wallet.sql").read_text(), charge)
    assert sql("select balance from wallets") == [(10,)]


def test_forty_messages_at_once_get_what_the_balance_pays_for(wallets, sql, pupil):
    def message(_):
        try:
            with wallets.charged(pupil, 3, on_credit=0):
                return True
        except Refused:
            return False

    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(message, range(40))) == 4  # 3 + 3 + 3 + the last credit
    assert sql("select balance from wallets") == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "update wallets set tier = 'school'",
        "insert into wallets (user_id) values (gen_random_uuid())",
        "delete from wallets",
        "delete from wallet_charges",
        "update wallet_charges set user_id = gen_random_uuid()",
        "select settings from app_configurations",
        "update profiles set config_id = null",
        "delete from usage_logs",
        "create table public.mine ()",
    ],
)
def test_it_may_not(role, statement):
    with psycopg.connect(role) as own, pytest.raises(InsufficientPrivilege):
        own.execute(statement)
