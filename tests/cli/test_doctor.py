"""`windsock doctor` as a program: who buckets as the flag files say, asked of real evaluators."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from tests.flagd_server import FlagdServer
from tests.flagfiles import split, write_flags
from tests.providers.sync_server import SyncServer

WINDSOCK = Path(sys.executable).parent / "windsock"


def doctor(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLAGD_")}
    return subprocess.run(
        [WINDSOCK, "doctor", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment | {"DATABASE_URL": ""} | variables,
        timeout=60,
        check=False,
    )


def verdict(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


# The program


def test_files_alone(tmp_path: Path) -> None:
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"checkout": split(), "search": split("v3")})
    done = doctor(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "windsock-files from flagd, revision" in done.stdout
    assert "2; 2 bucket users (1 v2, 1 v3)" in done.stdout
    assert verdict(done).startswith(
        "no problem found; evaluators here agree, but a service that evaluates with"
    )
    assert verdict(done).endswith("buckets v3, and 1 flag says otherwise")


def test_flags_that_bucket_no_user(tmp_path: Path) -> None:
    plain = {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"plain": plain})
    done = doctor(tmp_path)
    assert (done.returncode, verdict(done)) == (0, "no problem found")


def test_variables_are_listed_as_the_provider_reads_them(tmp_path: Path) -> None:
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"checkout": split()})
    done = doctor(tmp_path, FLAGD_RETRY_GRACE_PERIOD="7", FLAGD_DEADLINE_MS="250")
    assert "FLAGD_RETRY_GRACE_PERIOD=7: read" in done.stdout
    assert "FLAGD_DEADLINE_MS=250: not read by windsock-files" in done.stdout


def test_the_serving_stream_is_named(tmp_path: Path) -> None:
    with SyncServer({"checkout": split()}) as server:
        variables = {
            "FLAGD_RESOLVER": "in-process",
            "FLAGD_SYNC_PORT": str(server.port),
            "FLAGD_CACHE": "lru",
        }
        done = doctor(tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert f"windsock-stream from localhost:{server.port}, revision" in done.stdout
    assert f"FLAGD_SYNC_PORT={server.port}: read" in done.stdout
    assert "FLAGD_CACHE=lru: not read by windsock-stream" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--ofrep", "http://127.0.0.1:{port}"], {}),
        ([], {"FLAGD_RESOLVER": "rpc", "FLAGD_PORT": "{port}"}),
        ([], {"FLAGD_RESOLVER": "in-process", "FLAGD_PORT": "{port}", "FLAGD_DEADLINE_MS": "300"}),
    ],
    ids=["ofrep", "rpc", "stream"],
)
def test_a_server_that_cannot_be_reached(
    tmp_path: Path, arguments: list[str], variables: dict[str, str]
) -> None:
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"checkout": split()})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = str(taken.getsockname()[1])
        filled = {key: value.replace("{port}", port) for key, value in variables.items()}
        done = doctor(tmp_path, *(each.replace("{port}", port) for each in arguments), **filled)
    assert done.returncode == 4, done.stdout + done.stderr
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_an_invalid_address(tmp_path: Path) -> None:
    assert doctor(tmp_path, "--ofrep", "localhost:8016").returncode == 2


@pytest.mark.flagd
@pytest.mark.parametrize("way", ["rpc", "ofrep"])
def test_a_live_server_is_asked(tmp_path: Path, way: str) -> None:
    flags = {"checkout": split(), "gold": split(when="gold"), "rare": split(first=1)}
    write_flags(tmp_path / "flagd" / "a.flagd.json", flags)
    with FlagdServer.serving(tmp_path, {"flags": flags}) as flagd:
        ways = {
            "rpc": ([], {"FLAGD_HOST": "127.0.0.1", "FLAGD_PORT": str(flagd.rpc)}),
            "ofrep": (["--ofrep", f"http://127.0.0.1:{flagd.ofrep}"], {}),
        }
        arguments, variables = ways[way]
        done = doctor(tmp_path, *arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 of 2 flags v2" in done.stdout
        assert "flag 'gold' is not probed" in done.stdout
        done = doctor(tmp_path, *arguments, "--attribute", "tier=gold", **variables)
        assert "3 of 3 flags v2" in done.stdout

        write_flags(tmp_path / "flagd" / "a.flagd.json", flags | {"checkout": split("v3")})
        done = doctor(tmp_path, *arguments, **variables)
        assert done.returncode == 1
        assert verdict(done).startswith("1 problem found; DISAGREE: ")
        assert verdict(done).endswith("buckets v2 where flag 'checkout' says v3")

        write_flags(tmp_path / "flagd" / "a.flagd.json", flags | {"unknown": split()})
        done = doctor(tmp_path, *arguments, **variables)
        assert done.returncode == 1
        assert "neither v2 nor v3 where flag 'unknown'" in verdict(done)
        assert "is it given the same files?" in verdict(done)


# The machine and the database


def checks(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[bool, str]]:
    report = json.loads(done.stdout)
    return {check["name"]: (check["ok"], check["found"]) for check in report["checks"]}


def test_a_database_that_is_right(tmp_path: Path, database: str) -> None:
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"checkout": split()})
    (tmp_path / "main.py").write_text("import windsock\n\nwindsock.start()\n")
    done = doctor(tmp_path, "--json", DATABASE_URL=database)
    assert done.returncode == 0, done.stdout + done.stderr
    found = checks(done)
    assert json.loads(done.stdout)["ok"] is True
    assert found["started"] == (True, "by main.py")
    assert found["database"][1].startswith("PostgreSQL ")
    assert found["clock"][0]
    assert found["migrations"][1].startswith("all ")
    assert found["mirror"] == (True, "none has reported")


def test_what_does_not_work_is_reported_with_what_to_do(tmp_path: Path, empty_database: str) -> None:
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"checkout": split()})
    (tmp_path / "main.py").write_text("import windsock\n\nshown = windsock.feature('shown', default=False)\n")
    (tmp_path / ".windsock").write_text("a file where a folder should be")
    done = doctor(tmp_path, "--json", DATABASE_URL=empty_database)
    assert done.returncode == 1
    found = checks(done)
    assert found["started"][1].startswith("no Python file here calls windsock.start()")
    assert found["folder"][1].startswith(".windsock can't be written")
    assert found["migrations"][1].endswith("are pending: run `windsock migrate`")
    assert [name for name, (ok, _) in found.items() if not ok] == ["folder", "started", "migrations"]
    lines = doctor(tmp_path, DATABASE_URL=empty_database).stdout.splitlines()
    assert sum("PROBLEM: " in line for line in lines) == 3
    assert lines[-1].startswith("3 problems found; evaluators here agree, but ")


def test_a_mirror_that_stopped(tmp_path: Path, database: str) -> None:
    write_flags(tmp_path / "flagd" / "a.flagd.json", {"checkout": split()})
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into windsock.mirrors (group_name, folder, reported_at, right_at, trouble)"
            " values ('default', 'f', now() - interval '1 hour', now() - interval '1 hour', '')"
        )
    done = doctor(tmp_path, "--json", DATABASE_URL=database)
    ok, found = checks(done)["mirror"]
    assert not ok
    assert re.fullmatch(
        r"group 'default' last reported 3,6\d\d s ago: is `windsock mirror run` running\?", found
    )


def test_a_database_and_flags_that_are_not_there(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json", DATABASE_URL="postgresql://ada:hunter2@127.0.0.1:1/none")
    assert done.returncode == 4
    found = checks(done)
    assert "the database cannot be reached" in found["database"][1]
    assert not found["serves"][0]
    assert "hunter2" not in done.stdout + done.stderr
