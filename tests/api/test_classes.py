"""Several settings classes behind one router, and the audit of each."""

import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openfeature import api as openfeature
from pydantic import Field, SecretStr
from tests.api.test_router import bearer

import windsock
from windsock.api import Api, Role, configuration_router, create_token


class Kettle(windsock.Settings, flag="kettle"):
    degrees: int = Field(90, ge=0, le=100)
    key: SecretStr = SecretStr("hunter2")


class Toaster(windsock.Settings, flag="toaster"):
    minutes: float = Field(2.0, ge=0)


class Mixer(windsock.Settings, flag="mixer"):
    speed: int = 1


def flag(values):
    return {"state": "ENABLED", "variants": {"production": values}, "defaultVariant": "production"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    folder = tmp_path / "flagd"
    folder.mkdir()
    (folder / "a.flagd.json").write_text(json.dumps({"flags": {"kettle": flag({"degrees": 95})}}))
    (folder / "b.flagd.json").write_text(json.dumps({"flags": {"toaster": flag({"minutes": 3})}}))
    return folder


@pytest.fixture
def kitchen(folder, api_database, tokens):
    """An administrator's client of a service with three classes, one of which no file has."""
    app = FastAPI()
    each = [Api(one, folder, api_database, f"/api/config/{path}") for one, path in (
        (Kettle, "kettle"), (Toaster, "toaster"), (Mixer, "mixer")
    )]  # fmt: skip
    app.include_router(configuration_router(*each))
    with (
        windsock.start(flags=folder, usage=False),
        TestClient(app, headers=bearer(tokens[Role.ADMIN])) as client,
    ):
        yield client
    openfeature.shutdown()


def test_each_class_has_its_address_and_its_file(kitchen, folder):
    assert kitchen.get("/api/config/kettle").json() == {
        "degrees": 95,
        "key": "**********",
        "environments": {},
    }
    etag = kitchen.get("/api/config/toaster").headers["ETag"]
    kettle = (folder / "a.flagd.json").read_text()
    answer = kitchen.put("/api/config/toaster", json={"minutes": 4.5}, headers={"If-Match": etag})
    assert answer.status_code == 200
    assert (folder / "a.flagd.json").read_text() == kettle
    assert json.loads((folder / "b.flagd.json").read_text())["flags"]["toaster"]["variants"] == {
        "production": {"minutes": 4.5}
    }
    stale = kitchen.put("/api/config/toaster", json={"minutes": 5}, headers={"If-Match": etag})
    assert stale.status_code == 412


def test_a_flag_that_no_file_has_is_named(kitchen):
    answer = kitchen.get("/api/config/mixer")
    assert answer.status_code == 503
    assert "no file has the flag 'mixer'" in answer.json()["detail"]


def test_a_wrong_value_is_refused_by_each_class(kitchen):
    for path, body, pointer in (
        ("kettle", {"degrees": 101}, "/degrees"),
        ("toaster", {"minutes": -1}, "/minutes"),
    ):
        answer = kitchen.put(f"/api/config/{path}", json=body)
        assert (answer.status_code, answer.json()["detail"][0]["pointer"]) == (422, pointer)


def test_the_audit_of_a_class_tells_its_own_changes_newest_first(kitchen, connection, tokens):
    for degrees in 80, 70, 60:
        kitchen.put("/api/config/kettle", json={"degrees": degrees})
    kitchen.put("/api/config/toaster", json={"minutes": 9})
    reader = bearer(tokens[Role.READER])
    first = kitchen.get("/api/config/kettle/changes", params={"limit": 2}, headers=reader).json()
    assert [row["changed"] for row in first["changes"]] == [{"/degrees": [70, 60]}, {"/degrees": [80, 70]}]
    assert {row["actor"] for row in first["changes"]} == {"the admin"}
    assert all(row["written_at"] for row in first["changes"])
    rest = kitchen.get("/api/config/kettle/changes", params={"before": first["next"]}).json()
    assert [row["changed"] for row in rest["changes"]] == [{"/degrees": [95, 80]}]
    assert rest["next"] is None
    [row] = kitchen.get("/api/config/toaster/changes").json()["changes"]
    assert row["changed"] == {"/minutes": [3, 9]}


def test_the_audit_shows_no_secret(kitchen, connection):
    connection.execute(
        "insert into windsock.configuration_audit (actor, flag, file, revision_before, revision_after, request, changed)"
        " values ('old', 'kettle', 'f', '', '', '{}', %s)",
        [json.dumps({"/key": ["hunter2", None], "/environments/dev/key": [None, "hunter3"]})],
    )
    answer = kitchen.get("/api/config/kettle/changes")
    assert "hunter" not in answer.text
    assert answer.json()["changes"][0]["changed"]["/key"] == ["**********", None]


@pytest.mark.parametrize(
    ("asked", "status"), [({"before": "x"}, 422), ({"limit": 0}, 422), ({"limit": 201}, 422)]
)
def test_odd_questions_about_the_audit_are_refused(kitchen, asked, status):
    assert kitchen.get("/api/config/kettle/changes", params=asked).status_code == status


@pytest.mark.parametrize("method", ["DELETE", "HEAD", "OPTIONS", "PATCH", "POST"])
def test_other_methods_are_told_which_there_are(kitchen, method):
    answer = kitchen.request(method, "/api/config/kettle")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PUT")


def test_nobody_reads_the_audit_without_a_token_in_use(kitchen):
    for header in "", "Bearer nobody's":
        answer = kitchen.get("/api/config/kettle/changes", headers={"Authorization": header})
        assert answer.status_code == 401


def test_the_classes_share_a_token_s_budget(kitchen, connection, monkeypatch):
    monkeypatch.setenv("CONFIGURATION_API_REQUESTS_PER_SECOND", "1")
    windsock.reload()
    hasty = bearer(create_token(connection, "hasty", Role.READER))
    paths = ["/api/config/kettle", "/api/config/toaster"] * 4
    assert [kitchen.get(path, headers=hasty).status_code for path in paths].count(429) >= 1
