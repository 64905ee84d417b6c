"""What names mean to the search for uses: settings classes, features, and what holds them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

LONGEST: Final = 8
"""The last so many parts of dotted names are compared."""

DottedPath: TypeAlias = tuple[str, ...]
"""A dotted name in its parts."""


@dataclass(frozen=True, slots=True)
class FoundClass:
    """A settings class in the code: its flag and fields, and where it is."""

    name: str
    flag: str
    fields: tuple[str, ...]
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A class that isn't a settings class: the known attributes of its instances."""

    members: "dict[str, Known]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundFeature:
    """The result of `windsock.feature`: evaluated when called."""

    flag: str


Known: TypeAlias = FoundClass | Holder | FoundFeature
"""What a name or an attribute means."""


@dataclass(slots=True)
class Knowledge:
    """What one search knows so far: classes by name, and what each module's global names mean."""

    classes: dict[str, Known] = field(default_factory=dict)
    globals: dict[DottedPath, Known] = field(default_factory=dict)
    endings: dict[DottedPath, DottedPath] = field(default_factory=dict)
    """The first global whose path ends so; a file's path may begin above the package."""

    @property
    def size(self) -> int:
        """How much is known."""
        members = sum(len(each.members) for each in self.classes.values() if isinstance(each, Holder))
        return len(self.globals) + members

    @property
    def names(self) -> set[str]:
        """The names of what holds settings, features, or something that does."""
        holders = (
            name for name, each in self.classes.items() if not isinstance(each, Holder) or each.members
        )
        return {*holders, *(path[-1] for path in self.globals)}

    def hold(self, module: DottedPath, name: str, known: Known) -> None:
        """Remember what a global name of a module means."""
        full = (*module, name)
        self.globals[full] = known
        for number in range(len(module)):
            self.endings.setdefault(full[number:], full)

    def find(self, name: str) -> Known | None:
        """What ``package.module.name`` means."""
        full = self.endings.get(tuple(name.split(".")[-LONGEST:]))
        return None if full is None else self.globals[full]


def module_path(path: str) -> DottedPath:
    """The last parts of a file's path, as they match those of an import."""
    parts = Path(path).with_suffix("").parts
    return (parts[:-1] if parts[-1] == "__init__" else parts)[1 - LONGEST :]
