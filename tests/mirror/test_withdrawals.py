"""Values that failed in use are left out of the documents, for every language."""

import psycopg
import pytest
from tests.waiting import eventually

from windsock.healing.postgres_board import PostgresBoard
from windsock.healing.quarantine import Outbox, Withdrawal
from windsock.settings.place import fingerprint


@pytest.fixture
def board(world):
    board = PostgresBoard(world.url)
    yield board
    board.close()


def withdrawal(config, flag="teacher.profile", field="reasoning_model", value="typo"):
    return Withdrawal(flag, config, field, fingerprint(value), None, "a test")


def test_a_withdrawn_value_leaves_the_documents_and_comes_back(world, watching, board):
    config = world.configuration("typo", {"reasoning_model": "typo", "temperature": 0.2})
    user = world.user(config)
    watching(world.mirror(poll_seconds=30))
    eventually(lambda: world.served()[user]["reasoning_model"] == "typo")
    board.exchange(Outbox(withdrawn=(withdrawal(config),)))
    eventually(lambda: world.served()[user] == {"temperature": 0.2})
    board.exchange(Outbox(lifted=(withdrawal(config),)))
    eventually(lambda: world.served()[user]["reasoning_model"] == "typo")


def test_a_value_that_changes_is_served(world, watching, board):
    config = world.configuration("typo", {"reasoning_model": "typo"})
    user = world.user(config)
    board.exchange(Outbox(withdrawn=(withdrawal(config),)))
    watching(world.mirror())
    eventually(lambda: world.served()[user] == {})
    world.execute(
        """update app_configurations set settings = '{"reasoning_model": "gpt-4o"}' where id = %s""", config
    )
    eventually(lambda: world.served()[user] == {"reasoning_model": "gpt-4o"})


def test_several_flags_in_one_configuration(world, board):
    settings = {"teacher": {"model": "typo"}, "search": {"model": "typo"}}
    user = world.user(world.configuration("both", settings))
    ((config,),) = world.execute("select config_id::text from profiles where id = %s", user)
    board.exchange(Outbox(withdrawn=(withdrawal(config, "search.profile", "model"),)))
    world.mirror(flags=("teacher", "search")).once()
    assert world.served("teacher.profile")[user] == {"model": "typo"}
    assert world.served("search.profile")[user] == {}


def test_what_expired_is_served(world, board):
    config = world.configuration("typo", {"reasoning_model": "typo"})
    user = world.user(config)
    board.exchange(Outbox(withdrawn=(withdrawal(config),)))
    world.execute("update windsock.withdrawals set expires_at = now()")
    world.mirror().once()
    assert world.served()[user] == {"reasoning_model": "typo"}


def test_a_running_mirror_notices_that_one_expires(world, watching, board):
    config = world.configuration("typo", {"reasoning_model": "typo"})
    user = world.user(config)
    board.exchange(Outbox(withdrawn=(withdrawal(config),)))
    watching(world.mirror(poll_seconds=0.2))
    eventually(lambda: world.served()[user] == {})
    world.execute("update windsock.withdrawals set expires_at = now() + interval '1 second'")
    eventually(lambda: world.served()[user] == {"reasoning_model": "typo"})


def test_what_is_withdrawn_of_a_flag_in_git_is_not_the_mirrors(world, watching, board, messages):
    user = world.user(world.seed)
    watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: user in world.served())
    board.exchange(Outbox(withdrawn=(withdrawal("on", flag="teacher"), withdrawal("on"))))
    bob = world.user(world.seed)
    eventually(lambda: set(world.served()) == {user, bob})
    assert not messages()


def test_a_withdrawn_value_is_left_out_of_the_last_good_settings_too(world, watching, board):
    """A row that turned bad keeps its last good settings; a value of those may fail in use all the same."""
    config = world.configuration("typo", {"reasoning_model": "typo", "temperature": 0.2})
    user = world.user(config)
    watching(world.mirror())
    eventually(lambda: user in world.served())
    world.execute("update app_configurations set settings = '[]' where id = %s", config)
    board.exchange(Outbox(withdrawn=(withdrawal(config),)))
    eventually(lambda: world.served()[user] == {"temperature": 0.2})


def test_the_roles_can_do_their_part_and_no_more(world, board):
    for role, statement in [
        ("windsock_mirror", "select * from windsock.withdrawals"),
        ("windsock_writer", "select * from windsock.withdrawals"),
        ("windsock_writer", "delete from windsock.faults"),
    ]:
        world.execute(f"set role {role}")
        world.execute(statement)
        world.execute("reset role")
    for role, statement in [
        ("windsock_mirror", "delete from windsock.withdrawals"),
        ("windsock_mirror", "select * from windsock.faults"),
        ("windsock_writer", "delete from windsock.withdrawals"),
        ("windsock_writer", "select * from windsock.change_log"),
    ]:
        world.execute(f"set role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            world.execute(statement)
        world.execute("reset role")


def test_the_writer_s_role_can_exchange(world, role, postgres):
    world.execute(f"grant windsock_writer to {role}")
    board = PostgresBoard(
        world.url.replace("postgres@", f"{role}@") if "postgres@" in world.url else f"{world.url}&user={role}"
    )
    config = world.seed
    assert board.exchange(Outbox(withdrawn=(withdrawal(config),)))
    board.close()
