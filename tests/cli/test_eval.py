"""`windsock eval` as a program."""

import json
import signal
import subprocess

from tests.cli.conftest import WINDSOCK, boolean

PRO = {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", {"fractional": [["on", 50], ["off", 50]]}]}


def test_the_value_alone_is_on_stdout(windsock, write):
    write({"beta": boolean(PRO)})
    done = windsock("eval", "beta", "-c", "tier=pro")
    assert (done.returncode, done.stdout) == (0, "true\n")
    assert "variant on, TARGETING_MATCH, flagd/a.flagd.json:3" in done.stderr


def test_the_explanation_shows_what_each_condition_saw(windsock, write):
    write({"beta": boolean(PRO)})
    done = windsock("eval", "beta", "-c", "tier=free", "--user", "ada", "--explain", "--json")
    data = json.loads(done.stdout)
    first, second = data["steps"]
    assert first["found"] == 'false  (tier = "free")'
    assert second["text"] == "on 50 %, off 50 %"
    assert f'(v2): "{data["variant"]}"' in second["found"]
    assert data["context"] == {"environment": "production", "tier": "free", "targetingKey": "ada"}


def test_values_are_json_where_they_read_as_json(windsock, write):
    rule = {"if": [{"and": [{">": [{"var": "age"}, 17]}, {"==": [{"var": "company.plan"}, "pro"]}]}, "on"]}
    write({"beta": boolean(rule)})
    assert windsock("eval", "beta", "-c", "age=18", "-c", '{"company": {"plan": "pro"}}').stdout == "true\n"
    assert windsock("eval", "beta", "-c", "age=17", "-c", '{"company": {"plan": "pro"}}').stdout == "false\n"


def test_what_goes_wrong_is_said(windsock, write):
    write({"beta": boolean({"if": [True, "onn"]})})
    done = windsock("eval", "beta")
    assert (done.returncode, done.stdout) == (1, "the code default\n")
    assert "'onn', which is not a variant" in done.stderr
    done = windsock("eval", "bta")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no flag is named 'bta'; did you mean 'beta'?" in done.stderr
    assert windsock("eval", "beta", "-c", "tier").returncode == 1


def test_watch_evaluates_again_when_a_file_changes(write, tmp_path):
    write({"beta": boolean()})
    command = [WINDSOCK, "eval", "beta", "--watch"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "false\n"
            write({"beta": boolean(default="on")})
            assert process.stdout.readline() == "true\n"
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def test_a_class_that_reads_the_command_line_is_explained_by_its_own(windsock, tmp_path):
    (tmp_path / "served.py").write_text(
        "import windsock\n"
        "from pydantic_settings import SettingsConfigDict\n\n\n"
        "class Served(windsock.Settings):\n"
        "    model_config = SettingsConfigDict(cli_parse_args=True)\n"
        "    port: int = 1\n"
    )
    assert windsock("init", "served:Served").returncode == 0
    ran = windsock("explain", "served", "--settings", "served:Served", PORT="4")
    assert ran.returncode == 0, ran.stderr
    assert "port" in ran.stdout
    assert "unrecognized arguments" not in ran.stderr
