"""Starting and stopping an experiment: computes the new flag files."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from windsock.errors import ConfigurationError
from windsock.experiments.documents import Experiment
from windsock.experiments.holdouts import Holdouts
from windsock.experiments.running.compiling import (
    GROUP,
    GROUP_START,
    GROUP_STOP,
    OWN_ARMS,
    WEIGHTS,
    Slot,
    compiled,
    flag_key,
    own_metadata,
)
from windsock.flag_names import SUFFIXES
from windsock.flagfiles.editing import redefined
from windsock.flagfiles.files import FlagFile, read_files
from windsock.flagfiles.scaffold import document
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag, JsonValue
from windsock.gitops.changes import content
from windsock.gitops.plan import Limits, Plan, PlanRequest, make
from windsock.gitops.population import made_up
from windsock.settings.arms import ALLOCATION, EXPERIMENT, VERSION
from windsock.settings.declaration import Declaration

_GATES: Final = ("traffic.", "group.")

_ENDED: Final = "ended."
"""Metadata of a flag: ``ended.<experiment>`` is the newest version of it that was stopped."""


def flag_files(folder: Path) -> tuple[FlagFile, ...]:
    """The flag files of a folder; empty if it has none yet.

    Raises:
        UnreachableError: One can't be read.
    """
    there = any(path.name.endswith(SUFFIXES) for path in folder.glob("*.flagd.*"))
    return read_files([folder]) if there else ()


def planned(
    before: Sequence[FlagFile],
    after: Sequence[FlagFile],
    environment: str,
    *,
    base: str = "the working tree",
    declarations: Sequence[Declaration] = (),
) -> Plan:
    """Plan an experiment's change to the files, for synthetic users.

    Args:
        before: The current flag files.
        after: The result of `started` or `stopped`.
        environment: The users' environment.
        base: The plan's name for the current files.
        declarations: Settings classes whose values must stay valid.
    """
    users = made_up(environment)
    limits = Limits(allow_reshuffle=True)  # a new version says that users change arms; without one, none does
    return make(PlanRequest(base, before, after, users, declarations, limits, time.time()))


def started(
    experiment: Experiment, files: Sequence[FlagFile], holdouts: Holdouts, folder: Path
) -> tuple[FlagFile, ...]:
    """Return the flag files with the experiment running.

    Args:
        experiment: The document.
        files: The current flag files.
        holdouts: The declared holdouts.
        folder: Where to create a file if no file has the experiment's flag.

    Raises:
        ConfigurationError: Another experiment runs on the flag, the version has ended, a change needs a new
            one, or the exclusion group is full.
    """
    flags = flag_set(files).flags
    key = flag_key(experiment)
    now = flags.get(key)
    _check_free(experiment, now)
    _check_not_ended(experiment, now)
    _check_metadata(experiment, now)
    body = _body(experiment, flags, holdouts)
    if now is not None and _runs(now):
        _check_version(experiment, content(now), body)
    if now is not None:
        return redefined(files, key, body)
    path = str(folder / f"{key}.flagd.json")
    return (*files, FlagFile(path, document({key: body})))


def stopped(experiment: Experiment, files: Sequence[FlagFile]) -> tuple[FlagFile, ...]:
    """Return the flag files with the experiment stopped: everybody gets the flag's default.

    The flag's metadata keeps which version ended, so that it isn't started again.

    Raises:
        ConfigurationError: It isn't running.
    """
    key = flag_key(experiment)
    now = running(experiment, flag_set(files).flags)
    if now is None:
        raise ConfigurationError(f"{experiment.name} doesn't run: {key} has another experiment or none")
    body = content(now)
    assert isinstance(body, dict)  # noqa: S101 - what a flag is
    kept = {name: part for name, part in body.items() if name not in ("targeting", "metadata")}
    if experiment.feature is not None:
        kept["variants"] = _own_variants(now)
    ended = {f"{_ENDED}{experiment.name}": now.metadata.get(VERSION, 1)}
    return redefined(files, key, {**kept, "metadata": {**own_metadata(now.metadata), **ended}})


def running(experiment: Experiment, flags: Mapping[str, Flag]) -> Flag | None:
    """The flag that runs the experiment; None if none does."""
    now = flags.get(flag_key(experiment))
    return None if now is None or now.metadata.get(EXPERIMENT) != experiment.name else now


def has_ended(experiment: Experiment, flags: Mapping[str, Flag]) -> bool:
    """Whether the experiment's version ran and was stopped, so that it can't be started again."""
    return experiment.version <= _ended_version(experiment, flags.get(flag_key(experiment)))


def difference(experiment: Experiment, flags: Mapping[str, Flag], holdouts: Holdouts) -> str | None:
    """How the running flag differs from the document; None if it doesn't, or if the experiment isn't running.

    Raises:
        ConfigurationError: The document can't be compiled.
    """
    now = running(experiment, flags)
    if now is None:
        return None
    current, body = content(now), _body(experiment, flags, holdouts)
    assert isinstance(current, dict)  # noqa: S101 - what a flag is
    parts = [part for part in dict.fromkeys((*current, *body)) if current.get(part) != body.get(part)]
    return ", ".join(parts) or None


def _body(experiment: Experiment, flags: Mapping[str, Flag], holdouts: Holdouts) -> dict[str, JsonValue]:
    now = flags.get(flag_key(experiment))
    feature = None
    if experiment.feature is not None and now is not None:
        whole = content(now)
        assert isinstance(whole, dict)  # noqa: S101 - what a flag is
        feature = {k: v for k, v in whole.items() if not (_runs(now) and k in ("targeting", "metadata"))}
        feature["variants"] = _own_variants(now)
    body = compiled(
        experiment,
        holdout=holdouts.share_of(experiment),
        slot=_slot(experiment, flags),
        feature=feature,
    )
    metadata = body["metadata"]
    assert isinstance(metadata, dict)  # noqa: S101 - as compiled
    if feature is not None and (own := [arm for arm in experiment.arms if arm in feature["variants"]]):
        metadata[OWN_ARMS] = json.dumps(own)
    return {**body, "metadata": {**own_metadata(now.metadata if now else {}), **metadata}}


def _own_variants(flag: Flag) -> dict[str, JsonValue]:
    """A feature's variants without the arms that its running experiment added, whatever its version."""
    if not _runs(flag):
        return dict(flag.variants)
    arms = {name.removeprefix(ALLOCATION) for name in flag.metadata if name.startswith(ALLOCATION)}
    added = arms - {flag.default_variant, *_own_arms(flag)}
    return {name: value for name, value in flag.variants.items() if name not in added}


def _own_arms(flag: Flag) -> list[str]:
    """The arms of the running experiment that were the feature's variants before."""
    try:
        own = json.loads(str(flag.metadata.get(OWN_ARMS, "[]")))
    except ValueError:
        return []
    return [arm for arm in own if isinstance(arm, str)] if isinstance(own, list) else []


def _runs(flag: Flag) -> bool:
    return EXPERIMENT in flag.metadata and flag.targeting is not None


def _check_free(experiment: Experiment, now: Flag | None) -> None:
    if now is None or (experiment.feature is not None and EXPERIMENT not in now.metadata):
        return
    other = now.metadata.get(EXPERIMENT)
    if now.targeting is not None and other != experiment.name:
        what = f"the experiment {other!r}" if other else "one that nobody declared"
        raise ConfigurationError(
            f"{experiment.name}: {now.key} runs {what}, and one runs at a time; stop that one first"
        )


def _check_not_ended(experiment: Experiment, now: Flag | None) -> None:
    """Refuse a version that ended: its old rows couldn't be told from new ones, over another base."""
    ended = _ended_version(experiment, now)
    if experiment.version <= ended:
        raise ConfigurationError(
            f"{experiment.name}: version {ended} has ended, and what everybody gets may have changed "
            f"since; to run it again, write `version: {ended + 1}` and a `reason`"
        )


def _check_metadata(experiment: Experiment, now: Flag | None) -> None:
    """Refuse metadata, of the flag or of its file, under names that an experiment writes for itself."""
    if now is None or EXPERIMENT in now.metadata:
        return
    taken = sorted(now.metadata.keys() - own_metadata(now.metadata).keys())
    if taken:
        raise ConfigurationError(
            f"{experiment.name}: the metadata of {now.key!r}, or of its file, says {taken[0]!r}, which an "
            "experiment writes there for itself; rename it"
        )


def _ended_version(experiment: Experiment, flag: Flag | None) -> int:
    ended = flag.metadata.get(f"{_ENDED}{experiment.name}") if flag is not None else None
    return int(ended) if isinstance(ended, int | float) else 0


def _check_version(experiment: Experiment, now: JsonValue, body: dict[str, JsonValue]) -> None:
    """Refuse a change that would move units to another arm under the same version."""
    assert isinstance(now, dict)  # noqa: S101 - what a flag is
    metadata = now.get("metadata")
    version = metadata.get(VERSION) if isinstance(metadata, dict) else None
    running = int(version) if isinstance(version, int | float) else 1
    if experiment.version > running:
        return
    before, after = _parts(now), _parts(body)
    if experiment.version < running or before[0] != after[0] or before[1] > after[1]:
        raise ConfigurationError(
            f"{experiment.name}: version {running} runs, and this changes its arms, its audience or its "
            f"allocation, or takes traffic away; write `version: {running + 1}` and a `reason`"
        )


def _parts(flag: dict[str, JsonValue]) -> tuple[str, int]:
    """The content that defines a version, as text; and the participating share of units, out of `WEIGHTS`."""
    definition = {name: part for name, part in flag.items() if name != "targeting"}
    metadata = definition.pop("metadata", None)
    if isinstance(metadata, dict):
        definition["metadata"] = {k: v for k, v in metadata.items() if k not in (GROUP_START, GROUP_STOP)}
    rule = json.loads(json.dumps(flag.get("targeting")))
    share = WEIGHTS
    if isinstance(rule, dict) and isinstance(rule.get("if"), list):
        conditions = rule["if"][0].get("and", [rule["if"][0]]) if isinstance(rule["if"][0], dict) else []
        share = next(filter(None, map(_gate, conditions)), WEIGHTS)
        rule["if"][0] = [each for each in conditions if not _gate(each)]
    return json.dumps([definition, rule], sort_keys=True), share


def _gate(condition: object) -> int:
    """The width of a condition on the traffic or on a group's slot; 0 for any other condition."""
    text = json.dumps(condition)
    if not any(f'{{"cat": ["{gate}' in text for gate in _GATES):
        return 0
    assert isinstance(condition, dict)  # noqa: S101 - as compiled
    buckets = condition["=="][0]["fractional"][1:]
    return next((int(weight) for name, weight in buckets if name == "in"), 0)


def _slot(experiment: Experiment, flags: Mapping[str, Flag]) -> Slot | None:
    """An experiment's slot in its group: its own, extended for more traffic, or else the first free one."""
    if experiment.exclusion_group is None:
        return None
    width = round(experiment.traffic * WEIGHTS)
    own, others = None, []
    for name, slot in _slots(experiment.exclusion_group, flags):
        if name == experiment.name:
            own = slot
        else:
            others.append(slot)
    starts = [own.start] if own else [0, *(slot.stop for slot in others)]
    for start in sorted(starts):
        found = Slot(start, start + width)
        if found.stop <= WEIGHTS and all(found.stop <= o.start or o.stop <= found.start for o in others):
            return found
    taken = ", ".join(f"{slot.start / 100:g} to {slot.stop / 100:g} %" for slot in others)
    raise ConfigurationError(
        f"{experiment.name}: {width / 100:g} % of the group {experiment.exclusion_group!r} is not free in "
        f"one piece; others have {taken or 'nothing'}: lower `traffic`, or stop one of them"
    )


def _slots(group: str, flags: Mapping[str, Flag]) -> Iterator[tuple[str, Slot]]:
    for flag in flags.values():
        metadata = flag.metadata
        if metadata.get(GROUP) == group and _runs(flag):
            start, stop = metadata.get(GROUP_START), metadata.get(GROUP_STOP)
            if isinstance(start, int | float) and isinstance(stop, int | float):
                yield str(metadata.get(EXPERIMENT)), Slot(int(start), int(stop))
