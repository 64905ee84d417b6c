"""Several processes change one file through the API: each change is in it at the end."""

import json
import subprocess
import sys
from pathlib import Path

from windsock.api.tokens import Role, create_token

PROGRAM = """
import sys
from pathlib import Path
import psycopg
from tests.api.conftest import Thing
from windsock.api.store import Write, Store, Stored
from windsock.api.tokens import authenticate
from windsock.flagfiles import locking
locking._SECONDS = 60.0  # a busy machine may take longer for all of them
name, path, url, token = sys.argv[1:]
store = Store(Path(path), Thing.__windsock__.declaration)
print("ready", flush=True)
sys.stdin.readline()
with psycopg.connect(url, autocommit=True) as connection:
    actor = authenticate(connection, token)
    for number in range(15):
        written = store.write(connection, Write({"extra": {f"{name}_{number}": number}}, actor))
        assert isinstance(written, Stored), written
"""


def test_changes_of_three_processes_at_once_lose_nothing(flag_file, api_database, connection, audit):
    names = ["ann", "ben", "eve"]
    tokens = {name: create_token(connection, name, Role.ADMIN) for name in names}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name, flag_file, api_database, tokens[name]],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=120) and process.returncode for process in processes] == [0, 0, 0]
    written = json.loads(flag_file.read_bytes())["flags"]["thing"]["variants"]["production"]["extra"]
    assert written == {f"{name}_{number}": number for name in names for number in range(15)}
    rows = audit()
    assert len(rows) == 45
    assert [row["revision_before"] for row in rows[1:]] == [row["revision_after"] for row in rows[:-1]]
