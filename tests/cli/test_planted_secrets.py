"""No command and no service prints or logs a password, a key, a token or the value of a secret field."""

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from tests.cli.conftest import boolean
from tests.flagfiles import object_flag, write_flags
from tests.waiting import eventually

import windsock
from windsock.api import Api, configuration_router
from windsock.cli._app import VERBS, main
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions

PASSWORD = "pl4nted-password"
SECRETS = (PASSWORD, "pl4nted-in-code", "pl4nted-in-the-environment", "pl4nted-key")
URLS = [
    f"postgresql://ann:{PASSWORD}@127.0.0.1:1/db",
    f"postgresql://ann:{PASSWORD}%@127.0.0.1:1/db",
    f"postgresql://ann:a@{PASSWORD}@127.0.0.1:1/db",
    f"postgresql://ann:a#{PASSWORD}@127.0.0.1:1/db",
    f"postgresql://ann:a?{PASSWORD}@127.0.0.1:1/db",
    f"postgresql://ann:a {PASSWORD}@127.0.0.1:1/db",
    f"postgresql://ann:9999/{PASSWORD}@127.0.0.1:1/db",
    f"postgresql://ann:{PASSWORD}/9999@127.0.0.1:1/db",
    f"postgresql://ann:{PASSWORD}@[::1/db",
    f"postgresql://127.0.0.1:1/db?user=ann&password={PASSWORD}",
    f"postgresql+asyncpg://ann:{PASSWORD}@127.0.0.1:1/db",
    f"mysql://ann:{PASSWORD}@127.0.0.1:1/db",
    f"ann:{PASSWORD}@127.0.0.1:1/db",
    f"host=127.0.0.1 port=1 password={PASSWORD}",
    f"host=127.0.0.1 port=1 password={PASSWORD} nonsense=1",
]
WITH_A_DATABASE = [
    ["migrate"], ["migrate", "--status"], ["usage"], ["profile", "list"], ["quarantine", "list"], ["forget", "ann"],
    ["prune", "--older-than", "90d"], ["token", "make", "ann"], ["token", "revoke", "ann"], ["doctor"], ["doctor", "--json"],
    ["mirror", "once", "--flag", "vault", "--settings", "vaults:Vault"], ["mirror", "verify", "--flag", "vault"],
    ["explain", "vaults:Vault", "--user", "ann"], ["serve", "--settings", "vaults:Vault", "--port", "0"],
    ["plan", "--users", "usage"], ["plan", "--users", "URL"], ["experiment", "status", "deeper"],
    ["experiment", "report", "deeper"], ["experiment", "decide", "deeper", "--record"], ["experiment", "power", "deeper"],
    ["experiment", "status", "deeper", "--data", "URL"], ["experiment", "assign", "deeper"],
]  # fmt: skip
"""`URL` is the database's, said on the command line."""
OTHERS = [
    ["check", "--settings", "vaults:Vault"], ["lint"], ["eval", "vault", "--user", "ann"], ["history", "vault"],
    ["export", "flags", "--settings", "vaults:Vault"], ["export", "schema", "--settings", "vaults:Vault"],
    ["init", "--settings", "vaults:Vault"], ["stale"], ["refs"], ["diff"], ["fmt"],
    ["plan", "--users", "100", "--settings", "vaults:Vault"], ["plan", "--format", "json", "--out", "plan.json"],
    ["apply", "plan.json"], ["apply", "plan.json", "--branch", "one"], ["rollout", "lamp", "--variant", "on"],
    ["experiment", "check"], ["experiment", "start", "deeper"], ["experiment", "stop", "deeper"], ["experiment", "schema"],
    ["experiment", "new", "warmer", "--settings", "vault", "--field", "top_k=4", "--owner", "ann"],
]  # fmt: skip
EXPERIMENT = """
name: deeper
hypothesis: More passages answer better
owner: ann@example.org
settings: vault
arms: {control: {}, deep: {top_k: 9}}
metrics: {goal: [latency_ms]}
minimum_effect: 5%
maximum: {units: 5000}
"""


@pytest.fixture
def said(tmp_path, monkeypatch, capfd):
    """Run a command in this process, in a project with secrets; what it prints and logs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("VAULT_TOKEN", "pl4nted-in-the-environment")
    monkeypatch.setenv("WINDSOCK_USER_ID_KEY", "pl4nted-key")
    (tmp_path / "vaults.py").write_text(
        "import windsock\nfrom pydantic import SecretStr\n\n\nclass Vault(windsock.Settings, flag='vault'):\n"
        "    token: SecretStr = SecretStr('pl4nted-in-code')\n    top_k: int = 3\n"
    )
    write_flags(
        tmp_path / "flagd" / "a.flagd.json",
        {"vault": object_flag({"b": {"top_k": 2}}, "b"), "lamp": boolean()},
    )
    (tmp_path / "flagd" / "experiments").mkdir()
    (tmp_path / "flagd" / "experiments" / "deeper.yaml").write_text(EXPERIMENT)
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "one")):
        subprocess.run(["git", *who, *command], check=True)
    capfd.readouterr()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(url, *arguments):
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setattr(
            sys, "argv", ["windsock", *(url if each == "URL" else each for each in arguments)]
        )
        with pytest.raises(SystemExit):
            main()
        out = capfd.readouterr()
        return out.out + out.err

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.modules.pop("vaults", None)


@pytest.mark.parametrize("number", range(len(URLS)))
def test_no_command_prints_the_password_of_its_database(said, number, caplog):
    for arguments in WITH_A_DATABASE:
        text = said(URLS[number], *arguments) + caplog.text
        assert [each for each in SECRETS if each in text] == [], (arguments, text)
        assert "Traceback" not in text


def test_no_command_prints_the_value_of_a_secret_field(said, caplog):
    for arguments in OTHERS:
        text = said(URLS[0], *arguments) + caplog.text
        assert [each for each in SECRETS if each in text] == [], (arguments, text)
        assert "Traceback" not in text


class Safe(windsock.Settings, flag="safe"):
    token: SecretStr = SecretStr("pl4nted-in-code")
    top_k: int = 3


def serve_without_its_database(url):
    """A request, a value that fails in use and is withdrawn, and a stop, while the database can't be reached."""

    def call(safe):
        raise ValueError(f"{url} and {safe.token.get_secret_value()} at {safe.top_k}")

    with (
        windsock.start(flags="flagd", usage=url),
        windsock.request(),
        pytest.raises(ValueError, match="at 3"),
    ):
        windsock.heal(Safe.for_user("ann"), call)


def mirror_without_its_database(url, caplog):
    stop = threading.Event()
    options = MirrorOptions(url=url, folder=Path("flagd/mirror"), flags=("safe",))
    thread = threading.Thread(target=Mirror(options).watch, args=(stop,))
    thread.start()
    eventually(lambda: "windsock.mirror" in {record.name for record in caplog.records})
    stop.set()
    thread.join()


def answer_without_its_database(url):
    app = FastAPI()
    with windsock.start(flags="flagd", usage=False):
        app.include_router(configuration_router(Api(Safe, Path("flagd/a.flagd.json"), url, "/safe")))
        answer = TestClient(app).get("/safe", headers={"Authorization": "Bearer pl4nted-key"})
    assert answer.status_code == 503
    return answer.text


@pytest.mark.parametrize("number", [0, 9, 13])
def test_no_service_logs_them_while_its_database_is_away(number, tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.chdir(tmp_path)
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"safe": object_flag({"b": {"top_k": 3}}, "b")})
    with caplog.at_level(logging.DEBUG):
        serve_without_its_database(URLS[number])
        mirror_without_its_database(URLS[number], caplog)
        answered = answer_without_its_database(URLS[number])
    printed = capfd.readouterr()
    said = caplog.text + printed.out + printed.err + answered
    assert {"windsock.usage", "windsock.mirror", "windsock.api"} <= {record.name for record in caplog.records}
    assert [each for each in SECRETS if each in said] == [], said


def test_each_verb_here_exists():
    assert {arguments[0] for arguments in [*WITH_A_DATABASE, *OTHERS]} <= set(VERBS)
