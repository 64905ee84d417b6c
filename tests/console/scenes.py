"""What a console may have to show: nothing, one row, ten thousand, long names, right-to-left text."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.console.conftest import ADA, document
from tests.console.hostile import plant
from tests.console.records import fill, fill_thousands

import windsock

LONG = "a profile whose name says everything about what it is for and when it may be used " * 2
UNBROKEN = "w" * 180
ARABIC = "الملف الشخصي للمعلمين الذين يجيبون بإجابات طويلة"


@dataclass(frozen=True, slots=True)
class Names:
    """What the pages of one thing are opened for."""

    profile: str = "warm"
    flag: str = "new_editor"
    user: str = str(ADA)


def nothing(connection, folder):
    """A project of the first minute: a class, and neither flags nor rows."""
    connection.execute("truncate profiles, app_configurations, windsock.profile_changes cascade")
    for path in [*folder.glob("*.flagd.json"), *folder.glob("mirror/*"), *folder.glob("experiments/*")]:
        path.unlink()
    windsock.reload()
    return Names()


def one_row(connection, _):
    """One profile, one change, one request."""
    fill(connection, 1)
    return Names()


def used(connection, _):
    """Two days of a small project."""
    fill(connection)
    return Names()


def ten_thousand(connection, folder):
    """Ten thousand profiles, users, changes, requests and flags."""
    flags = document()
    body = {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}
    flags["flags"] |= {f"flag_{number:05}": body for number in range(10_000)}
    (folder / "teacher.flagd.json").write_text(json.dumps(flags))
    fill_thousands(connection)
    return Names()


def _named(text):
    def scene(connection, folder):
        plant(connection, folder, text)
        return Names(text, text, text)

    return scene


SCENES: Final[Mapping[str, Callable[..., Names]]] = {
    "nothing": nothing,
    "one-row": one_row,
    "used": used,
    "ten-thousand": ten_thousand,
    "long-names": _named(LONG),
    "unbroken-names": _named(UNBROKEN),
    "right-to-left": _named(ARABIC),
}
