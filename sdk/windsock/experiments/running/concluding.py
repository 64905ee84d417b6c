"""Carries out a decision in the flag files: the arm is shipped, or the experiment stopped."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from windsock.errors import ConfigurationError
from windsock.evaluator.compiled import CompiledFlag
from windsock.experiments.decision import Action, Decision
from windsock.experiments.documents import Experiment
from windsock.experiments.running.compiling import flag_key
from windsock.experiments.running.starting import stopped
from windsock.flagfiles.editing import flag_body, redefined, served_file
from windsock.flagfiles.files import FlagFile
from windsock.flagfiles.scaffold import document
from windsock.flagfiles.sets import flag_set
from windsock.flags import JsonValue
from windsock.gitops.who import asks_who
from windsock.nested import overlay
from windsock.settings.arms import VERSION

_FIRST: Final[Mapping[str, JsonValue]] = {
    "state": "ENABLED",
    "variants": {"base": {}},
    "defaultVariant": "base",
}
"""The flag of a class that has had only code defaults, as `windsock init` writes it."""


def concluded(
    experiment: Experiment, decision: Decision, files: Sequence[FlagFile], folder: Path, environment: str
) -> tuple[FlagFile, ...]:
    """Return the flag files with a decision carried out.

    Shipping an arm stops the experiment, and gives everybody the arm: its fields are laid over the variant of
    the class's flag that the environment gets; a feature's default becomes the arm.

    Args:
        experiment: The document.
        decision: What was decided.
        files: The current flag files.
        folder: Where to create a file if no file has the class's flag.
        environment: The one that the decision is about.

    Raises:
        ConfigurationError: The decision changes nothing, or a person has to make the change.
    """
    name = experiment.name
    if decision.action is Action.GO_ON:
        raise ConfigurationError(f"{name} goes on, so there is nothing to apply")
    if experiment.are_profiles:
        raise ConfigurationError(
            f"{name}: its arms are profiles, which no flag file has; {_profiles(decision, name)}"
        )
    _check_version(experiment, files)
    if decision.action is Action.STOP or decision.arm is None:
        return stopped(experiment, files)
    if experiment.audience is not None or experiment.holdout is not None:
        what = "an audience" if experiment.audience is not None else "a holdout"
        raise ConfigurationError(
            f"{name} has {what}, so {decision.arm} isn't for everybody: write its targeting rule by hand, "
            f"then run `windsock experiment stop {name}`"
        )
    after = stopped(experiment, files)
    if experiment.feature is not None:
        return _as_default(experiment.feature, decision.arm, experiment, after)
    return _in_base(experiment, decision.arm, after, folder, environment)


def _check_version(experiment: Experiment, files: Sequence[FlagFile]) -> None:
    """Refuse a decision about another version than the one that runs, such as an old snapshot's."""
    flag = flag_set(files).flags.get(flag_key(experiment))
    running = experiment.version if flag is None else flag.metadata.get(VERSION, experiment.version)
    if running != experiment.version:
        raise ConfigurationError(
            f"{experiment.name}: version {running} runs, and this decision is about version "
            f"{experiment.version}; decide on the data of the version that runs"
        )


def _profiles(decision: Decision, name: str) -> str:
    if decision.action is Action.SHIP:
        return "assign the winner's with `windsock profile assign`"
    return f"take them away with `windsock experiment assign {name} --undo`"


def _as_default(
    key: str, arm: str, experiment: Experiment, files: tuple[FlagFile, ...]
) -> tuple[FlagFile, ...]:
    """A feature's default becomes the variant that has the arm's value."""
    body = _body(key, files)
    variants = body["variants"]
    assert isinstance(variants, dict)  # noqa: S101 - what a flag is
    value = experiment.arms[arm]
    same = next((name for name, each in variants.items() if each is value), arm)
    return redefined(files, key, {**body, "variants": {**variants, same: value}, "defaultVariant": same})


def _in_base(
    experiment: Experiment, arm: str, files: tuple[FlagFile, ...], folder: Path, environment: str
) -> tuple[FlagFile, ...]:
    """The arm's fields are laid over the variant that the environment gets of the class's flag."""
    key, fields = experiment.flag, experiment.arms[arm]
    assert isinstance(fields, dict)  # noqa: S101 - arms of a class are mappings of fields
    flag = flag_set(files).flags.get(key)
    if flag is None:
        new = {**_FIRST, "variants": {"base": dict(fields)}}
        return (*files, FlagFile(str(folder / f"{key}.flagd.json"), document({key: new})))
    name = flag.default_variant
    if flag.targeting is not None:
        shared = not asks_who(flag.targeting)
        name = CompiledFlag(flag).evaluate({"environment": environment}).variant if shared else None
    base = None if name is None else flag.variants.get(name)
    if name is None or not isinstance(base, dict):
        raise ConfigurationError(
            f"{experiment.name}: not everybody in {environment} gets the same variant of {key}: add the "
            f"fields of {arm} to its variants by hand, then run `windsock experiment stop {experiment.name}`"
        )
    laid = cast("JsonValue", overlay(base, fields))
    return redefined(files, key, {**_body(key, files), "variants": {**flag.variants, name: laid}})


def _body(key: str, files: tuple[FlagFile, ...]) -> dict[str, JsonValue]:
    file = served_file(files, key)
    body = None if file is None else flag_body(file, key)
    assert isinstance(body, dict)  # noqa: S101 - what a flag is
    return dict(body)
