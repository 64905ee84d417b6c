"""schemathesis asks the whole console, its pages and the API beside them, what their schema promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import windsock
from windsock.api import Role
from windsock.console import application
from windsock.console.pages.all import ROUTES

pytestmark = pytest.mark.slow

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
ASKED = (
    "at", "attributes", "by", "done", "flag", "healed", "id", "key", "kind", "lifted", "name", "page", "q", "span",
    "user", "variant",
)  # fmt: skip
SENT = (
    "action",
    "base",
    "description",
    "etag",
    "field",
    "flag",
    "had",
    "do",
    "id",
    "key",
    "name",
    "new",
    "plan",
    "profile",
    "proposal",
    "revision",
    "variant",
)
TEXT = {"type": "string", "maxLength": 60}
PAGE = {"description": "A page.", "content": {"text/html": {}}}
EXAMPLES = "12"


def page_of(route):
    """What a page takes and answers."""
    answers = {str(status): PAGE for status in (200, 403, 404, 408, 409, 413, 422, 503)} | {
        "303": {"description": "Go."}
    }
    found = {"responses": answers, "security": []}
    if route.method == "GET":
        found["parameters"] = [{"name": name, "in": "query", "schema": TEXT} for name in ASKED]
    else:
        form = {"type": "object", "properties": dict.fromkeys((*SENT, "f:temperature", "f:channels"), TEXT)}
        found["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    return found


@pytest.fixture
def run(address, tmp_path, tokens):
    """Ask what a document describes; fails with the report unless all is as promised."""

    def asked(paths, *options, components=None):
        document = {"openapi": "3.1.0", "info": {"title": "windsock", "version": "0"}, "paths": paths}
        path = tmp_path / "openapi.json"
        path.write_text(json.dumps(document | ({"components": components} if components else {})))
        done = subprocess.run(
            [SCHEMATHESIS, "run", str(path), "--url", address, "--max-examples", EXAMPLES, "--no-color",
             "--generation-deterministic", "--continue-on-failure", *options],
            capture_output=True, text=True, timeout=280, check=False, cwd=tmp_path,
        )  # fmt: skip
        if done.returncode:
            pytest.fail(f"{done.stdout[-8_000:]}{done.stderr[-2_000:]}", pytrace=False)

    return asked


def test_the_api_answers_what_it_promises(run, console, tokens, monkeypatch):
    """Left out: whether valid JSON is taken, because the class and the linter know more than the schema."""
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    monkeypatch.setenv("CONFIGURATION_API_REQUESTS_PER_SECOND", "10000")
    windsock.reload()
    schema = application(console).openapi()
    assert set(schema["paths"]) == {
        "/api/config/teacher", "/api/config/teacher/changes", "/api/config/teacher/reload"
    }  # fmt: skip
    header = ["--header", f"Authorization: Bearer {tokens[Role.ADMIN]}"]
    checks = ["--exclude-checks", "positive_data_acceptance"]
    run(schema["paths"], *header, *checks, components=schema["components"])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_pages_answer_what_they_promise(run, admin, connection, method):
    """A page takes any text, so no request is wrong by its schema."""
    paths = {route.path: {method.lower(): page_of(route)} for route in ROUTES if route.method == method}
    cookie = ["--header", f"Cookie: windsock={admin.http.cookies['windsock']}"]
    checks = ["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"]
    run(paths, *cookie, *checks, "--mode", "positive")
