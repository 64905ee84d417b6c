"""Nothing that a flag file, a row, a file's name, a branch or an error holds acts on a terminal or on a CI, or adds a line."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from uuid import uuid4

import psycopg
import pytest
from tests.cli.conftest import boolean
from tests.cli.test_terminal import at_80_columns
from tests.flagfiles import object_flag

from windsock.api import Role, create_token
from windsock.cli._app import VERBS, main
from windsock.cli._lines import Grid, console_of, print_grid, print_lines
from windsock.healing.boards import FileBoard
from windsock.healing.postgres_board import PostgresBoard
from windsock.healing.quarantine import Outbox, Withdrawal
from windsock.settings.place import fingerprint
from windsock.text import NO_BREAK_SPACE
from windsock.usage import Healed, Measured, Pending, Use
from windsock.usage.making_rows import clean
from windsock.usage.postgres import PostgresSink

ACTS = "\x1b[2J\x1b]0;title\x07\x9b2J\x7f\u202e\u2066\u2028\x85\r##[add-mask]##vso[task.setvariable]"
HOSTILE = f"h{ACTS}\nFAKED line"
FILE = HOSTILE.replace("/", "")
CLASS = f"""
import windsock

class Shown(windsock.Settings, flag="shown"):
    top_k: int = 3
    prompt: str = {HOSTILE!r}

lamp = windsock.feature({HOSTILE!r}, default=False)

def use(user):
    return Shown.for_user(user).top_k
"""
EXPERIMENT = """
name: deeper
hypothesis: {text}
owner: {text}
settings: shown
arms: {{control: {{}}, {text}: {{top_k: {text}}}}}
metrics: {{goal: [{text}]}}
{text}: 1
minimum_effect: 5%
maximum: {{units: 5000}}
"""
FLAGS = {
    "shown": object_flag(
        {"b": {"top_k": 2, "prompt": HOSTILE}, HOSTILE: {"top_k": HOSTILE, HOSTILE: 1}},
        "b",
        {"if": [{"==": [{"var": HOSTILE}, HOSTILE]}, HOSTILE, "b"]},
        owner=HOSTILE,
        description=HOSTILE,
    ),
    HOSTILE: boolean({"if": [{"in": [{"var": "targetingKey"}, [HOSTILE, "ann"]]}, "on"]}, owner=HOSTILE),
    "half": object_flag({"\ud800": {"top_k": "\ud800"}}, "\ud800"),
}
FILES = [
    ["lint"], ["lint", "--format", "json"], ["lint", "--format", "github"], ["lint", "--format", "sarif"], ["lint", "--fix"],
    ["lint", "flagd/a.flagd.json"], ["lint", FILE], ["lint", "--explain", HOSTILE], ["fmt", "--check"], ["fmt"], ["fmt", FILE],
    ["check", "shown:Shown"], ["check", "shown:Shown", "--flags", "flagd/a.flagd.json"], ["check", HOSTILE], ["check", f"shown:{HOSTILE}"],
    ["check", "shown:Shown", "--flags", "flagd/a.flagd.json", "--format", "github"],
    ["eval", HOSTILE], ["eval", "shown", "--explain", "--flags", "flagd/a.flagd.json"], ["eval", HOSTILE, "--flags", "flagd/a.flagd.json", "--explain"],
    ["eval", "shown", "-c", f"{HOSTILE}={HOSTILE}", "--flags", "flagd/a.flagd.json", "--json"], ["eval", "half", "--flags", "flagd/a.flagd.json"],
    ["eval", "shown", "--explain", "-c", f"{HOSTILE}={HOSTILE}", "--flags", "flagd/a.flagd.json"],
    ["explain", "shown", "--user", HOSTILE, "--settings", "shown:Shown", "--folder", "good"],
    ["explain", "shown", "--user", HOSTILE, "--settings", "shown:Shown", "--folder", "good", "--json"],
    ["explain", "shown", "--user", HOSTILE, "--settings", "shown:Shown"], ["explain", HOSTILE, "--settings", "shown:Shown"],
    ["history", HOSTILE], ["history", "shown"], ["history", "shown", "--json"], ["history", "shown", "good"], ["history", "shown", HOSTILE],
    ["diff", "good", "flagd"], ["diff", "good", "flagd/a.flagd.json"], ["diff", "good", "flagd/a.flagd.json", "--json"], ["diff", "--textconv", "flagd/a.flagd.json"],
    ["diff", HOSTILE, "good"], ["diff", "good", "--against", HOSTILE],
    ["plan"], ["plan", "good"], ["plan", "good", "--format", "markdown"], ["plan", "good", "--format", "json"], ["plan", "good", "--users", "users.csv"],
    ["plan", "good", "--against", HOSTILE], ["plan", "good", "--users", HOSTILE], ["plan", "good", "--users", FILE],
    ["plan", "flagd/a.flagd.json"], ["plan", "flagd/a.flagd.json", "--format", "markdown"], ["plan", "flagd/a.flagd.json", "--format", "json"],
    ["plan", "good", "--out", f"{HOSTILE}/plan.json"], ["plan", "good", "--max-moved", HOSTILE], ["plan", "good", "--at", HOSTILE],
    ["plan", "good", "--settings", "shown:Shown"],
    ["apply", "plan.json"], ["apply", "plan.json", "--branch", HOSTILE], ["apply", FILE], ["apply", HOSTILE],
    ["rollout", HOSTILE, "--flags", "flagd/a.flagd.json", "--dry-run"], ["rollout", "shown", "--variant", HOSTILE, "--flags", "good"],
    ["rollout", "shown", "--variant", HOSTILE, "--otherwise", "b", "--flags", "flagd/a.flagd.json", "--dry-run"],
    ["rollout", "shown", "--variant", HOSTILE, "--otherwise", "b", "--flags", "flagd/a.flagd.json", "--json", "--dry-run"],
    ["rollout", "shown", "--variant", HOSTILE, "--otherwise", "b", "--flags", "good"],
    ["refs"], ["refs", HOSTILE], ["refs", "--json"], ["refs", "--code", HOSTILE], ["stale"], ["stale", "--flags", "good", "--json"], ["stale", "--flags", "good"],
    ["init", "shown:Shown"], ["export", "shown:Shown"], ["export", "shown:Shown", "--format", "schema"], ["export", "shown:Shown", "--format", "manifest"],
    ["import", "config.yaml", "--folder", "new"], ["import", "config.yaml", "--flag", "one", "--folder", HOSTILE], ["import", FILE], ["import", "code.yaml"],
    ["import", "config.yaml", "--flag", "one", "--module", f"{HOSTILE}.py", "--folder", "another"],
    ["experiment", "check"], ["experiment", "check", "--flags", "good"], ["experiment", "start", HOSTILE], ["experiment", "start", "deeper"],
    ["experiment", "start", "fine", "--flags", "good", "--dry-run"], ["experiment", "start", "fine", "--flags", "good"],
    ["experiment", "stop", HOSTILE], ["experiment", "stop", "deeper"], ["experiment", "power", "fine", "--flags", "good", "--mean", "1", "--deviation", "1"],
    ["experiment", "power", "fine", "--flags", "good", "--mean", "1", "--deviation", "1", "--json"],
    ["experiment", "new", HOSTILE, "--settings", HOSTILE, "--field", HOSTILE, "--owner", HOSTILE], ["experiment", "status", "fine", "--data", HOSTILE],
    ["quarantine", "list"], ["quarantine", "list", "--json"], ["quarantine", "list", "--as-change"], ["quarantine", "lift", HOSTILE, HOSTILE, HOSTILE],
    ["quarantine", "lift", "shown", HOSTILE, HOSTILE],
    ["doctor"], ["doctor", "--json"], ["migrate", "--folder", "migrations", "--status"], ["mirror", "once", "--flag", HOSTILE],
    ["mirror", "flagd-config", "--folder", HOSTILE, "--git-folder", HOSTILE], ["mirror", "flagd-config"],
    ["usage", "hash", HOSTILE], ["serve", HOSTILE], ["demo", "--system", HOSTILE], ["plan", "--format", HOSTILE], [HOSTILE], ["profile", HOSTILE], ["doctor", HOSTILE],
    ["dev", "--settings", HOSTILE], ["dev", "--folder", HOSTILE], ["prune", "--older-than", HOSTILE], ["forget", HOSTILE], ["token", "make", HOSTILE],
]  # fmt: skip
ROWS = [
    ["migrate", "--status"], ["migrate", "--folder", "migrations", "--status"], ["migrate", "--folder", "migrations"],
    ["usage"], ["usage", "--json"], ["usage", "--user", HOSTILE], ["usage", "--config", HOSTILE],
    ["profile", "list"], ["profile", "list", "--json"], ["profile", "show", HOSTILE], ["profile", "show", HOSTILE, "--json"],
    ["profile", "create", f"new {HOSTILE}", "--set", f"{HOSTILE}={HOSTILE}"], ["profile", "edit", HOSTILE, "--set", f"{HOSTILE}={HOSTILE}"],
    ["profile", "edit", HOSTILE, "--set", f"top_k={HOSTILE}", "--settings", "shown:Shown"], ["profile", "assign", HOSTILE, HOSTILE],
    ["profile", "assign", HOSTILE, "00000000-0000-0000-0000-000000000001", "--create"], ["profile", "unassign", HOSTILE],
    ["token", "make", HOSTILE], ["token", "make", f"new {HOSTILE}"], ["token", "list"], ["token", "list", "--json"], ["token", "revoke", HOSTILE],
    ["quarantine", "list"], ["quarantine", "list", "--json"], ["quarantine", "list", "--as-change"], ["quarantine", "lift", "shown.profile", HOSTILE, HOSTILE],
    ["mirror", "once", "--flag", "shown", "--dry-run"], ["mirror", "once", "--flag", "shown"], ["mirror", "verify", "--flag", "shown"],
    ["mirror", "once", "--flag", "shown", "--settings", "shown:Shown"], ["mirror", "once", "--flag", "shown", "--log-format", "json", "--settings", "shown:Shown"],
    ["forget", HOSTILE], ["prune", "--older-than", "90d"], ["doctor"], ["plan", "good", "--users", "usage"],
    ["explain", "shown", "--user", HOSTILE, "--settings", "shown:Shown", "--folder", "good", "--at", "2030-01-01T00:00Z"],
    ["experiment", "status", "fine", "--flags", "good"], ["experiment", "check", "--sources", "--flags", "good"],
    ["experiment", "power", "fine", "--flags", "good"], ["experiment", "decide", "fine", "--flags", "good"], ["experiment", "report", "fine", "--flags", "good", "--out", f"{HOSTILE}/r.html"],
]  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository whose every text is hostile, and `good`, which at least parses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for folder in ("flagd/experiments", "good/experiments", "migrations"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "shown.py").write_text(CLASS)
    (tmp_path / f"{FILE}.py").write_text(CLASS)
    document = json.dumps({"flags": FLAGS})
    for path in ("flagd/a.flagd.json", f"flagd/{FILE}.flagd.json", FILE, "plan.json"):
        (tmp_path / path).write_text(document)
    good = {
        "shown": object_flag({"b": {"top_k": 2}, "c": {"top_k": 4, "prompt": HOSTILE}}, "b", owner=HOSTILE)
    }
    (tmp_path / "good" / "b.flagd.json").write_text(json.dumps({"flags": good}))
    (tmp_path / "flagd/experiments/deeper.yaml").write_text(EXPERIMENT.format(text=json.dumps(HOSTILE)))
    fine = EXPERIMENT.replace("deeper", "fine").replace("{text}: 1\n", "")
    fine = fine.replace("goal: [{text}]", "goal: [latency_ms]").replace(
        "{text}: {{top_k: {text}}}", "deep: {{prompt: {text}}}"
    )
    (tmp_path / "good/experiments/fine.yaml").write_text(fine.format(text=json.dumps(HOSTILE)))
    (tmp_path / "config.yaml").write_text(f"{json.dumps('a')}: {{b: {json.dumps(HOSTILE)}}}\nc: {{d: 1}}\n")
    (tmp_path / "code.yaml").write_text(f"{json.dumps(HOSTILE)}: {{{json.dumps(HOSTILE)}: 1}}\n")
    (tmp_path / "users.csv").write_bytes(f'id,"{HOSTILE}"\n"{HOSTILE}",1\n'.encode())
    (tmp_path / "migrations" / f"20260101000000_{FILE}.sql").write_text("select 1;\n")
    who = ("-c", f"user.name=Ann{ACTS}", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", f"one{ACTS}")):
        subprocess.run(["git", *who, *command], check=True)
    good["shown"]["variants"][HOSTILE] = {"prompt": HOSTILE}
    good["shown"]["targeting"] = {
        "if": [{"==": [{"var": HOSTILE}, HOSTILE]}, HOSTILE, {"fractional": [["c", 1], ["b", 1]]}]
    }
    (tmp_path / "good" / "b.flagd.json").write_text(json.dumps({"flags": good}))
    withdrawn = Withdrawal("shown", HOSTILE, HOSTILE, fingerprint(HOSTILE), json.dumps(HOSTILE), HOSTILE)
    FileBoard().exchange(Outbox(withdrawn=(withdrawn,)))
    return tmp_path


@pytest.fixture
def said(project, monkeypatch, capfd):
    """Run a command in this process; what it prints and logs."""
    capfd.readouterr()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    root.handlers[:] = []  # pytest's, beside which a command makes none

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["windsock", *arguments])
        with pytest.raises(SystemExit):
            main()
        root.handlers[:] = []
        out = capfd.readouterr()
        return out.out + out.err

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.modules.pop("shown", None)


def faults(text):
    """What would act on a terminal or on a CI, pass for a line of ours, or be a traceback."""
    lines = text.replace(NO_BREAK_SPACE, " ").split("\n")
    yield from (line for line in lines if not line.isprintable())
    yield from (line for line in lines if line.startswith("FAKED"))
    yield from (line for line in lines if line.startswith("Traceback"))
    yield from (line for line in lines if "##[" in line or "##vso[" in line)
    yield from (line for line in lines if line.lstrip().startswith("::") and " file=" not in line)


def test_what_files_and_arguments_hold(said, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    found = {str(arguments): list(faults(said(*arguments))) for arguments in FILES}
    wrong = [f"{arguments}: {line!r}" for arguments, lines in found.items() for line in lines]
    assert wrong == [], "\n".join(wrong)


@pytest.fixture
def rows(database, monkeypatch):
    """A database in which every text is hostile."""
    monkeypatch.setenv("DATABASE_URL", database)
    use = Use(
        "shown",
        HOSTILE,
        uuid4(),
        "r1",
        HOSTILE,
        "test",
        HOSTILE,
        {HOSTILE: HOSTILE},
        [Healed(HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
    )
    sink = PostgresSink(database)
    sink.write([clean(Pending(uuid4(), datetime.now(UTC), use, Measured("q", 0.5, 10, 20, Decimal("0.1"))))])
    sink.close()
    with psycopg.connect(database, autocommit=True) as connection:
        create_token(connection, HOSTILE, Role.READER, [HOSTILE])
        connection.execute(
            "insert into app_configurations (name, description, settings) values (%s, %s, %s)",
            [HOSTILE, HOSTILE, json.dumps({HOSTILE: HOSTILE, "top_k": HOSTILE})],
        )
        connection.execute(
            "insert into profiles (id, config_id) select gen_random_uuid(), id from app_configurations where name = %s",
            [HOSTILE],
        )
    board = PostgresBoard(database)
    hidden = "h\u202e\u2066\u2028FAKED line"  # the table refuses control characters
    board.exchange(
        Outbox(withdrawn=(Withdrawal("shown.profile", hidden, hidden, "f", json.dumps(HOSTILE), HOSTILE),))
    )
    board.close()


@pytest.mark.usefixtures("rows")
def test_what_rows_hold(said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdin", StringIO(f"{HOSTILE}\n"))
    found = {str(arguments): list(faults(said(*arguments))) for arguments in ROWS}
    wrong = [f"{arguments}: {line!r}" for arguments, lines in found.items() for line in lines]
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(
    "arguments",
    [("lint",), ("plan", "good"), ("quarantine", "list", "--as-change"), ("quarantine", "list")],
    ids=" ".join,
)
def test_at_a_terminal(project, arguments):
    assert list(faults(at_80_columns(project, *arguments))) == []


def test_a_value_in_a_table_adds_no_line(capsys):
    grid = Grid()
    grid.add_column("value")
    grid.row("[red]\n\x1b[2J\u202e")
    grid.row(("two\n", "green"))
    print_grid(console_of(80), grid)
    print_lines(console_of(80), ("three\n", "bold"), "four\x9b", indent=2)
    assert capsys.readouterr().out.split("\n")[3:] == [
        " [red]\\n\\x1b[2J\\u202e",
        " two\\n",
        "",
        "  three\\nfour\\x9b",
        "",
    ]


def test_a_line_that_begins_with_a_file_s_name_is_no_command_to_github(tmp_path, said):
    (tmp_path / "::add-mask::e.flagd.json").write_text("{")
    (tmp_path / "::add-mask::e.py").write_text("import windsock\nlamp = windsock.feature('##[add-mask]e')")
    for arguments in (
        ["lint", "."],
        ["lint", ".", "--format", "github"],
        ["fmt", "."],
        ["refs"],
        ["diff", "::add-mask::e"],
    ):
        assert list(faults(said(*arguments))) == [], arguments
    assert r"\x3a:add-mask::e.flagd.json:1:2" in said("lint", ".")
    assert json.loads(said("refs", "--json"))[0]["flag"] == "##[add-mask]e"


def test_json_means_the_same(project, said):
    (project / "plan.json").unlink()
    printed = said("plan", "good", "--format", "json", "--out", "plan.json")
    assert json.loads(printed[: printed.index("\n}\n") + 2]) == json.loads(
        (project / "plan.json").read_text()
    )


def test_every_verb_is_tried():
    apart = {"dev", "demo", "serve"}
    assert {arguments[0] for arguments in [*FILES, *ROWS]} >= set(VERBS) - apart


def test_a_line_is_not_broken_at_a_no_break_space(capsys):
    print_lines(console_of(12), "an interval 95\N{NO-BREAK SPACE}% wide")
    assert capsys.readouterr().out == "an interval\n95\N{NO-BREAK SPACE}% wide\n"
