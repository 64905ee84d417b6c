"""`each_variant`: parameters that run a test under every variant of a class's flags."""

from collections.abc import Sequence
from pathlib import Path

from windsock.errors import OverrideError
from windsock.flagfiles.files import read_files
from windsock.flagfiles.sets import flag_set
from windsock.flags import JsonValue
from windsock.settings import Settings

Variant = tuple[str, dict[str, JsonValue]]
"""A name, and the fields that it sets."""


def each_variant(settings_class: type[Settings], *paths: Path | str) -> Sequence[Variant]:
    """List the distinct variants of a class's base, experiment and profile flags, and its code defaults.

    ::

        @pytest.mark.parametrize(("name", "values"), windsock.testing.each_variant(Teacher))
        def test_answers(name, values):
            with windsock.testing.override(Teacher, values): ...

    Args:
        settings_class: The class.
        *paths: Flag files or their folders; without any, ``flagd/``.

    Returns:
        Pairs of a name, ``code default`` or ``<flag>/<variant>``, and the fields that it sets.

    Raises:
        OverrideError: A flag file has an error, so its variants aren't known.
        UnreachableError: A path isn't there.
    """
    served = flag_set(read_files([Path(path) for path in paths]))
    if served.problems:
        raise OverrideError(f"the flag files have errors; run `windsock lint`: {served.problems[0]}")
    found: list[Variant] = [("code default", {})]
    for key in settings_class.__windsock__.flags:
        flag = served.flags.get(key)
        for variant, value in flag.variants.items() if flag is not None else ():
            if isinstance(value, dict) and value not in [each for _, each in found]:
                found.append((f"{key}/{variant}", value))
    return found
