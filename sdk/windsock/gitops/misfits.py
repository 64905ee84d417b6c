"""Whether flag files fit the settings classes and features that read them, in every environment."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windsock.evaluator import CompiledFlag
from windsock.flagfiles.files import FlagFile
from windsock.flags import Flag, FlagSet, JsonValue
from windsock.flags.model import pointer_of
from windsock.flags.operations import operations
from windsock.flags.raw import Tokens
from windsock.lint.linter import Finding, Level
from windsock.lint.places import open_text
from windsock.nested import at, holds, leaf_paths
from windsock.settings.declaration import Declaration
from windsock.settings.feature_values import DeclaredFeature
from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import merge_layers
from windsock.text import short

MOST_COMBINATIONS = 10_000
"""Combinations of base, arm and profile tried for one class; beyond that, each profile without an arm."""

_COMPARISONS = frozenset({"==", "===", "!=", "!==", "in"})


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that a settings class refuses.

    Attributes:
        flag: The flag that holds it.
        tokens: Where in the flag, as the steps of a pointer.
        message: The refused value, the class, the environments, and the reason.
    """

    flag: Flag
    tokens: Tokens
    message: str


def misfits(flag_set: FlagSet, declarations: Sequence[Declaration]) -> tuple[Misfit, ...]:
    """Merge the variants of every class's flags as the service would, and find the values a class refuses.

    This machine's environment variables are ignored, because they aren't part of the files.
    """
    found: dict[tuple[str, Tokens, str], tuple[Misfit, set[str]]] = {}
    for declaration in declarations:
        for misfit, environment in _of_class(flag_set, declaration):
            key = (misfit.flag.key, misfit.tokens, misfit.message)
            found.setdefault(key, (misfit, set()))[1].add(environment)
    return tuple(
        Misfit(misfit.flag, misfit.tokens, misfit.message + _in(environments))
        for misfit, environments in found.values()
    )


def pins(flag_set: FlagSet, declarations: Sequence[Declaration]) -> tuple[Misfit, ...]:
    """Find values of base flags that equal the code default, and would hide a later change to it."""
    found = []
    for declaration in declarations:
        flag = flag_set.flags.get(declaration.flag)
        defaults = declaration.shown(declaration.defaults)
        for variant in _variants(flag, "base"):
            for path in leaf_paths(variant.layer.values):
                if holds(defaults, path) and at(defaults, path) == at(variant.layer.values, path):
                    name = f"{declaration.settings_class.__name__}.{'.'.join(path)}"
                    message = f"equals the default of {name}; leave it out, so that the code decides"
                    found.append(Misfit(variant.flag, ("variants", variant.name, *path), message))
    return tuple(found)


def feature_misfits(flag_set: FlagSet, features: Iterable[DeclaredFeature[Any]]) -> tuple[Misfit, ...]:
    """Find variants whose value isn't of the type that code declares for a feature."""
    return tuple(
        Misfit(flag, ("variants", name), _of_feature(feature, name, value))
        for feature in features
        if (flag := flag_set.flags.get(feature.key)) is not None
        for name, value in flag.variants.items()
        if feature.fitting(value) is None
    )


def _of_feature(feature: DeclaredFeature[Any], variant: str, value: JsonValue) -> str:
    default = json.dumps(feature.plain_default, ensure_ascii=False)
    return (
        f"feature {feature.key!r} takes {feature.words}, and variant {variant!r} is {short(value)}: "
        f"the code default {default} serves"
    )


def environments_of(flag: Flag | None) -> tuple[str, ...]:
    """The environments that a rule names."""
    return tuple(dict.fromkeys(_compared(flag.targeting))) if flag is not None else ()


@dataclass(frozen=True, slots=True)
class _Variant:
    flag: Flag
    name: str
    layer: Layer


def _of_class(flag_set: FlagSet, declaration: Declaration) -> Iterator[tuple[Misfit, str]]:
    name = declaration.settings_class.__name__
    base = flag_set.flags.get(declaration.flag)
    arms = list(_variants(flag_set.flags.get(declaration.experiment_flag), "experiment"))
    profiles = [
        variant
        for key, flag in flag_set.flags.items()
        if key == declaration.profile_flag or key.startswith(f"{declaration.profile_flag}.")
        for variant in _variants(flag, "profile")
    ]
    for flag in {variant.flag.key: variant.flag for variant in (*arms, *profiles)}.values():
        yield from ((misfit, "") for misfit in _no_objects(flag, name))
    if base is not None:
        yield from ((misfit, "") for misfit in _no_objects(base, name))
        for variant in _variants(base, "base"):
            yield from ((misfit, "") for misfit in _refused(declaration, [variant]))
    for environment in dict.fromkeys(("production", *environments_of(base))):
        served = _served(base, environment)
        below = [served] if served is not None else []
        for above in _combinations(arms, profiles):
            for misfit in _refused(declaration, [*below, *above]):
                yield misfit, environment if served is not None and misfit.flag is not base else ""


def _combinations(arms: Sequence[_Variant], profiles: Sequence[_Variant]) -> Iterator[tuple[_Variant, ...]]:
    yield from ((arm,) for arm in arms)
    yield from ((profile,) for profile in profiles)
    if len(arms) * len(profiles) <= MOST_COMBINATIONS:
        for profile in profiles:
            for arm in arms:
                # a user whose profile sets a field of the arm is excluded from the experiment
                if not arm.layer.values.keys() & profile.layer.values.keys():
                    yield arm, profile


def _refused(declaration: Declaration, variants: Sequence[_Variant]) -> Iterator[Misfit]:
    name = declaration.settings_class.__name__
    by_origin = {id(variant.layer.origin): variant for variant in variants}
    for refusal in merge_layers(declaration, [variant.layer for variant in variants], lenient=True).refusals:
        variant = by_origin[id(refusal.origin)]
        field = ".".join(refusal.path)
        message = f"{name}.{field} refuses {refusal.value!r:.80}: {refusal.message}"
        yield Misfit(variant.flag, ("variants", variant.name, *refusal.path), message)


def _variants(flag: Flag | None, layer: str) -> Iterator[_Variant]:
    for name, value in flag.variants.items() if flag is not None else ():
        if flag is not None and isinstance(value, Mapping):
            yield _Variant(flag, name, Layer(Origin(layer, flag.key, name), value))


def _no_objects(flag: Flag, name: str) -> Iterator[Misfit]:
    for variant, value in flag.variants.items():
        if not isinstance(value, Mapping):
            message = f"{name} reads this flag, so its variants must be objects of fields"
            yield Misfit(flag, ("variants", variant), message)


def _served(base: Flag | None, environment: str) -> _Variant | None:
    """The base variant of an environment for users without other attributes."""
    outcome = CompiledFlag(base).evaluate({"environment": environment}) if base is not None else None
    if base is None or outcome is None or outcome.variant is None:
        return None
    return next((each for each in _variants(base, "base") if each.name == outcome.variant), None)


def _compared(rule: JsonValue) -> Iterator[str]:
    """Strings that a rule compares the environment with."""
    for operator, arguments in operations(rule):
        if operator in _COMPARISONS and isinstance(arguments, list) and any(map(_is_environment, arguments)):
            for argument in arguments:
                texts = argument if isinstance(argument, list) else [argument]
                yield from (text for text in texts if isinstance(text, str))


def _is_environment(argument: JsonValue) -> bool:
    asked = argument.get("var") if isinstance(argument, dict) else None
    return asked == "environment" or (isinstance(asked, list) and asked[:1] == ["environment"])


def _in(environments: set[str]) -> str:
    named = sorted(filter(None, environments))
    return f" (in {', '.join(named)})" if named else ""


def located(found: Sequence[Misfit], files: Sequence[FlagFile], code: str, level: Level) -> list[Finding]:
    """Turn misfits into linter findings, with the line and column in their files."""
    texts = {file.path: open_text(file.data.decode(), file.path) for file in files}
    findings = []
    for misfit in found:
        tokens = ("flags", misfit.flag.key, *misfit.tokens)
        line, column = texts[misfit.flag.source].place_of(tokens)
        findings.append(
            Finding(
                misfit.flag.source,
                line,
                column,
                code,
                level,
                misfit.flag.key,
                pointer_of(*tokens),
                misfit.message,
            )
        )
    return findings
