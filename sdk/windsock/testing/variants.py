"""Parameters for tests: each variant of a class's flags, pairs of variants, and profiles by name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from windsock.errors import OverrideError
from windsock.flag_names import class_flag, is_profile
from windsock.flagfiles.files import read_files, with_mirror
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag, FlagSet, JsonValue
from windsock.nested import overlay
from windsock.settings import Settings
from windsock.settings.feature_values import DeclaredFeature
from windsock.settings.process import process
from windsock.settings.resolver import Resolver
from windsock.settings.shapes import fields_of
from windsock.testing.pairs import pairwise_rows
from windsock.text import did_you_mean

Variant = tuple[str, dict[str, JsonValue]]
"""A name, and the fields that it sets."""

Combination = tuple[str, dict[type[Settings] | str, object]]
"""A name, and an argument for `windsock.testing.override`: fields by settings class, values by flag key."""


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
    served = _served(paths)
    found: list[Variant] = [("code default", {})]
    for key in settings_class.__windsock__.flags:
        flag = served.flags.get(key)
        for variant, value in flag.variants.items() if flag is not None else ():
            if isinstance(value, dict) and value not in [each for _, each in found]:
                found.append((f"{key}/{variant}", value))
    return found


def pairwise(*targets: type[Settings] | str, paths: Sequence[Path | str] = ()) -> Sequence[Combination]:
    """List combinations of variants so that any two variants of different flags occur together.

    Most faults depend on one value or a pair (Kuhn, Wallace and Gallo, 2004), and pairs need far fewer tests
    than all combinations.

    ::

        @pytest.mark.parametrize(("name", "values"), windsock.testing.pairwise(Teacher, "checkout.v2"))
        def test_answers(name, values):
            with windsock.testing.override(values): ...

    Args:
        *targets: Settings classes, whose base, experiment and profile flags vary; and keys of other flags. A
            feature that's in no flag file is both on and off.
        paths: Flag files or their folders; without any, ``flagd/``.

    Returns:
        Pairs of a name and an argument for `override`.

    Raises:
        OverrideError: A flag file has an error, or a key is unknown.
        UnreachableError: A path isn't there.
    """
    served = _served(paths)
    factors = [(target, choices) for target in targets for choices in _factors(served, target)]
    return [
        _combined([(target, *choice) for (target, _), choice in zip(factors, row, strict=True)])
        for row in pairwise_rows([choices for _, choices in factors])
    ]


def profile(name: str, *paths: Path | str) -> Mapping[type[Settings], dict[str, JsonValue]]:
    """Find a profile by its name, for `override`: the fields that it sets, by settings class.

    A profile applies to the imported settings classes. Fields that a class doesn't have or that profiles may
    not set are left out, as in production.

    Args:
        name: The configuration's name, ``experimental_v1``, or its id.
        *paths: Flag files or their folders; without any, ``flagd/`` and ``flagd/mirror/``.

    Raises:
        OverrideError: No file has the profile, no imported class has its flag, or a flag file has an error.
        UnreachableError: A path isn't there.
    """
    served = _served(paths or with_mirror())
    names: set[str] = set()
    found: dict[str, dict[str, JsonValue]] = {}
    for flag, variant, known in _profiles(served):
        names |= known
        value = flag.variants[variant]
        if name in known and isinstance(value, dict):
            found[class_flag(flag.key)] = value
    if not found:
        raise OverrideError(
            f"no flag file has a profile {name!r}{did_you_mean(name, sorted(names))}; `windsock mirror once`"
            " writes the profiles of a database to flag files"
        )
    overridden = {
        each: {field: value for field, value in found[flag].items() if _may_set(each, field)}
        for flag, each in _declared()
        if flag in found
    }
    if not overridden:
        raise OverrideError(f"profile {name!r} is for {', '.join(found)}: import its settings class first")
    return overridden


def _served(paths: Sequence[Path | str]) -> FlagSet:
    served = flag_set(read_files([Path(path) for path in paths]))
    if served.problems:
        raise OverrideError(f"the flag files have errors; run `windsock lint`: {served.problems[0]}")
    return served


def _profiles(served: FlagSet) -> Iterator[tuple[Flag, str, set[str]]]:
    """Each profile: its flag, its variant, and the names it has there."""
    for flag in served.flags.values():
        if is_profile(flag.key):
            for variant in flag.variants:
                yield flag, variant, {variant, str(flag.metadata.get(f"config.{variant}", variant))}


def _declared() -> Iterator[tuple[str, type[Settings]]]:
    for each in process.readers:
        if isinstance(each, Resolver) and issubclass(each.declaration.settings_class, Settings):
            yield each.declaration.flag, each.declaration.settings_class


def _may_set(settings_class: type[Settings], field: str) -> bool:
    fields = fields_of(settings_class)
    return field in fields and not fields[field].fixed


def _factors(served: FlagSet, target: type[Settings] | str) -> Iterator[list[tuple[str, JsonValue]]]:
    """What varies in a target: named values for each of its flags."""
    if isinstance(target, str):
        yield _choices(served, target)
        return
    base, *others = target.__windsock__.flags
    yield [*_objects(served, base)] or [("code default", {})]
    for key in others:
        if choices := list(_objects(served, key)):
            yield [(f"no {key}", {}), *choices]


def _objects(served: FlagSet, key: str) -> Iterator[tuple[str, JsonValue]]:
    flag = served.flags.get(key)
    for variant, value in flag.variants.items() if flag is not None else ():
        if isinstance(value, dict):
            yield f"{key}/{variant}", value


def _choices(served: FlagSet, key: str) -> list[tuple[str, JsonValue]]:
    if key in served.flags:
        return [(f"{key}/{variant}", value) for variant, value in served.flags[key].variants.items()]
    features = {each.key: each for each in process.readers if isinstance(each, DeclaredFeature)}
    if key not in features:
        known = sorted({*features, *served.flags})
        raise OverrideError(
            f"flag {key!r} is neither declared in imported code nor in a flag file{did_you_mean(key, known)}"
        )
    return [(f"{key}/{name}", value) for name, value in features[key].choices.items()]


def _combined(chosen: Sequence[tuple[type[Settings] | str, str, JsonValue]]) -> Combination:
    values: dict[type[Settings] | str, object] = {}
    for target, _, value in chosen:
        before = values.get(target)
        values[target] = (
            overlay(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
        )
    return ", ".join(name for _, name, _ in chosen), values
