"""Files that are no flag files, in every command that reads them: one message, the exit code, nothing changed."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import boolean

from windsock.flagfiles.formatting import formatted

GOOD = json.dumps({"flags": {"f": boolean()}}, indent=2)

UNREADABLE = [
    ("a byte order mark", b"\xef\xbb\xbf" + GOOD.encode(), "1:1", "byte order mark"),
    ("other bytes than UTF-8", GOOD.replace("f", "\xff").encode("latin-1"), "2:4", "is not UTF-8"),
    ("cut off", GOOD.encode()[:40], "4:", "cut off"),
    ("a comment", b"{\n  // flags\n" + GOOD.encode()[2:], "2:3", "JSON has no comments"),
    (
        "a merge conflict",
        b"{\n<<<<<<< HEAD\n" + GOOD.encode()[2:],
        "2:1",
        "there is a merge conflict here; resolve it in Git",
    ),
    ("nothing", b"", "", "is empty"),
    ("another document", b'{"name": "a package"}', "1:1", 'has no "flags"'),
]
READERS = [
    ("fmt",),
    ("eval", "f", "-u", "ada"),
    ("diff", "flagd/good.flagd.json", "flagd/bad.flagd.json"),
    ("plan",),
    ("check", "app:Teacher"),
    ("rollout", "f", "--to", "50"),
    ("stale",),
]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder that is not Git's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts and "__pycache__" not in path.parts
    }


@pytest.fixture
def project(tmp_path, write, git):
    """A repository with a good flag file, a settings class, and one commit."""
    path = write({"g": boolean()}, "good")
    path.write_bytes(formatted(path.read_bytes(), path.name))
    (tmp_path / "app.py").write_text(
        "import windsock\nclass Teacher(windsock.Settings, flag='t'):\n    k: int = 3\n"
    )
    git("add", ".")
    git("commit", "-qm", "one")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "unreadable"),
    [*((each, UNREADABLE[0]) for each in READERS), *zip(READERS, UNREADABLE, strict=True)],
)
def test_an_unreadable_file_is_reported_and_nothing_is_written(windsock, project, arguments, unreadable):
    _, data, place, words = unreadable
    (project / "flagd" / "bad.flagd.json").write_bytes(data)
    before = contents(project)
    done = windsock(*arguments)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert f"flagd/bad.flagd.json:{place}" in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(project) == before


@pytest.mark.parametrize(
    ("data", "place"), [each[1:3] for each in UNREADABLE], ids=[each[0] for each in UNREADABLE]
)
def test_lint_lists_an_unreadable_file_and_goes_on(windsock, project, data, place):
    (project / "flagd" / "bad.flagd.json").write_bytes(data)
    (project / "flagd" / "worse.flagd.json").write_text('{"flags": {"w": {}}}')
    done = windsock("lint")
    assert done.returncode == 1
    assert done.stdout.startswith(f"flagd/bad.flagd.json:{place}")
    assert "unreadable" in done.stdout.splitlines()[0]
    assert "flagd/worse.flagd.json" in done.stdout


def test_a_key_written_twice_is_an_error_at_the_second(windsock, project):
    path = project / "flagd" / "bad.flagd.json"
    path.write_text(
        '{"flags": {\n"f": {"state": "ENABLED", "state": "DISABLED", "variants": {"a": 1}, "defaultVariant": "a"}}}'
    )
    done = windsock("lint")
    assert done.returncode == 1
    assert done.stdout.startswith("flagd/bad.flagd.json:2:")
    assert "written twice" in done.stdout
    before = path.read_bytes()
    assert windsock("fmt").returncode == 1
    assert path.read_bytes() == before, "one of the two values was dropped"


def test_a_link_to_itself_and_what_cannot_be_reached_are_exit_code_4(windsock, project):
    (project / "loop.flagd.json").symlink_to("loop.flagd.json")
    before = contents(project)
    for arguments in (
        ("lint", "loop.flagd.json"),
        ("fmt", "loop.flagd.json"),
        ("plan", "loop.flagd.json"),
        ("eval", "f", "--flags", "loop.flagd.json"),
        ("check", "app:Teacher", "--flags", "loop.flagd.json"),
        ("lint", "nowhere"),
        ("plan", "--users", "nowhere.csv"),
        ("plan", "--who", "app.py/who.csv"),
        ("plan", "--out", "app.py/plan.json"),
        ("apply", "nowhere.json"),
        ("import", "nowhere.yaml"),
    ):
        done = windsock(*arguments)
        assert done.returncode == 4, (arguments, done.stdout, done.stderr)
        assert done.stderr.startswith("windsock: "), arguments
        assert "Traceback" not in done.stderr, arguments
    assert contents(project) == before


def test_a_path_that_no_system_has_is_one_line(windsock, project):
    for name in ("a" * 300, "b/" * 2_500 + "x"):
        for arguments in (
            ("plan", "--out", name), ("diff", name), ("eval", "f", "--flags", name), ("refs", "--code", name),
            ("import", "app.py", "--module", name), ("experiment", "check", "--flags", name), ("migrate", "--folder", name, "--status"),
        ):  # fmt: skip
            done = windsock(*arguments)
            assert done.returncode in (1, 4), arguments[:2]
            assert done.stderr.splitlines()[-1].startswith("windsock: "), arguments[:2]


@pytest.mark.parametrize("command", [("lint", "--fix"), ("fmt",)])
def test_nothing_is_written_through_a_link(windsock, project, command):
    real = project / "real.json"
    real.write_text('{"flags": {"f": {"variants": {"on": true}, "defaultVariant": "on"}}}')
    link = project / "flagd" / "linked.flagd.json"
    link.symlink_to("../real.json")
    before = real.read_text()
    done = windsock(*command)
    assert done.returncode == 4
    assert "linked.flagd.json: it is a link; name its target" in done.stderr
    assert link.is_symlink()
    assert real.read_text() == before


@pytest.mark.parametrize(
    "command", [("lint", "--fix"), ("fmt",), ("rollout", "f", "--variant", "off", "--otherwise", "on")]
)
@pytest.mark.parametrize("absolute", [False, True])
def test_nothing_is_written_through_a_linked_folder(windsock, tmp_path, tmp_path_factory, command, absolute):
    away = tmp_path_factory.mktemp("away")
    (away / "a.flagd.json").write_text(
        '{"flags": {"f": {"variants": {"on": true, "off": false}, "defaultVariant": "on"}}}'
    )
    (tmp_path / "flagd").symlink_to(away)
    before = contents(away)
    named = tmp_path / "flagd" if absolute else Path("flagd")
    done = windsock(*command, *(["--flags"] if "rollout" in command else []), str(named))
    assert done.returncode == 4
    assert done.stderr == f"windsock: {named}: it is a link; name its target\n"
    assert contents(away) == before


@pytest.mark.parametrize("option", ["--out", "--who"])
@pytest.mark.parametrize("linked", ["made", "made/file"])
def test_what_a_plan_gives_is_not_written_through_a_link(windsock, project, tmp_path_factory, option, linked):
    away = tmp_path_factory.mktemp("away")
    (away / "rc").write_text("mine\n")
    (project / "made").symlink_to(away / "rc" if linked == "made" else away)
    (project / "flagd" / "good.flagd.json").write_text(json.dumps({"flags": {}}))
    before = contents(away)
    done = windsock("plan", "--users", "5", option, linked)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        4,
        "windsock: made: it is a link; name its target",
    )
    assert contents(away) == before


def test_lines_for_git_are_added_to_a_file_in_any_encoding(windsock, tmp_path):
    (tmp_path / ".gitattributes").write_bytes(b"\xff diff=x")
    assert windsock("init").returncode == 0
    assert (tmp_path / ".gitattributes").read_bytes() == b"\xff diff=x\n*.flagd.json diff=flagd\n"


@pytest.mark.parametrize("linked", ["flagd", "flagd/features.flagd.json", ".gitignore", ".gitattributes"])
def test_first_files_are_not_written_through_a_link(windsock, tmp_path, tmp_path_factory, linked):
    away = tmp_path_factory.mktemp("away")
    (away / "rc").write_text("mine\n")
    (tmp_path / linked).parent.mkdir(exist_ok=True)
    (tmp_path / linked).symlink_to(
        away if linked == "flagd" else away / "rc" if linked.startswith(".") else away / "new"
    )
    before = contents(away)
    done = windsock("init")
    assert done.returncode == 4
    assert f"windsock: {linked}: it is a link; name its target\n" in done.stderr
    assert contents(away) == before


def test_a_link_out_of_the_folder_is_not_read(windsock, project, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.json"
    secret.write_text('{"password": "hunter2"}')
    (project / "flagd" / "linked.flagd.json").symlink_to(secret)
    for command in ("lint", "plan", "fmt", "diff"):
        done = windsock(command)
        assert done.returncode == 4, command
        assert "this link leads out of the folder" in done.stderr
        assert "hunter2" not in done.stdout + done.stderr


def test_fifty_megabytes_are_read_and_warned_of(windsock, project):
    users = [f"user-{number:040d}" for number in range(1_000_000)]
    flag = boolean({"if": [{"in": [{"var": "targetingKey"}, users]}, "on"]})
    path = project / "flagd" / "large.flagd.json"
    path.write_text(json.dumps({"flags": {"large": flag}}))
    assert path.stat().st_size > 48_000_000
    done = windsock("lint")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert "large-file  47 MB, more than clients of flagd's stream accept" in done.stdout
    done = windsock("eval", "large", "-u", users[-1])
    assert (done.returncode, done.stdout) == (0, "true\n")


def test_a_file_too_large_to_read_is_refused_unread(windsock, project):
    with (project / "flagd" / "huge.flagd.json").open("wb") as file:
        file.truncate(300 * 1024 * 1024)  # sparse
    done = windsock("eval", "g")
    assert done.returncode == 1
    assert "flagd/huge.flagd.json: 314572800 bytes are more than 268435456; split the file" in done.stderr


def test_a_dirty_tree_is_planned_and_said(windsock, project, write, git):
    write({"g": boolean(default="on")}, "good")
    done = windsock("plan", "--users", "10")
    assert done.returncode == 3
    assert "planned from the working tree, with 1 uncommitted file\n" in done.stderr
    git("commit", "-aqm", "two")
    done = windsock("plan", "--against", "HEAD~1", "--users", "10")
    assert done.returncode == 3
    assert "uncommitted" not in done.stderr


def test_a_shallow_clone_says_what_to_fetch(windsock, project, write, git):
    write({"g": boolean(default="on")}, "good")
    git("commit", "-aqm", "two")
    git("clone", "-q", "--depth", "1", f"file://{project}", "shallow")
    done = windsock("plan", "--against", "HEAD~1", folder="shallow")
    assert done.returncode == 1
    assert "fetch-depth: 0" in done.stderr


def test_a_plan_outside_of_git_is_exit_code_4(windsock, write, tmp_path):
    write({"g": boolean()})
    done = windsock("plan", GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert done.returncode == 4
    assert "not a git repository" in done.stderr
