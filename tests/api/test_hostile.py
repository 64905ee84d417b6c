"""What somebody with a token, or without one, can do to the service beside the API."""

import asyncio
import json
import shutil
import threading
from typing import Any

import psycopg
import pytest
from tests import sent_in_part
from tests.api.conftest import PATH
from tests.processor import at_most
from tests.waiting import eventually

from windsock import disk
from windsock.api import Role, body, create_token, door, store
from windsock.api.checking import Mistake, parse
from windsock.api.rates import BURST_SECONDS, Rates
from windsock.flagfiles import locking
from windsock.nested import nest
from windsock.postgres.queries import load_queries


def test_a_body_of_repeated_keys_is_refused_quickly():
    body = b"{" + b",".join(b'"k%d": 1' % number for number in range(25_000)) + b', "k24999": 1}'
    with at_most(10):  # each key isn't compared with all the others
        fault = parse(body)
    assert isinstance(fault, Mistake)
    assert "'k24999' appears twice in one object" in fault.message


@pytest.mark.parametrize(
    "mistakes",
    [
        {f"k{number}": 1 for number in range(20_000)},
        {"limits": {f"k{number}": 1 for number in range(20_000)}},
        {"environments": {"development": {f"k{number}": 1 for number in range(20_000)}}},
        {"environments": {"development": {"extra": {f"\0{number}": 1 for number in range(9_000)}}}},
        {"extra": {"k" * 120_000: [2**60] * 5_000}},
        {"channels": [1] * 50_000},
    ],
    ids=["fields", "fields below", "an environment's fields", "its keys", "below a long key", "values"],
)
def test_a_body_of_nothing_but_mistakes_tells_the_first(client, flag_file, mistakes):
    before = flag_file.read_bytes()
    with at_most(10):
        answer = client.put(PATH, json=mistakes)
    assert answer.status_code == 422
    assert 1 <= len(answer.json()["detail"]) <= 100
    assert len(answer.content) < 450_000
    assert flag_file.read_bytes() == before


def test_a_change_that_is_made_is_no_failure_where_the_mirrors_cannot_be_asked(
    client, flag_file, connection, monkeypatch
):
    monkeypatch.setattr(door, "_DATABASE_SECONDS", 2.0)
    with connection.transaction():
        connection.execute("lock table windsock.mirrors in access exclusive mode")
        answer = client.put(PATH, json={"count": 7})
    assert json.loads(flag_file.read_bytes())["flags"]["thing"]["variants"]["production"]["count"] == 7
    assert answer.status_code == 200
    assert answer.json()["waits"] == ["whether a mirror is behind isn't known: the database didn't answer"]


@pytest.mark.parametrize("above", [[], ["environments", "development"]], ids=["base", "environment"])
def test_no_long_key_is_copied_for_each_wrong_value_below_it(client, flag_file, above):
    before, key = flag_file.read_bytes(), "k" * 20_000
    answer = client.put(PATH, json=nest((*above, "groups", key), [1] * 10_000))
    assert answer.status_code == 422
    (mistake,) = answer.json()["detail"]
    assert mistake["message"] == "the keys that lead here have more than 1000 characters"
    assert mistake["pointer"].startswith("/".join(["", *above, "groups", "kkk"]))
    assert flag_file.read_bytes() == before
    assert client.put(PATH, json=nest((*above, "groups", "k" * 900), ["x"])).status_code == 200


def test_long_keys_that_the_flag_file_has_already_are_one_mistake(client, flag_file):
    content = json.loads(flag_file.read_bytes())
    content["flags"]["thing"]["variants"]["production"]["groups"] = {"k" * 20_000: [1] * 10_000}
    flag_file.write_text(json.dumps(content))
    answer = client.put(PATH, json={"count": 7})
    assert answer.status_code == 422
    message = "the keys that lead to a list or an object in it have more than 1,000 characters"
    assert [each["message"] for each in answer.json()["detail"]] == [message]


@pytest.mark.slow
def test_a_body_that_changes_a_hundred_environments_too_much_is_refused_before_its_values_are_read(
    client, flag_file, monkeypatch
):
    client.put(PATH, json={"environments": {f"e{number}": {"count": 2} for number in range(98)}})
    before = flag_file.read_bytes()
    validated = []
    monkeypatch.setattr(store, "check_values", lambda *_: validated.append(1) or [])
    for changed in (
        {"channels": ["x"] * 50_000},
        {"channels": [1] * 80_000},
        {"extra": dict.fromkeys(map(str, range(9_000)))},
    ):
        answer = client.put(PATH, json=changed)
        assert answer.status_code == 422, changed.keys()
        message = "the change is too large for its row of the audit; change less at once"
        assert answer.json()["detail"] == [{"pointer": "", "message": message}]
    assert validated == []
    assert flag_file.read_bytes() == before


def test_no_more_environments_are_made_than_a_flag_can_have(client, flag_file):
    def put(numbers: range) -> Any:
        return client.put(PATH, json={"environments": {f"e{number}": {"count": 2} for number in numbers}})

    assert put(range(98)).status_code == 200  # two are there
    before = flag_file.read_bytes()
    for refused in (put(range(98, 99)), put(range(5_000))):
        assert refused.status_code == 422
        message = "there may be 100 at most; for more, use Git"
        assert refused.json()["detail"] == [{"pointer": "/environments", "message": message}]
    assert flag_file.read_bytes() == before
    assert put(range(3)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"extra": {"\\ud800": 1}}',
        b'{"environments": {"\\ud800": {}}}',
        b'{"\\ud800": 1, "\\ud800": 2}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"extra": {"a\\u0000": 1}}',
    ],
)
def test_half_a_surrogate_pair_is_refused_with_a_pointer(client, flag_file, body):
    before = flag_file.read_bytes()
    answer = client.put(PATH, content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["message"]
    assert flag_file.read_bytes() == before


def test_a_token_that_is_not_text_is_refused(client):
    assert client.get(PATH, headers={"Authorization": b"Bearer \xff\xfe"}).status_code == 401


def test_a_locked_token_table_holds_up_nothing_but_the_api(app, client, connection, database, monkeypatch):
    monkeypatch.setattr(door, "_PATIENCE_SECONDS", 60.0)  # all of them wait for the table here
    monkeypatch.setattr(door, "_DATABASE_SECONDS", 60.0)
    patient = {"patience": "set local statement_timeout = '60 s'"}
    monkeypatch.setattr("windsock.api.tokens._queries", load_queries("windsock.api", "queries.sql") | patient)
    app.add_api_route("/health", lambda: "well")
    with psycopg.connect(database) as locking:
        locking.execute("lock table windsock.api_tokens in access exclusive mode")
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(client.get(PATH).status_code)) for _ in range(60)
        ]
        for thread in threads:
            thread.start()
        waiting = (
            "select count(*) from pg_locks where not granted and relation = 'windsock.api_tokens'::regclass"
        )
        eventually(lambda: connection.execute(waiting).fetchone()[0])
        assert client.get("/health").status_code == 200
        assert answers == [], "it was answered while everything of the API waited for the table"
        locking.rollback()
        for thread in threads:
            thread.join()
    assert set(answers) == {200}


@pytest.mark.slow
def test_calls_do_not_wait_in_line_for_a_locked_token_table(client, database, monkeypatch):
    """Eight threads give up after three seconds each, so the last of sixty callers would wait for eighteen or so."""
    monkeypatch.setattr(door, "_PATIENCE_SECONDS", 0.1)
    with psycopg.connect(database) as locking:
        locking.execute("lock table windsock.api_tokens in access exclusive mode")
        answers: list[Any] = []
        threads = [threading.Thread(target=lambda: answers.append(client.get(PATH))) for _ in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        locking.rollback()
    assert {answer.status_code for answer in answers} == {503}
    in_line = [answer for answer in answers if "ahead of this one" in answer.json()["detail"]]
    assert len(in_line) >= 20
    assert all(answer.headers["Retry-After"] for answer in in_line)


def _sent_in_part(app, token, then):
    headers = {"Authorization": f"Bearer {token}"}
    return asyncio.run(sent_in_part.status_of(app, "PUT", PATH, headers, then))


def test_a_lock_on_the_folder_that_nobody_releases_is_a_503(client, flag_file, audit, monkeypatch):
    before = flag_file.read_bytes()
    monkeypatch.setattr(locking, "_SECONDS", 0.1)
    with disk.locked(flag_file.parent):
        answers = [client.put(PATH, json={"count": 7}) for _ in range(9)]  # one more than the API has threads
        assert client.get(PATH).status_code == 200
    assert {answer.status_code for answer in answers} == {503}
    assert "another process holds its lock" in answers[0].json()["detail"]
    assert (flag_file.read_bytes(), audit()) == (before, [])
    assert client.put(PATH, json={"count": 7}).status_code == 200


def test_a_folder_that_is_gone_is_a_503(client, flag_file):
    shutil.rmtree(flag_file.parent)
    assert [client.put(PATH, json={"count": 7}).status_code, client.get(PATH).status_code] == [503, 503]


def test_a_body_that_never_ends_is_given_up(app, client, tokens, monkeypatch):
    monkeypatch.setattr(body, "_SECONDS", 0.1)
    assert _sent_in_part(app, tokens["editor"], asyncio.Event().wait) == 408


def test_a_caller_that_leaves_within_its_body_is_no_error_of_the_service(app, client, tokens):
    assert _sent_in_part(app, tokens["editor"], sent_in_part.left) == 400


@pytest.mark.parametrize(
    "meanwhile",
    ["revoked_at = now()", "role = 'reader'", "flags = '{other}'", "token_sha256 = sha256('another')"],
    ids=["revoked", "a reader's", "for other flags", "replaced"],
)
def test_a_token_that_loses_its_right_within_the_body_writes_nothing(
    *, app, client, connection, tokens, flag_file, audit, meanwhile
):
    before = flag_file.read_bytes()

    async def then():
        connection.execute(f"update windsock.api_tokens set {meanwhile} where name = 'the editor'")
        return {"type": "http.request", "body": b'"count": 7}', "more_body": False}

    assert _sent_in_part(app, tokens["editor"], then) == 403
    assert (flag_file.read_bytes(), audit()) == (before, [])


def test_a_change_too_large_for_its_audit_says_so(client, flag_file, audit):
    before = flag_file.read_bytes()
    many = {"extra": {f"k{number}": 1e-300 for number in range(5000)}}  # the audit writes all the zeros
    answer = client.put(PATH, json=many)
    assert answer.status_code == 422
    assert "change less at once" in answer.json()["detail"][0]["message"]
    assert flag_file.read_bytes() == before
    assert audit() == []


def test_a_token_whose_name_the_audit_cannot_keep_says_so(client, connection, flag_file):
    before = flag_file.read_bytes()
    token = create_token(connection, "é" * 251, Role.ADMIN)
    answer = client.put(PATH, json={"threshold": 0.6}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 422
    message = "the token's name is longer than the 500 bytes that the audit has room for; use a shorter one"
    assert answer.json()["detail"] == [{"pointer": "", "message": message}]
    assert flag_file.read_bytes() == before


def test_a_rule_that_somebody_added_to_the_audit_is_no_mistake_in_the_change(
    client, connection, flag_file, caplog
):
    before = flag_file.read_bytes()
    connection.execute(
        "alter table windsock.configuration_audit add constraint weekdays_only check (false) not valid"
    )
    try:
        answer = client.put(PATH, json={"threshold": 0.6})
    finally:
        connection.execute("alter table windsock.configuration_audit drop constraint weekdays_only")
    assert (answer.status_code, flag_file.read_bytes()) == (503, before)
    assert "weekdays_only" in caplog.text


def test_a_database_that_stalls_is_a_503_in_time(client, database, flag_file, monkeypatch):
    monkeypatch.setattr(door, "_DATABASE_SECONDS", 0.3)
    before = flag_file.read_bytes()
    with psycopg.connect(database) as locking:
        locking.execute("lock table windsock.api_tokens in access exclusive mode")
        answer = client.put(PATH, json={"threshold": 0.6})  # the lock stays until it has answered
    assert (answer.status_code, flag_file.read_bytes()) == (503, before)
    assert "try again" in answer.json()["detail"]


def test_callers_that_ask_too_often_wait(client, monkeypatch):
    monkeypatch.setenv("CONFIGURATION_API_REQUESTS_PER_SECOND", "1")
    client.post(f"{PATH}/reload")
    answers = [client.get(PATH) for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["Retry-After"]) >= 1
    other = {"Authorization": "Bearer another"}
    assert client.get(PATH, headers=other).status_code == 401, "one token's budget is not another's"


def test_a_budget_refills_up_to_its_burst():
    now = [0.0]
    rates = Rates(lambda: now[0])

    def taken() -> int:
        count = 0
        while not rates.take(b"t", 2.0):
            count += 1
        return count

    assert taken() == 2 * BURST_SECONDS
    now[0] += 1.0
    assert taken() == 2
    now[0] += 1_000.0
    assert taken() == 2 * BURST_SECONDS
    assert 0 < rates.take(b"t", 2.0) <= 0.5


def test_a_variant_for_other_attributes_is_not_an_environment(client, flag_file):
    content = json.loads(flag_file.read_text())
    flag = content["flags"]["thing"]
    flag["variants"]["vip"] = {"threshold": 0.9}
    flag["targeting"]["if"][:0] = [{"==": [{"var": "tier"}, "vip"]}, "vip"]
    flag_file.write_text(json.dumps(content))
    assert set(client.get(PATH).json()["environments"]) == {"development", "staging"}
    answer = client.put(PATH, json={"environments": {"vip": {"threshold": 0.1}}})
    assert answer.status_code == 422
    assert client.put(PATH, json={"count": 7}).status_code == 200
    assert json.loads(flag_file.read_text())["flags"]["thing"]["variants"]["vip"]["threshold"] == 0.9


@pytest.mark.parametrize(
    ("rule", "environments"),
    [
        ({"if": [{"==": [{"var": "tier"}, "pro"]}, "production", "base"]}, set()),
        ({"if": [{"==": [{"var": "tier"}, "vip"]}, "vip", {"var": "environment"}]}, set()),
        ({"fractional": [{"var": "environment"}, ["vip", 50], ["base", 50]]}, set()),
        ({"if": [{"===": ["staging", {"var": ["environment", ""]}]}, "staging"]}, {"staging"}),
        ({"if": [{"in": [{"var": ["environment"]}, ["staging", "test"]]}, "staging"]}, {"staging"}),
        ({"if": [{"!=": [{"var": "environment"}, "production"]}, "base", "production"]}, {"production"}),
    ],
)
def test_what_an_environment_is_not_compared_with_is_none(client, flag_file, rule, environments):
    content = json.loads(flag_file.read_text())
    values = content["flags"]["thing"]["variants"]["production"]
    variants = dict.fromkeys(("base", "production", "staging", "vip"), values | {"threshold": 0.9})
    content["flags"]["thing"] |= {
        "variants": variants | {"base": values},
        "defaultVariant": "base",
        "targeting": rule,
    }
    flag_file.write_text(json.dumps(content))
    assert set(client.get(PATH).json()["environments"]) == environments


@pytest.mark.parametrize(
    "text",
    ["://a:" * 50_000, "x://" * 60_000 + ":b", "://a:b@" * 35_000],
    ids=["users", "colons", "passwords"],
)
def test_a_text_of_nothing_but_beginnings_of_urls_is_masked_at_once(client, text):
    with at_most(10):  # not by looking for the end of each
        answer = client.put(PATH, json={"name": text})
    assert answer.status_code == 200
    assert client.put(PATH, json={"name": "it"}).status_code == 200


@pytest.mark.parametrize("digits", [400, 4_301, 250_000])
def test_a_number_of_any_length_is_pointed_at(client, digits):
    answer = client.put(PATH, content=b'{"extra": {"size": [-1' + b"0" * digits + b"]}}")
    assert answer.status_code == 422
    assert answer.json()["detail"] == [
        {"pointer": "/extra/size/0", "message": "the number is too large for a double"}
    ]
