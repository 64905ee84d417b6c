"""The configuration API over HTTP: who may, what is refused and where, and what a change does."""

import contextlib
import json
import subprocess
import sys
import threading

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.api.conftest import PATH, Thing

import windsock
from windsock.api import Api, Role, configuration_router, create_token, door, revoke_token
from windsock.errors import ConfigurationError
from windsock.flagfiles import locking


@contextlib.contextmanager
def gone(connection, table):
    """Take a table of the API away for a while."""
    connection.execute(f"alter table windsock.{table} rename to gone")
    yield
    connection.execute(f"alter table windsock.gone rename to {table}")


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


class TestWhoMay:
    @pytest.mark.parametrize(
        "header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer windsock_\u00e9"]
    )
    @pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("PUT", PATH), ("POST", f"{PATH}/reload")])
    def test_without_a_token_every_call_is_refused(self, client, method, path, header):
        answer = client.request(method, path, headers={"Authorization": header.encode("latin-1")}, json={})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")

    def test_a_reader_reads(self, client, tokens, audit):
        reader = bearer(tokens[Role.READER])
        assert client.get(PATH, headers=reader).status_code == 200
        for answer, needed in (
            (client.put(PATH, headers=reader, json={"threshold": 0.6}), "admin or editor"),
            (client.post(f"{PATH}/reload", headers=reader), "admin"),
        ):
            assert answer.status_code == 403
            said = f"the token 'the reader' has the role reader; this needs {needed}"
            assert answer.json()["detail"] == said
        assert audit() == []

    def test_an_editor_changes_values_and_reloads_nothing(self, client, tokens, audit):
        editor = bearer(tokens[Role.EDITOR])
        assert client.put(PATH, headers=editor, json={"threshold": 0.6}).status_code == 200
        assert client.post(f"{PATH}/reload", headers=editor).status_code == 403
        assert [row["actor"] for row in audit()] == ["the editor"]

    def test_a_token_of_some_flags_changes_no_others(self, client, connection, audit):
        for name, flags, status in ("theirs", ["th"], 200), ("others", ["other", "thingy"], 403):
            token = bearer(create_token(connection, name, Role.EDITOR, flags))
            answer = client.put(PATH, headers=token, json={"threshold": 0.6})
            assert answer.status_code == status, answer.text
        assert [row["actor"] for row in audit()] == ["theirs"]

    def test_a_revoked_token_is_refused_at_once(self, client, connection):
        assert client.get(PATH).status_code == 200
        revoke_token(connection, "the admin")
        assert client.get(PATH).status_code == 401

    def test_tokens_are_kept_as_hashes(self, connection, tokens):
        dumped = connection.execute("select api_tokens::text from windsock.api_tokens").fetchall()
        assert len(dumped) == len(Role)
        assert not any(token in row for token in tokens.values() for (row,) in dumped)

    def test_a_name_is_taken_once_and_revoked_once(self, connection, tokens):
        with pytest.raises(ConfigurationError, match="'the admin' already"):
            create_token(connection, "the admin", Role.READER)
        with pytest.raises(ConfigurationError, match="needs a name"):
            create_token(connection, "", Role.READER)
        revoke_token(connection, "the admin")
        for name in ("nobody", "the admin"):
            with pytest.raises(ConfigurationError, match=f"no valid token is named '{name}'"):
                revoke_token(connection, name)

    def test_writing_is_off_unless_a_setting_switches_it_on(self, client, monkeypatch, flag_file):
        monkeypatch.delenv("CONFIGURATION_API_WRITABLE")
        windsock.reload()
        before = flag_file.read_bytes()
        answer = client.put(PATH, json={"threshold": 0.6})
        assert (answer.status_code, flag_file.read_bytes()) == (403, before)
        assert "CONFIGURATION_API_WRITABLE=true" in answer.json()["detail"]
        assert client.get(PATH).status_code == 200


class TestReading:
    def test_the_values_in_force_and_what_environments_override(self, client):
        answer = client.get(PATH)
        assert answer.json() == {
            "threshold": 0.5,
            "name": "it",
            "count": 1,
            "limits": {"low": 1, "high": 10},
            "channels": ["mail"],
            "extra": {},
            "groups": {},
            "token": "**********",
            "environments": {"development": {"limits": {"low": 5}}, "staging": {}},
        }

    def test_the_etag_follows_the_file_and_so_do_the_values_at_once(self, client, flag_file):
        first = client.get(PATH).headers["ETag"]
        flag_file.write_text(flag_file.read_text().replace('"threshold": 0.5', '"threshold": 0.9'))
        second = client.get(PATH)
        assert second.json()["threshold"] == 0.9
        assert second.headers["ETag"] != first

    def test_a_file_that_cannot_be_read_is_named(self, client, flag_file):
        flag_file.write_text("{")
        answer = client.get(PATH)
        assert answer.status_code == 503
        assert "thing.flagd.json:1:2" in answer.json()["detail"]


class TestChanging:
    def test_a_change_is_merged_written_served_and_audited(self, client, flag_file, audit):
        etag = client.get(PATH).headers["ETag"]
        answer = client.put(PATH, json={"limits": {"high": 20}, "threshold": 0.6}, headers={"If-Match": etag})
        assert answer.status_code == 200
        assert answer.json()["status"] == "updated"
        assert f'"{answer.json()["revision"]}"' == answer.headers["ETag"]
        assert windsock.wait_for(answer.json()["revision"], 30)
        assert answer.json()["shadowed"] == []
        assert answer.json()["config"] == client.get(PATH).json()
        assert answer.json()["config"]["limits"] == {"low": 1, "high": 20}
        assert (Thing.live().threshold, Thing.live().limits.high) == (0.6, 20)
        assert client.get(PATH).headers["ETag"] == answer.headers["ETag"] != etag
        written = json.loads(flag_file.read_bytes())
        assert written["flags"]["other"] == {
            "state": "ENABLED",
            "variants": {"on": True},
            "defaultVariant": "on",
        }
        (row,) = audit()
        assert (row["actor"], row["flag"], row["file"]) == ("the admin", "thing", str(flag_file))
        assert row["request"] == {"limits": {"high": 20}, "threshold": 0.6}
        assert row["changed"] == {
            "/threshold": [0.5, 0.6],
            "/limits/high": [10, 20],
            "/environments/development/threshold": [0.5, 0.6],
            "/environments/development/limits/high": [10, 20],
            "/environments/staging/threshold": [0.5, 0.6],
            "/environments/staging/limits/high": [10, 20],
        }
        assert (f'"{row["revision_before"]}"', f'"{row["revision_after"]}"') == (etag, answer.headers["ETag"])
        assert row["requested_at"] <= row["written_at"]

    def test_an_environment_keeps_what_it_overrides_and_follows_in_the_rest(self, client, flag_file):
        client.put(PATH, json={"limits": {"low": 2, "high": 12}})
        answer = client.put(PATH, json={"environments": {"staging": {"name": "stage"}}})
        assert answer.json()["config"]["environments"] == {
            "development": {"limits": {"low": 5}},
            "staging": {"name": "stage"},
        }
        variants = json.loads(flag_file.read_bytes())["flags"]["thing"]["variants"]
        assert variants["development"]["limits"] == {"low": 5, "high": 12}
        assert variants["staging"]["limits"] == {"low": 2, "high": 12}
        assert variants["production"]["name"] == "it"

    def test_an_environment_is_added_with_its_rule_and_follows_the_base(
        self, client, flag_file, audit, monkeypatch
    ):
        before = json.loads(flag_file.read_bytes())["flags"]["thing"]
        assert client.put(PATH, json={"environments": {"canary": {"threshold": 0.9}}}).status_code == 200
        answer = client.put(PATH, json={"limits": {"high": 12}})
        assert answer.json()["config"]["environments"]["canary"] == {"threshold": 0.9}
        assert Thing.live().threshold == 0.5
        flag = json.loads(flag_file.read_bytes())["flags"]["thing"]
        assert flag["variants"]["canary"]["limits"] == {"low": 1, "high": 12}
        assert flag["targeting"]["if"][:2] == [{"==": [{"var": "environment"}, "canary"]}, "canary"]
        assert flag["targeting"]["if"][2:] == before["targeting"]["if"]
        assert audit()[-2]["changed"]["/environments/canary/threshold"] == [None, 0.9]
        windsock.stop()
        monkeypatch.setenv("ENVIRONMENT", "canary")
        windsock.start(flags=flag_file.parent)
        assert (Thing.live().threshold, Thing.live().limits.high) == (0.9, 12)

    @pytest.mark.parametrize(
        ("targeting", "after"),
        [
            (None, {"if": [{"==": [{"var": "environment"}, "canary"]}, "canary"]}),
            (
                {"fractional": [["production", 1], ["staging", 1]]},
                {
                    "if": [
                        {"==": [{"var": "environment"}, "canary"]},
                        "canary",
                        {"fractional": [["production", 1], ["staging", 1]]},
                    ]
                },
            ),
        ],
    )
    def test_an_environment_is_added_before_any_rule(self, client, flag_file, targeting, after):
        changed = json.loads(flag_file.read_bytes())
        changed["flags"]["thing"]["targeting"] = targeting
        if targeting is None:
            del changed["flags"]["thing"]["targeting"]
        flag_file.write_text(json.dumps(changed))
        assert client.put(PATH, json={"environments": {"canary": {}}}).status_code == 200
        assert json.loads(flag_file.read_bytes())["flags"]["thing"]["targeting"] == after

    def test_a_variant_for_users_is_not_an_environment(self, client, flag_file):
        changed = json.loads(flag_file.read_bytes())
        changed["flags"]["thing"]["variants"]["bold"] = {"threshold": 0.6}
        flag_file.write_text(json.dumps(changed))
        answer = client.put(PATH, json={"environments": {"bold": {}}})
        assert answer.status_code == 422
        assert "variant for users" in answer.json()["detail"][0]["message"]

    @pytest.mark.parametrize(
        ("right_at", "trouble", "said"),
        [
            ("now()", "", None),
            ("now() - interval '1 hour'", "", "was last right 36"),
            ("now()", "no space left", "(no space left)"),
            ("null", "", "was last right never"),
        ],
    )
    def test_a_change_that_waits_for_the_mirror_says_so(self, client, connection, right_at, trouble, said):
        connection.execute("delete from windsock.mirrors")
        connection.execute(
            f"insert into windsock.mirrors values ('default', 'f', now(), {right_at}, %s)", [trouble]
        )
        answer = client.put(PATH, json={"threshold": 0.6})
        connection.execute("delete from windsock.mirrors")
        assert answer.status_code == 200
        waits = answer.json().get("waits")
        assert waits is None if said is None else said in waits[0]

    def test_a_change_survives_a_restart(self, client, flag_file):
        client.put(PATH, json={"threshold": 0.7})
        windsock.stop()
        windsock.start(flags=flag_file.parent)
        assert client.get(PATH).json()["threshold"] == 0.7

    def test_what_the_environment_overrides_is_named(self, client, monkeypatch):
        monkeypatch.setenv("THING_COUNTER", "9")
        monkeypatch.setenv("THING_LIMITS__LOW", "3")
        windsock.reload()
        answer = client.put(PATH, json={"count": 4, "limits": {"low": 2, "high": 12}, "name": "x"}).json()
        assert answer["shadowed"] == ["count", "limits.low"]
        assert answer["config"]["count"] == 9
        assert answer["config"]["limits"] == {"low": 3, "high": 12}

    def test_lists_are_replaced_and_an_empty_request_changes_nothing(self, client):
        assert client.put(PATH, json={"channels": []}).json()["config"]["channels"] == []
        before = client.get(PATH)
        answer = client.put(PATH, json={})
        assert (answer.status_code, answer.json()["config"]) == (200, before.json())
        assert answer.headers["ETag"] == before.headers["ETag"]

    def test_reload_answers_the_configuration_and_says_what_is_stale(self, client, flag_file, tmp_path):
        answer = client.post(f"{PATH}/reload")
        read = client.get(PATH)
        revision = read.headers["ETag"].strip('"')
        assert answer.json() == {"status": "reloaded", "revision": revision, "config": read.json()}
        (flag_file.parent / "broken.flagd.json").write_text("{")
        answer = client.post(f"{PATH}/reload")
        assert answer.json()["status"] == "stale"
        assert "broken.flagd.json" in answer.json()["reason"]


class TestRefusing:
    @pytest.mark.parametrize(
        ("request_", "pointer", "message"),
        [
            ({"threshold": 1.5}, "/threshold", "less than or equal to 1"),
            ({"threshold": "0.6"}, "/threshold", "valid number"),
            ({"count": 1.5}, "/count", "valid integer"),
            ({"count": True}, "/count", "valid integer"),
            ({"limits": {"low": -1}}, "/limits/low", "greater than or equal to 0"),
            ({"limits": {"low": 11}}, "/limits", "low must not be above high"),
            ({"limits": 3}, "/limits", "should be an object"),
            ({"channels": ["a", 2]}, "/channels/1", "valid string"),
            ({"treshold": 0.6}, "/treshold", "no such field; did you mean 'threshold'?"),
            ({"limits": {"a/b~c": 1}}, "/limits/a~1b~0c", "no such field"),
            ({"name": "a\0b"}, "/name", "U+0000"),
            ({"extra": {"a\0b": 1}}, "/extra/a\0b", "U+0000"),
            ({"extra": {"n": 2**53 + 1}}, "/extra/n", "2^53"),
            ({"environments": {"the moon": {}}}, "/environments/the moon", "letters, digits"),
            ({"environments": {"": {}}}, "/environments/", "letters, digits"),
            ({"environments": {"moon": {"nme": "x"}}}, "/environments/moon/nme", "did you mean 'name'?"),
            (
                {"environments": {"moon": {"threshold": 7}}},
                "/environments/moon/threshold",
                "less than or equal",
            ),
            ({"environments": {"production": {}}}, "/environments/production", "at the top level"),
            ({"environments": {"staging": 1}}, "/environments/staging", "an object"),
            ({"environments": []}, "/environments", "an object"),
            (
                {"environments": {"staging": {"nme": "x"}}},
                "/environments/staging/nme",
                "did you mean 'name'?",
            ),
            (
                {"environments": {"development": {"limits": {"high": 2}}}},
                "/environments/development/limits",
                "low must not be above high",
            ),
            # the base is right, and makes wrong what an environment overrides
            ({"limits": {"high": 4}}, "/environments/development/limits", "low must not be above high"),
        ],
    )
    def test_a_wrong_value_is_pointed_at_and_not_written(self, client, flag_file, request_, pointer, message):
        before = flag_file.read_bytes()
        answer = client.put(PATH, json=request_)
        assert answer.status_code == 422
        (fault,) = answer.json()["detail"]
        assert fault["pointer"] == pointer
        assert message in fault["message"]
        assert flag_file.read_bytes() == before

    def test_everything_wrong_is_reported_at_once(self, client, flag_file):
        content = json.loads(flag_file.read_text())
        content["flags"]["thing"]["state"] = "on"
        broken = json.dumps(content)
        flag_file.write_text(broken)
        request = {
            "threshold": 1.5,
            "treshold": 0.6,
            "name": "a\0b",
            "limits": {"low": 11, "hihg": 12},
            "channels": ["a", 2],
            "extra": {"fine": 1, "deep": [{"n": 2**53 + 1}]},
            "environments": {"the moon": {}, "staging": {"nme": "x", "count": "three"}},
        }
        answer = client.put(PATH, json=request)
        assert answer.status_code == 422
        assert sorted(fault["pointer"] for fault in answer.json()["detail"]) == [
            "/channels/1",
            "/environments/staging/count",
            "/environments/staging/nme",
            "/environments/the moon",
            "/extra/deep/0/n",
            "/flags/thing/state",
            "/limits",
            "/limits/hihg",
            "/name",
            "/threshold",
            "/treshold",
        ]
        assert flag_file.read_text() == broken

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "not JSON"),
            (b"[]", "must be a JSON object"),
            (b'{"threshold": NaN}', "NaN is not a JSON number"),
            (b'{"threshold": 1e400}', "too large for a double"),
            (b'{"name": "a", "name": "b"}', "'name' appears twice in one object"),
            (b'{"extra": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
            (b'{"name": "\xff"}', "not JSON"),
        ],
    )
    def test_a_body_that_is_not_a_configuration(self, client, flag_file, body, message):
        before = flag_file.read_bytes()
        answer = client.put(PATH, content=body)
        assert answer.status_code == 422
        assert message in answer.json()["detail"][0]["message"]
        assert flag_file.read_bytes() == before

    def test_a_value_that_is_too_deep(self, client):
        deep = 1
        for _ in range(20):
            deep = {"x": deep}
        answer = client.put(PATH, json={"extra": deep})
        assert answer.status_code == 422
        assert answer.json()["detail"][0] == {
            "pointer": "/extra" + 20 * "/x",
            "message": "deeper than 20 levels, which some readers refuse",
        }
        assert client.put(PATH, json={"extra": deep["x"]}).status_code == 200

    def test_what_the_linter_finds_in_the_flag_is_pointed_at(self, client, flag_file):
        content = json.loads(flag_file.read_text())
        content["flags"]["thing"]["state"] = "on"
        flag_file.write_text(json.dumps(content))
        answer = client.put(PATH, json={"threshold": 0.6})
        assert answer.status_code == 422
        assert {fault["pointer"] for fault in answer.json()["detail"]} == {"/flags/thing/state"}
        assert json.loads(flag_file.read_text()) == content

    def test_a_mistake_in_another_flag_holds_up_nobody(self, client, flag_file):
        content = json.loads(flag_file.read_text())
        content["flags"]["other"]["defaultVariant"] = "off"
        flag_file.write_text(json.dumps(content))
        assert client.put(PATH, json={"threshold": 0.6}).status_code == 200
        written = json.loads(flag_file.read_text())
        assert written["flags"]["other"] == content["flags"]["other"], "it stays as its owner left it"

    def test_a_body_that_is_too_long(self, client):
        answer = client.put(PATH, content=b" " * (256 * 1024 + 1))
        assert answer.status_code == 413
        assert "262144 bytes" in answer.json()["detail"]

    @pytest.mark.parametrize("if_match", ['"000000000000"', 'W/"{}"', "{}", '""', ""])
    def test_a_stale_if_match_is_refused_with_the_newest_etag(self, client, flag_file, if_match):
        etag = client.get(PATH).headers["ETag"]
        before = flag_file.read_bytes()
        header = {"If-Match": if_match.format(etag.strip('"'))}
        answer = client.put(PATH, json={"threshold": 0.6}, headers=header)
        assert (answer.status_code, answer.headers["ETag"], flag_file.read_bytes()) == (412, etag, before)

    @pytest.mark.parametrize("if_match", ["*", '"000000000000", {}'])
    def test_an_if_match_that_matches(self, client, if_match):
        header = {"If-Match": if_match.format(client.get(PATH).headers["ETag"])}
        assert client.put(PATH, json={"threshold": 0.6}, headers=header).status_code == 200

    def test_a_file_that_cannot_be_replaced_leaves_an_audit_row_without_a_time(
        self, flag_file, database, tokens, audit, monkeypatch
    ):
        # room for the file's name and none for the temporary file's: this fails for root too
        path = flag_file.rename(flag_file.with_name("x" * 240 + ".flagd.json"))
        before = path.read_bytes()
        monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
        windsock.reload()
        app = FastAPI()
        app.include_router(configuration_router(Api(Thing, path, database, PATH)))
        answer = TestClient(app, headers=bearer(tokens[Role.ADMIN])).put(PATH, json={"threshold": 0.6})
        assert answer.status_code == 503
        assert "cannot be written: File name too long; the old file is unchanged" in answer.json()["detail"]
        assert path.read_bytes() == before
        assert [row["written_at"] for row in audit()] == [None]


class TestWithoutItsDatabase:
    def test_the_answer_is_503_and_the_file_is_left_alone(self, client, connection, flag_file):
        before = flag_file.read_bytes()
        with gone(connection, "configuration_audit"):
            answer = client.put(PATH, json={"threshold": 0.6})
        assert (answer.status_code, flag_file.read_bytes()) == (503, before)
        with gone(connection, "api_tokens"):
            answer = client.get(PATH)
        assert answer.status_code == 503
        assert "api_tokens" not in answer.json()["detail"]


def test_the_page_of_the_api_says_what_to_send_and_what_may_be_answered(client):
    paths = client.get("/openapi.json").json()["paths"]
    put = paths[PATH]["put"]
    assert put["requestBody"]["content"]["application/json"]["schema"]["type"] == "object"
    assert set(put["responses"]) == {"200", "401", "403", "408", "412", "413", "422", "429", "503"}
    assert "JSON pointer" in put["responses"]["422"]["description"]
    assert set(paths[f"{PATH}/reload"]["post"]["responses"]) == {"200", "401", "403", "429", "503"}
    assert client.get("/docs").status_code == 200


def test_forty_concurrent_changes_lose_nothing(client, tokens, audit, monkeypatch):
    monkeypatch.setattr(door, "_PATIENCE_SECONDS", 60.0)  # a busy machine may take longer for all of them
    monkeypatch.setattr(locking, "_SECONDS", 60.0)

    def change(n):
        answer = client.put(PATH, json={"extra": {f"key_{n}": n}})
        assert answer.status_code == 200

    threads = [threading.Thread(target=change, args=[n]) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get(PATH).json()["extra"] == {f"key_{n}": n for n in range(40)}
    rows = audit()
    assert len(rows) == 40
    by_before = {row["revision_before"]: row["revision_after"] for row in rows}
    assert len(by_before) == 40, "two writes started from the same version"


def test_with_if_match_one_of_two_wins(client):
    etag = client.get(PATH).headers["ETag"]
    header = {"If-Match": etag}
    answers = [client.put(PATH, json={"count": n}, headers=header).status_code for n in (2, 3)]
    assert answers == [200, 412]
    assert client.get(PATH).json()["count"] == 2


@pytest.mark.parametrize("name", ["thing.flagd.yaml", "thing.json"])
def test_only_json_flag_files_are_written(tmp_path, database, name):
    with pytest.raises(ConfigurationError, match=r"the API writes \*\.flagd\.json"):
        configuration_router(Api(Thing, tmp_path / name, database, PATH))


def test_a_field_called_environments_is_refused(flag_file, database):
    class Place(windsock.Settings, flag="place"):
        environments: int = 1

    with pytest.raises(ConfigurationError, match=r"Place\.environments"):
        configuration_router(Api(Place, flag_file, database, PATH))


def test_where_folders_cannot_be_locked_the_router_says_so_and_tokens_work_on():
    program = """
import sys
sys.modules["fcntl"] = None  # as on Windows
from pathlib import Path
import windsock
from windsock.api import Api, configuration_router, create_token
class Thing(windsock.Settings, flag="thing"): ...
configuration_router(Api(Thing, Path("thing.flagd.json"), "", "/"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "ConfigurationError: the configuration API locks the folder of flags with flock" in done.stderr
