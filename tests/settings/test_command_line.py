"""The command line of a service is a layer, as pydantic-settings reads it."""

import argparse
import sys
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliImplicitFlag,
    CliPositionalArg,
    CliSettingsSource,
    CliSubCommand,
    SettingsConfigDict,
    SettingsError,
    get_subcommand,
)
from tests.flagfiles import object_flag, profile_flag
from tests.settings.teacher import Serve

import windsock

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"
BASES = [BaseSettings, windsock.Settings]


class Pool(BaseModel):
    size: int = 1
    names: list[str] = []


class Clone(BaseModel):
    url: CliPositionalArg[str]
    depth: int = 0


def app(base: Any, **config: Any) -> Any:
    class App(base):
        model_config = SettingsConfigDict(**config)
        port: int = 1
        host_name: str = "-"
        verbose: CliImplicitFlag[bool] = False
        pool: Pool = Pool()
        level: int = Field(1, validation_alias=AliasChoices("l", "level"))
        ran: bool = False

        def cli_cmd(self) -> None:
            self.ran = True

    return App


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({}, "--port 5 --pool.size 3 --verbose"),
        ({}, '--pool {"size":4} --pool.names a --pool.names b,c'),
        ({}, "-l 3"),
        ({}, "--level 4 --no-verbose"),
        ({"cli_kebab_case": True}, "--host-name h"),
        ({"cli_prefix": "app"}, "--app.port 7"),
        ({"cli_ignore_unknown_args": True}, "--port 5 --other 6"),
        ({"cli_shortcuts": {"port": "p"}}, "-p 8"),
    ],
)
def test_it_is_read_as_before(config: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["serve", *line.split()])
    before, after = (app(base, cli_parse_args=True, **config) for base in BASES)
    wanted = before().model_dump()
    assert wanted != app(BaseSettings)().model_dump()
    ways = after(), after.for_user("ann"), after.live()
    assert [each.model_dump() for each in ways] == [wanted] * 3
    assert CliApp.run(after, line.split()).model_dump() == CliApp.run(before, line.split()).model_dump()
    given = app(windsock.Settings, **config)(_cli_parse_args=line.split())
    assert given.model_dump() == wanted


def test_it_is_a_layer_above_the_environment_and_below_a_profile(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["serve", "--port", "5"])
    monkeypatch.setenv("PORT", "4")
    serve(
        {
            "app": object_flag({"on": {"port": 3}}, "on"),
            "app.profile": profile_flag({CONFIG: {"port": 6}}, {"ann": CONFIG}),
        }
    )
    served = app(windsock.Settings, cli_parse_args=True)
    assert (served.live().port, served.for_user("ann").port) == (5, 6)
    assert windsock.explain(served.live())["port"].layer == "command line"


@pytest.mark.parametrize("base", BASES)
def test_a_value_that_is_invalid_is_an_error_for_who_typed_it(
    base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationError, match="valid integer"):
        CliApp.run(app(base), ["--port", "many"])
    monkeypatch.setattr(sys, "argv", ["serve", "--port", "many"])
    with pytest.raises(ValidationError, match="valid integer"):
        app(base, cli_parse_args=True)()


def test_but_never_raises_in_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["serve", "--port", "many", "--host_name", "h"])
    ann = app(windsock.Settings, cli_parse_args=True).for_user("ann")
    assert (ann.port, ann.host_name) == (1, "h")
    assert [text.split(":")[0] for text in windsock.explain(ann).refused] == ["port from command line"]


def test_that_of_a_server_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gunicorn", "--workers", "4", "app:app"])
    monkeypatch.setenv("PORT", "4")
    served = app(windsock.Settings, cli_parse_args=True)
    windsock.reload()
    assert (served.live().port, served.for_user("ann").port) == (4, 4)
    assert "App: the command line is left out: error parsing CLI: unrecognized arguments" in caplog.text
    assert capsys.readouterr().err == ""
    for base in BASES:
        with pytest.raises(SystemExit):
            app(base, cli_parse_args=True)()
        with pytest.raises(SettingsError):
            app(base, cli_parse_args=True, cli_exit_on_error=False)()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("line", "code"), [(["--help"], 0), (["--nope"], 2)])
def test_help_and_unknown_options_end_the_program(base: Any, line: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        CliApp.run(app(base), line)
    assert ended.value.code == code


@pytest.mark.parametrize("base", BASES)
def test_subcommands(base: Any) -> None:
    class Git(base):
        quiet: CliImplicitFlag[bool] = False
        clone: CliSubCommand[Clone]

    git = CliApp.run(Git, ["--quiet", "clone", "https://a.test/r", "--depth", "2"])
    assert git.quiet
    assert get_subcommand(git) == Clone(url="https://a.test/r", depth=2)


@pytest.mark.parametrize("base", BASES)
def test_a_source_with_a_parser_of_the_programs_own(base: Any) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--program-option")
    source = CliSettingsSource(app(base), root_parser=parser)
    parsed = parser.parse_args(["--program-option", "x", "--port", "9"])
    assert app(base)(_cli_settings_source=source(parsed_args=parsed)).port == 9
