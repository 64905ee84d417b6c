"""A folder in which a page's blocks run, in order: files, commands, Python, SQL."""

import asyncio
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import yaml
from tests.docs.blocks import REPOSITORY, Block

_SCRIPTS = Path(sys.executable).parent
_PROJECT = '[tool.windsock]\nsettings = ["app.settings:Teacher"]\n'
_SETTINGS = '''"""What the pages' commands check against."""

from pydantic import Field

import windsock


class Teacher(windsock.Settings, flag="teacher"):
    """The class that the README begins with."""

    retrieval_top_k: int = Field(10, ge=1, le=200)
    rerank_top_n: int = Field(3, ge=1)
    reasoning_model: str = Field("gpt-4o-mini", validation_alias="OPENAI_CHAT_MODEL")
    temperature: float = Field(0.7, ge=0, le=2)
'''
_SWITCH = """{
  "flags": {
    "rag_v2": {
      "state": "ENABLED",
      "variants": { "on": true, "off": false },
      "defaultVariant": "off"
    }
  }
}
"""
_TIMEOUT = 180  # seconds for one block's commands


class Workspace:
    """The folder of one page, with the names that its Python defined so far."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.names: dict[str, object] = {"__name__": "page"}
        self._variables = os.environ | {
            "PATH": f"{_SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{who}_{what}": "docs@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            **variables,
        }  # fmt: skip

    def make_project(self) -> None:
        """A small repository: one settings class, two flag files, one commit on ``main`` and ``origin/main``."""
        (self.folder / "app").mkdir()
        (self.folder / "app/settings.py").write_text(_SETTINGS)
        (self.folder / "pyproject.toml").write_text(_PROJECT)
        (self.folder / "flagd").mkdir()
        shutil.copy(REPOSITORY / "flagd/teacher.flagd.json", self.folder / "flagd")
        (self.folder / "flagd/rag.flagd.json").write_text(_SWITCH)
        self.shell(
            "git init -q -b main && git add -A && git commit -qm 'first flags'"
            " && git update-ref refs/remotes/origin/main main"
        )

    def run(self, block: Block) -> None:
        """Carry out a block.

        Raises:
            AssertionError: It does something else than the page says.
        """
        if block.mark == "file":
            return self._write(block)
        return _RUNNERS[block.language](self, block)

    def shell(self, command: str, expected: int = 0) -> str:
        """A command's output, both streams."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=self.folder, env=self._variables,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
        assert done.returncode == expected, f"{command}\nexit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def _write(self, block: Block) -> None:
        path = self.folder / block.value
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        if path.suffix == ".py":
            compile(block.text, block.place, "exec")

    def python(self, block: Block) -> None:
        """A block in the page's namespace; test files go to pytest."""
        if re.search(r"^(async )?def test_|^    def test_", block.text, re.MULTILINE):
            (self.folder / "test_page.py").write_text(block.text)
            self.shell(
                f"{sys.executable} -m pytest -q -W error -p no:cacheprovider --basetemp pytest test_page.py"
            )
            return
        code = compile(block.text, block.place, "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, self.names)
        if inspect.iscoroutine(result):
            asyncio.run(result)

    def commands(self, block: Block) -> None:
        self.shell(block.text, int(block.value) if block.mark == "exit" else 0)

    def console(self, block: Block) -> None:
        """Each line after ``$`` is run; what follows is its output, where ``...`` stands for anything."""
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            while command.endswith("\\"):
                more, _, expected = expected.partition("\n")
                command = f"{command[:-1]}{more.removeprefix('> ')}"
            shown = self.shell(command, int(block.value) if block.mark == "exit" else 0)
            if expected.strip():
                pattern = ".*".join(re.escape(text) for text in _plain(expected).split("..."))
                assert re.fullmatch(pattern, _plain(shown), re.DOTALL), f"{command}\n{shown}"

    def json(self, block: Block) -> None:
        """Valid JSON; a flag document is linted too."""
        text = block.text if block.text.lstrip().startswith(("{", "[")) else f"{{{block.text}}}"
        if "flags" in json.loads(text):
            (self.folder / "page.flagd.json").write_text(text)
            self.shell("windsock lint page.flagd.json")

    def toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def yaml(self, block: Block) -> None:
        assert list(yaml.safe_load_all(block.text))

    def sql(self, block: Block) -> None:
        with psycopg.connect(self._variables["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(block.text)


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


_RUNNERS: Mapping[str, Callable[[Workspace, Block], None]] = {
    "setup": Workspace.python,
    "python": Workspace.python,
    "sh": Workspace.commands,
    "console": Workspace.console,
    "json": Workspace.json,
    "toml": Workspace.toml,
    "yaml": Workspace.yaml,
    "sql": Workspace.sql,
}
LANGUAGES = frozenset(_RUNNERS)
