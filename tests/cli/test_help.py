"""What every command keeps, by walking all of them: help with an example, documentation, exit codes, completion."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import typer
from tests.cli.conftest import WINDSOCK, boolean
from typer.testing import CliRunner

from windsock.cli._app import GROUPS, VERBS, Verbs, app

DOCS = Path(__file__).parents[2] / "docs"
GROUP = typer.main.get_command(app)


def walked() -> list[tuple[str, ...]]:
    """Every command as it is typed: verbs, and the sub-commands of those that have some."""
    assert isinstance(GROUP, Verbs)
    commands = {verb: GROUP.get_command(None, verb) for verb in VERBS}
    inner = [(verb, name) for verb, command in commands.items() for name in getattr(command, "commands", {})]
    grouped = {verb for verb, _ in inner if not commands[verb].invoke_without_command}
    return [*((verb,) for verb in VERBS if verb not in grouped), *inner]


COMMANDS = walked()


def invoke(*arguments: str):
    return CliRunner().invoke(app, list(arguments), prog_name="windsock")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example_that_names_options_that_exist(command):
    done = invoke(*command, "--help")
    assert done.exit_code == 0
    assert re.search(r"\n\n  Example: .*\n\n", done.stdout), "a paragraph and a line of its own, to be copied"
    text = " ".join(done.stdout.split())
    [example] = re.findall(r"Example: (.*?)(?= (?:Arguments|Options):)", text)
    assert f"windsock {' '.join(command)}" in example
    assert "--install-completion" not in text, "that is an option of `windsock` itself"
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", example.replace("--sources", "")):
        assert option in done.stdout.partition("Options:")[2], option


@pytest.mark.parametrize("verb", sorted({verb for verb, *_ in COMMANDS if (verb,) not in COMMANDS}))
def test_a_verb_of_several_shows_its_help(verb):
    done = invoke(verb)
    assert "\n\nCommands:\n  " in done.output
    assert "\\n" not in done.output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_unknown_option_is_wrong_usage(command):
    done = invoke(*command, "--nonsense")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--nonsense" in done.stderr


def test_every_verb_is_documented_and_listed():
    listed = invoke("--help").stdout
    page = (DOCS / "cli.md").read_text()
    for verb, (_, line) in VERBS.items():
        assert f"| `windsock {verb}` |" in page
        assert re.search(rf"^  {verb} +{re.escape(line[:20])}", listed, re.MULTILINE), verb
    documented = re.findall(r"\| `windsock ([\w-]+)` \|", page)
    assert sorted(documented) == sorted(VERBS)


def test_an_unknown_verb_is_wrong_usage():
    done = invoke("lnt")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "lnt" in done.stderr


def at_a_terminal(folder: Path, *arguments: str, **variables: str) -> str:
    """Run the command with a terminal for stdout and stderr, and give what it wrote."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [WINDSOCK, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        env=environment | {"TERM": "xterm-256color"} | variables,
    ) as process:  # fmt: skip
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
        process.wait(60)
    os.close(ours)
    return written.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # a terminal without a writer
        return b""


def test_colour_only_at_a_terminal_and_never_with_no_color(windsock, write, tmp_path):
    write({"f": boolean(default="of")})
    assert "\x1b[31m  error" in at_a_terminal(tmp_path, "lint")
    assert "\x1b[" not in at_a_terminal(tmp_path, "lint", NO_COLOR="1")
    assert "\x1b[" not in windsock("lint").stdout


def test_progress_only_at_a_terminal(windsock, write, git, tmp_path):
    write({"f": boolean()})
    git("add", ".")
    git("commit", "-qm", "one")
    write({"f": boolean(default="on")})
    assert "\r\x1b[K10,000 users" in at_a_terminal(tmp_path, "plan")
    piped = windsock("plan")
    assert "\r" not in piped.stderr
    assert "users\r" not in piped.stdout


@pytest.fixture
def keys(write):
    """Flags whose keys begin alike."""
    write({"teacher": boolean(), "teacher.experiment": boolean(), "rag": boolean()})


@pytest.mark.parametrize("verb", ["eval", "history", "rollout", "refs"])
def test_a_shell_completes_the_keys_of_flags(windsock, keys, verb):
    for shell, variables in (
        ("bash", {"COMP_WORDS": f"windsock {verb} te", "COMP_CWORD": "2"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": f"windsock {verb} te"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": f"windsock {verb} te", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ):
        done = windsock(_WINDSOCK_COMPLETE=f"complete_{shell}", **variables)
        assert re.findall(r"\b(?:teacher\.experiment|teacher|rag)\b", done.stdout) == [
            "teacher",
            "teacher.experiment",
        ], shell


def test_a_real_bash_completes_verbs_and_keys(keys, tmp_path):
    bash = shutil.which("bash")
    assert bash is not None
    script = """
    eval "$(_WINDSOCK_COMPLETE=source_bash windsock)"
    function=$(complete -p windsock | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    COMP_WORDS=(windsock eval tea); COMP_CWORD=2; COMPREPLY=(); $function windsock; echo "${COMPREPLY[@]}"
    COMP_WORDS=(windsock ro); COMP_CWORD=1; COMPREPLY=(); $function windsock; echo "${COMPREPLY[@]}"
    """
    environment = os.environ | {"PATH": f"{WINDSOCK.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["teacher teacher.experiment", "rollout"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_offered_no_key_that_it_could_run(windsock, write, shell):
    """The script that Typer installs for zsh evaluates what it is offered."""
    write(
        {key: boolean() for key in ("team", "te$(touch ran)", 'te"; touch ran; "', "te`touch ran`", "te ran")}
    )
    arguments = {"COMP_WORDS": "windsock eval te", "COMP_CWORD": "2"}
    arguments |= {"_TYPER_COMPLETE_ARGS": "windsock eval te", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    offered = windsock(_WINDSOCK_COMPLETE=f"complete_{shell}", **arguments).stdout
    assert "team" in offered
    assert "ran" not in offered


def test_completion_is_silent_where_a_file_is_broken(windsock, keys, tmp_path):
    (tmp_path / "flagd" / "broken.flagd.json").write_text("{")
    done = windsock(_WINDSOCK_COMPLETE="complete_bash", COMP_WORDS="windsock eval te", COMP_CWORD="2")
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_misspelt_command_is_answered_with_the_nearest():
    done = invoke("lnt")
    assert done.exit_code == 2
    assert "there is no command 'lnt'; did you mean 'lint'?" in done.stderr
    assert "windsock --help lists them" in invoke("xyzzy").stderr


def test_ctrl_c_while_modules_are_imported_is_no_traceback():
    interrupted = """
        import sys
        class Interrupt:
            def find_spec(self, name, path=None, target=None):
                if name == "typer":
                    raise KeyboardInterrupt
        sys.meta_path.insert(0, Interrupt())
        from windsock.cli import main
        main()
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(interrupted)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_version():
    assert re.fullmatch(r"windsock \d+\.\d+\.\d+\n", invoke("--version").stdout)


@pytest.mark.parametrize("command", [(), *COMMANDS], ids=" ".join)
def test_help_fits_into_80_columns(command):
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*command, "--help"], prog_name="windsock")
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


def test_every_command_is_in_one_group():
    listed = invoke("--help").stdout
    for group, verbs in GROUPS.items():
        assert f"{group}:\n  {next(iter(verbs))}" in listed
    assert sum(map(len, GROUPS.values())) == len(VERBS)
