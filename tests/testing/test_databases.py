"""The fixture `windsock_postgres`: each test has a migrated database of its own, and nothing stays behind."""

import psycopg
import pytest

import windsock
from windsock.usage.reading import Selection, read


class Coach(windsock.Settings, flag="database.coach"):
    top_k: int = 10


@pytest.mark.parametrize("turn", [1, 2])
def test_usage_goes_to_a_database_that_no_other_test_sees(windsock_postgres, tmp_path, turn):
    with windsock.start(flags=tmp_path, usage=windsock_postgres), windsock.request(user_id="ada"):
        assert Coach.for_user("ada").top_k == 10
    with psycopg.connect(windsock_postgres) as connection:
        assert [row.user_id for row in read(connection, Selection())] == ["ada"]


def test_a_database_is_gone_after_its_test_also_with_a_connection_left_open(windsock_databases):
    with windsock_databases.fresh("template1") as url:
        left = psycopg.connect(url)
        name = left.info.dbname
    with psycopg.connect(windsock_databases.server.url) as connection:
        assert connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None
    left.close()
