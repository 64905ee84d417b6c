"""No command prints a password, a key or the value of a secret field, whatever it is given."""

import logging
import sys

import pytest
from tests.flagfiles import object_flag, write_flags

from windsock.cli._app import VERBS, main

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
]  # fmt: skip
OTHERS = [
    ["check", "--settings", "vaults:Vault"], ["lint"], ["eval", "vault", "--user", "ann"], ["history", "vault"],
    ["export", "flags", "--settings", "vaults:Vault"], ["export", "schema", "--settings", "vaults:Vault"],
    ["init", "--settings", "vaults:Vault"], ["stale"], ["refs"],
]  # fmt: skip


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
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"vault": object_flag({"b": {"top_k": 2}}, "b")})
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(url, *arguments):
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setattr(sys, "argv", ["windsock", *arguments])
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


def test_each_verb_here_exists():
    assert {arguments[0] for arguments in [*WITH_A_DATABASE, *OTHERS]} <= set(VERBS)
