"""The values of a settings class from its code defaults and its flags in Git, for tables read by SQL."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from windsock.errors import FlagFileError
from windsock.evaluator import FlagEvaluator
from windsock.evaluator.outcome import Outcome, Rule
from windsock.flag_names import SUFFIXES
from windsock.flags import JsonValue, merge, read_document
from windsock.flags.reading import MAX_BYTES
from windsock.logs import get_logger
from windsock.mirror.id_lists import json_text
from windsock.plain_files import read_plain
from windsock.settings.declaration import Declaration
from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import merge_layers
from windsock.text import one_line

_log = get_logger("windsock.mirror")

_Signature = tuple[int, int, int] | None

Units: TypeAlias = Mapping[str, Mapping[str, JsonValue]]
"""The targeting attributes of each unit, such as a campaign, by targeting key."""

Values: TypeAlias = Mapping[str, JsonValue]
"""Every non-secret field of a settings class, as JSON."""

_Decided: TypeAlias = tuple[Outcome, Outcome | None]


@dataclass(frozen=True, slots=True)
class BaseValues:
    """The resolved values of a settings class in one environment.

    Attributes:
        values: The values without a user.
        units: The fields that differ for a unit, by targeting key; units without differences are left out.
        revision: The revision of the file that defines the flag.
    """

    values: Values
    units: Mapping[str, Values]
    revision: str


@dataclass(frozen=True, slots=True)
class _Rules:
    base: Rule
    experiment: Rule | None
    revision: str


class _NoValuesError(Exception):
    """The flags have no values that the class accepts; the message says why."""


class BaseReader:
    """Reads one class's values from the files in a folder.

    The values come from the class's code defaults, the base flag and the experiment's arm, validated and
    typed, but not from this process's variables: they are what services without such variables read.
    Profiles belong to users and don't count here.

    Args:
        declaration: The settings class. Its flag's key is available as `flag`.
        folder: The folder of flag files in Git.
        environment: The value of ``environment`` in the context.
    """

    def __init__(self, declaration: Declaration, folder: Path, environment: str) -> None:
        self.flag = declaration.flag
        self._declaration = declaration
        self._folder = folder
        self._environment = environment
        self._seen: list[tuple[Path, _Signature]] | None = None
        self._rules: _Rules | None = None
        self._said = ""

    def is_changed(self) -> bool:
        """Whether a file has changed since the last read."""
        return self._look() != self._seen

    def read(self, units: Units) -> BaseValues | None:
        """The current values, which may depend on the time; None, with a log message, if there are none.

        Args:
            units: The units to read values for, besides the base.
        """
        try:
            values = self._evaluate(self._current(), units)
        except (FlagFileError, OSError, _NoValuesError) as error:
            if str(error) != self._said:
                _log.error("the values of %s in SQL stay as they are: %s", self.flag, error)
            self._said = str(error)
            return None
        self._said = ""
        return values

    def _look(self) -> list[tuple[Path, _Signature]]:
        paths = sorted(path for path in self._folder.glob("*.flagd.*") if path.name.endswith(SUFFIXES))
        return [(path, _signature(path)) for path in paths]

    def _current(self) -> _Rules:
        """The rules in the current files."""
        seen = self._look()
        if self._rules is None or seen != self._seen:
            self._rules, self._seen = None, seen
            self._rules = self._compile([path for path, _ in seen])
        return self._rules

    def _compile(self, paths: list[Path]) -> _Rules:
        documents = [read_document(read_plain(path, MAX_BYTES + 1), str(path)) for path in paths]
        evaluator = FlagEvaluator()
        evaluator.load(merge(documents))
        base = evaluator.compiled.get(self.flag)
        if base is None:
            raise _NoValuesError(f"{self._folder} has no flag {self.flag}")
        experiment = evaluator.compiled.get(self._declaration.experiment_flag)
        revisions = {document.source: document.revision for document in documents}
        return _Rules(base, experiment, revisions[base.flag.source])

    def _evaluate(self, rules: _Rules, units: Units) -> BaseValues:
        values_of = self._resolver(rules)
        base = values_of({})
        texts = {field: json_text(value) for field, value in base.items()}
        found: dict[str, Values] = {}
        differing: dict[int, Values] = {id(base): {}}  # by the resolved values, of which there are few
        for unit, attributes in units.items():
            values = values_of({**attributes, "targetingKey": unit})
            own = differing.get(id(values))
            if own is None:
                own = {field: values[field] for field in values if json_text(values[field]) != texts[field]}
                differing[id(values)] = own
            if own:
                found[unit] = own
        return BaseValues(base, found, rules.revision)

    def _resolver(self, rules: _Rules) -> Callable[[Mapping[str, JsonValue]], Values]:
        """Build a function from attributes to values; each combination of variants is resolved once."""
        known: dict[_Decided, Values] = {}

        def values_of(attributes: Mapping[str, JsonValue]) -> Values:
            context = {"environment": self._environment, **attributes}
            experiment = rules.experiment.evaluate(context) if rules.experiment is not None else None
            decided = rules.base.evaluate(context), experiment
            if decided not in known:
                known[decided] = self._resolve(decided)
            return known[decided]

        return values_of

    def _resolve(self, decided: _Decided) -> Values:
        """Lay the flags over the code defaults.

        Raises:
            _NoValuesError: The base has no value, or the class rejects part of one.
        """
        base, experiment = decided
        if not isinstance(base.value, dict):
            raise _NoValuesError(f"{self._folder}: the flag {self.flag} has no base values ({base.reason})")
        layers = [Layer(Origin("base", self.flag, base.variant), base.value)]
        if experiment is not None and isinstance(experiment.value, dict):
            origin = Origin("experiment", experiment.flag_key, experiment.variant)
            layers.append(Layer(origin, experiment.value))
        name = self._declaration.settings_class.__name__
        try:
            resolved = merge_layers(self._declaration, layers)
        except Exception as error:
            raise _NoValuesError(f"{name}: {one_line(error)}") from error
        refused = [f"{name}.{'.'.join(each.path)}: {each.message}" for each in resolved.refusals]
        if refused:
            raise _NoValuesError(f"{self._folder}: a value does not fit ({'; '.join(refused)})")
        shown = {each for each in resolved.values if not self._declaration.is_secret((each,))}
        values: dict[str, JsonValue] = resolved.instance.model_dump(mode="json", include=shown)
        return values


def _signature(path: Path) -> _Signature:
    try:
        status = os.stat(path)  # noqa: PTH116 - one call, and None if the file is gone by now
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
