"""Experiments that a flag runs without a document: what the flag itself says, and every built-in metric."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from windsock.errors import ConfigurationError, UnreachableError
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.documents import Exploratory, HandWritten
from windsock.experiments.metrics import BUILT_IN, EventSource
from windsock.experiments.reading import DeclaredExperiment, experiment_files, read_declared
from windsock.experiments.running.starting import flag_files
from windsock.experiments.running.undeclared import experiment_name, undeclared
from windsock.flag_names import EXPERIMENT as EXPERIMENT_FLAG
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag, JsonValue
from windsock.flags.operations import operations
from windsock.settings.arms import ALLOCATION, UNIT, VERSION

_REQUESTS: Final = "public.usage_logs"
_EVENTS: Final = "windsock.metric_events"
_OF_REQUESTS: Final = ("user", "request")
"""The units that requests know."""


def declared_or_running(folder: Path, name: str) -> DeclaredExperiment:
    """Read an experiment's document; without one, the flag that runs an experiment of that name.

    Args:
        folder: The folder of the flags.
        name: The experiment's name; a flag whose metadata names none is called by its key.

    Raises:
        ConfigurationError: A document is wrong, or the flag doesn't say which share each arm gets.
        UnreachableError: There is neither.
    """
    declared = {path.stem for path in experiment_files(folder)}
    if name in declared:
        return read_declared(folder, name)
    flags = flag_set(flag_files(folder)).flags.values()
    for flag in flags:
        if experiment_name(flag) == name:
            return _declared(flag, name)
    try:
        return read_declared(folder, name)
    except UnreachableError as error:
        if found := ", ".join(undeclared(flags, declared)):
            raise UnreachableError(f"{error}; flags run without a document: {found}") from None
        raise


def readable(declared: DeclaredExperiment, warehouse: Warehouse) -> DeclaredExperiment:
    """Leave out what nobody named and the data doesn't have: a folder of files may lack a table."""
    experiment = declared.experiment
    if not isinstance(experiment, HandWritten):
        return declared
    exists = {name: warehouse.find(name) is not None for name in (_REQUESTS, _EVENTS)}
    metrics = {
        name: each
        for name, each in declared.metrics.items()
        if exists[_EVENTS if isinstance(each.source, EventSource) else _REQUESTS]
    }
    named = Exploratory(secondary=list(metrics))
    return DeclaredExperiment(experiment.model_copy(update={"metrics": named}), metrics)


def _declared(flag: Flag, name: str) -> DeclaredExperiment:
    shares = _shares(flag)
    unit, version = flag.metadata.get(UNIT, "user"), flag.metadata.get(VERSION, 1)
    key = flag.key.removesuffix(EXPERIMENT_FLAG)
    try:
        experiment = HandWritten.model_validate(
            {
                "hand_written": True,
                "name": name,
                "hypothesis": "none, since nobody declared it",
                "owner": str(flag.metadata.get("owner", "unknown")),
                "settings" if key != flag.key else "feature": key,
                "unit": unit,
                "version": version,
                "reason": "as the flag says",
                "arms": {arm: flag.variants.get(arm, {}) for arm in shares},
                "allocation": shares,
                "minimum_effect": 0.01,
                "metrics": Exploratory(),
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{flag.key} can't be analysed as an experiment: {message}") from None
    named = _metrics(experiment)
    experiment = experiment.model_copy(update={"metrics": Exploratory(secondary=named)})
    return DeclaredExperiment(experiment, {each: BUILT_IN[each] for each in named})


def _metrics(experiment: HandWritten) -> list[str]:
    """The built-in metrics that this experiment can have."""
    fields = {field for arm in experiment.arms.values() if isinstance(arm, dict) for field in arm}
    left_out = set() if any("model" in field for field in fields) else {"assigned_model_share"}
    if experiment.unit not in _OF_REQUESTS:
        left_out |= {name for name, each in BUILT_IN.items() if not isinstance(each.source, EventSource)}
    return [name for name in BUILT_IN if name not in left_out]


def _shares(flag: Flag) -> dict[str, float]:
    """The weight of each arm, the flag's default variant first: it is the control, if none has that name."""
    stated = {
        key.removeprefix(ALLOCATION): float(value)
        for key, value in flag.metadata.items()
        if key.startswith(ALLOCATION) and isinstance(value, int | float)
    }
    splits = [stated] if stated else _splits(flag.targeting)
    if len(splits) != 1:
        raise ConfigurationError(
            f"{flag.key}: its rule doesn't say which share each arm gets; write `{ALLOCATION}<arm>` for each "
            "arm into the flag's metadata"
        )
    weights = {arm: weight for arm, weight in splits[0].items() if weight > 0}
    return dict(sorted(weights.items(), key=lambda each: each[0] != flag.default_variant))


def _splits(rule: JsonValue) -> list[dict[str, float]]:
    """The weights of each `fractional` in a rule."""
    return [
        dict(_buckets(arguments))
        for operator, arguments in operations(rule)
        if operator == "fractional" and isinstance(arguments, list)
    ]


def _buckets(arguments: list[JsonValue]) -> Iterator[tuple[str, float]]:
    for each in arguments:
        if isinstance(each, list) and each and isinstance(each[0], str):
            weight = each[1] if len(each) > 1 else 1
            yield each[0], float(weight) if isinstance(weight, int | float) else 0.0
