"""What a project says about its flags in pyproject.toml, under ``[tool.windsock]``.

The file and the code around it may be a stranger's branch, so code is imported only if the command line names
it.
"""

import importlib
import os
import re
import sys
import tomllib
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final, TypeGuard

import typer

from windsock.errors import ConfigurationError, UnreachableError, WindsockError
from windsock.lint.linter import LintOptions
from windsock.lint.rules import BY_CODE
from windsock.plain_files import read_plain
from windsock.settings.declaration import Declaration
from windsock.settings.feature_values import DeclaredFeature
from windsock.settings.features import Feature
from windsock.settings.process import process
from windsock.settings.settings import Settings
from windsock.text import did_you_mean, one_line

LISTED: Final = "pyproject.toml"
"""Instead of a class's name, means all the classes that the project lists."""

Classes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODULE:CLASS", help="Settings classes to import, or pyproject.toml for those it lists."
    ),
]

_TOKEN: Final = re.compile(r"""("[^"\\\n]*(?:\\.[^"\\\n]*)*"?|'[^'\n]*'?|[\w-]+|[ \t]+)|\.|#[^\n]*|[^.#]""")
"""A token of TOML; the group is one that the parts of a dotted key are made of."""

_MAX_PARTS: Final = 100


def lint_options(enabled: Sequence[str]) -> LintOptions:
    """The linter's options: ``enable`` and ``attributes`` of ``[tool.windsock.lint]``, and the command's.

    Raises:
        ConfigurationError: A code does not exist, or an option has another type.
    """
    section = _section("lint")
    codes = [*_names(section, "enable"), *enabled]
    for code in codes:
        if code not in BY_CODE:
            raise ConfigurationError(
                f"the linter has no code {code!r}; `windsock lint --explain all` lists them"
            )
    return LintOptions(frozenset(codes), frozenset(_names(section, "attributes")), datetime.now(UTC).date())


def settings_classes(names: Sequence[str]) -> tuple[type[Settings], ...]:
    """Import the settings classes that the command line names.

    Args:
        names: Each ``module:Class``, or ``pyproject.toml`` for those listed as ``settings`` in its
            ``[tool.windsock]``.

    Raises:
        ConfigurationError: A name is malformed, or the class can't be found.
    """
    return tuple(_checked(name, *_named(name)) for name in _each_name(names))


def at_least_one(classes: Sequence[type[Settings]]) -> list[Declaration]:
    """The classes' declarations, for a command that can do nothing without one.

    Raises:
        ConfigurationError: No settings class was given.
    """
    if not classes:
        raise ConfigurationError(
            "name a settings class, such as app.settings:Teacher, or pyproject.toml for those that it "
            'lists as settings = ["…"] under [tool.windsock]'
        )
    return [each.__windsock__.declaration for each in classes]


def declared(names: Sequence[str]) -> tuple[list[Declaration], list[DeclaredFeature[Any]]]:
    """The classes that the command line names, and the features of every module that importing them loads.

    Args:
        names: As for `settings_classes`; a name may also be a feature's, ``module:feature``.

    Raises:
        ConfigurationError: A name is malformed, or can't be found.
    """
    found = [(name, *_named(name)) for name in _each_name(names)]
    classes = [_checked(*each) for each in found if not isinstance(each[2], Feature)]
    features = [each for each in process.readers if isinstance(each, DeclaredFeature)]
    return at_least_one(classes) if classes or not features else [], features


def class_with_flag(classes: Sequence[type[Settings]], flag: str) -> type[Settings]:
    """The class that reads a flag.

    Raises:
        ConfigurationError: None of them does.
    """
    for each in classes:
        if each.__windsock__.declaration.flag == flag:
            return each
    raise ConfigurationError(
        f"no settings class named here has the flag {flag!r}; name its class with --settings module:Class, "
        "or --settings pyproject.toml for those it lists"
    )


def _is_settings(found: object) -> TypeGuard[type[Settings]]:
    return isinstance(found, type) and issubclass(found, Settings) and found is not Settings


def _each_name(names: Sequence[str]) -> Iterable[str]:
    listed = [_names(_section(), "settings") if name == LISTED else [name] for name in names]
    return dict.fromkeys(chain.from_iterable(listed))


def _named(name: str) -> tuple[ModuleType, Any]:
    """Import what ``module:Name`` names: the module, and the object or None."""
    module_name, _, object_name = name.partition(":")
    if not module_name or not object_name:
        raise ConfigurationError(
            f"{name!r} is not a settings class's name; write module:Class, such as app.settings:Teacher"
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # `python -m` adds it, a console script doesn't
    module = _imported(name, module_name)
    found: Any = module
    for part in object_name.split("."):
        found = getattr(found, part, None)
    return module, found


def _imported(name: str, module_name: str) -> ModuleType:
    failed = f"{name}: the module cannot be imported"
    try:
        return importlib.import_module(module_name)
    except WindsockError:
        raise
    except ImportError as error:
        advice = "run this in the project's folder, with its packages installed"
        raise ConfigurationError(f"{failed}: {error}; {advice}") from error
    except (Exception, SystemExit) as error:
        message = error.msg if isinstance(error, SyntaxError) else one_line(error)
        raise ConfigurationError(f"{failed}: {_place(error)}: {type(error).__name__}: {message}") from error


def _place(error: BaseException) -> str:
    """The file and the line that raised an error, which Python also gives for a line that it can't parse."""
    path, line = traceback.extract_tb(error.__traceback__)[-1][:2]
    if isinstance(error, SyntaxError) and error.filename is not None:
        path, line = error.filename, error.lineno
    return f"{os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path}:{line}"


def _checked(name: str, module: ModuleType, found: object) -> type[Settings]:
    if not _is_settings(found):
        class_name = name.partition(":")[2]
        known = [each for each, value in vars(module).items() if _is_settings(value)]
        hint = did_you_mean(class_name, known)
        raise ConfigurationError(
            f"{name}: {class_name} is not a windsock.Settings class of that module{hint}"
        )
    return found


def _has_deep_key(text: str) -> bool:
    """Whether a dotted key would take gigabytes to parse: `tomllib` keeps each of its beginnings."""
    dots = 0
    for token in _TOKEN.finditer(text):
        if token[0] == ".":
            dots += 1
            if dots == _MAX_PARTS:
                return True
        elif not token[1]:
            dots = 0
    return False


def _section(*names: str) -> Mapping[str, Any]:
    try:
        text = read_plain(Path("pyproject.toml")).decode()
        if _has_deep_key(text):
            raise ConfigurationError(f"pyproject.toml: a key of more than {_MAX_PARTS} parts; flatten it")
        data: Any = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnreachableError(f"pyproject.toml: cannot be read: {error.strerror}") from error
    except ValueError as error:  # not TOML, not UTF-8, or a number of too many digits
        raise ConfigurationError(f"pyproject.toml: {error}") from error
    except RecursionError:
        raise ConfigurationError("pyproject.toml: nested too deep") from None
    for name in ("tool", "windsock", *names):
        data = data.get(name, {})
        if not isinstance(data, dict):
            raise ConfigurationError(f"pyproject.toml: {name!r} is not a table")
    return data  # type: ignore[no-any-return]


def _names(section: Mapping[str, Any], name: str) -> list[str]:
    values = section.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ConfigurationError(f"pyproject.toml: {name} must be a list of texts")
    return values
