"""The options that the sub-commands of `windsock mirror` share, as one list."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeVar, get_type_hints

import typer

from windsock.cli._database import DatabaseUrl
from windsock.cli._project import settings_classes
from windsock.cli._service_log import LogFormat
from windsock.flag_names import MIRROR_FOLDER
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.mirror.options import MirrorOptions

FOLDER: Final = DEFAULT_FOLDER / MIRROR_FOLDER


class Unfit(StrEnum):
    """What happens to a configuration that does not fit its settings class."""

    PUBLISH = "publish"
    HOLD_BACK = "hold-back"


Flags = Annotated[
    list[str],
    typer.Option(
        "--flag",
        envvar="WINDSOCK_MIRROR_FLAGS",
        help="A settings class's flag name; repeat it for several (space-separated in the variable).",
    ),
]
Folder = Annotated[Path, typer.Option(help="The mirror's own folder of flagd files.")]
GitFolder = Annotated[Path, typer.Option(help="The folder of the flag files in Git.")]
Shards = Annotated[
    int | None,
    typer.Option(help="How many files; fixed when the folder is set up. Default: as set up, else 1."),
]
Group = Annotated[
    str, typer.Option(help="Mirrors of one group share a folder: one leads, the others stand by.")
]
AllowShrink = Annotated[
    bool, typer.Option("--allow-shrink", help="Let one publication remove many assignments.")
]
SettingsClasses = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:CLASS",
        help="A settings class that configurations are checked against; repeat it. With several flags, each"
        " class gets the keys that are its fields.",
    ),
]
WhenUnfit = Annotated[
    Unfit, typer.Option(help="What to do with a configuration that does not fit its settings class.")
]
Log = Annotated[LogFormat, typer.Option(help="Lines for people, or one JSON object a line.")]
LearningConfig = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FLAG[:TABLE]",
        help="Also write this flag's base values into a table (learning_config) for SQL; needs the flag's"
        " class in --settings. Repeat it.",
    ),
]
Units = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FLAG:TABLE",
        help="Also write what this flag's rules decide for each id in a table, such as campaigns, beside its"
        " base values. Repeat it.",
    ),
]
Environment = Annotated[str, typer.Option(envvar="ENVIRONMENT", help="The environment of those base values.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Which configurations are mirrored, and where to."""

    flag: Flags
    database_url: DatabaseUrl = None
    folder: Folder = FOLDER
    shards: Shards = None
    settings: SettingsClasses = None
    unfit: WhenUnfit = Unfit.PUBLISH
    log_format: Log = LogFormat.TEXT
    learning_config: LearningConfig = None
    units: Units = None
    git_folder: GitFolder = DEFAULT_FOLDER
    environment: Environment = "production"

    def mirror(self, url: str) -> MirrorOptions:
        """The mirror's own options."""
        return MirrorOptions(
            url=url,
            flags=tuple(self.flag),
            folder=self.folder,
            shards=self.shards,
            settings=settings_classes(self.settings or ()),
            hold_back_misfits=self.unfit is Unfit.HOLD_BACK,
            learning_config=tuple(self.learning_config or ()),
            units=tuple(self.units or ()),
            git_folder=self.git_folder,
            environment=self.environment,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions(ReadOptions):
    """Those of a command that also writes."""

    group: Group = "default"
    allow_shrink: AllowShrink = False

    def mirror(self, url: str) -> MirrorOptions:
        """The mirror's own options."""
        read = ReadOptions.mirror(self, url)
        return replace(read, group=self.group, allow_shrink=self.allow_shrink)


Options = TypeVar("Options", bound=ReadOptions)
Own = ParamSpec("Own")


def taking(
    options: type[Options],
) -> Callable[[Callable[Concatenate[Options, Own], None]], Callable[..., None]]:
    """Make a command of a function whose first parameter is an object of options: each field becomes one."""
    hints = get_type_hints(options, include_extras=True)
    shared = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.default is MISSING else each.default,
            annotation=hints[each.name],
        )
        for each in fields(options)
    ]

    def decorate(function: Callable[Concatenate[Options, Own], None]) -> Callable[..., None]:
        @wraps(function)
        def command(**given: Any) -> None:
            taken = options(**{each.name: given.pop(each.name) for each in shared})
            function(taken, **given)  # type: ignore[call-arg]

        own = list(inspect.signature(function).parameters.values())[1:]
        command.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
        return command

    return decorate
