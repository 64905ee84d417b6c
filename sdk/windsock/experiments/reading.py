"""Reads experiments and metrics from a folder of flags; each mistake is one message with file and line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, JsonValue, SerializeAsAny, ValidationError

from windsock.errors import ConfigurationError, MissingExtraError, UnreachableError
from windsock.experiments.documents import Experiment, HandWritten
from windsock.experiments.holdouts import Holdouts
from windsock.experiments.metrics import BUILT_IN, Metric, Metrics
from windsock.flagfiles.files import check_link, read_bytes
from windsock.text import count, did_you_mean, printable

MAX_BYTES: Final = 100_000
MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 40
_LIMITS: Final = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
"""What pydantic calls a limit, and how people are told of it."""

_TYPES: Final = {
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""What pydantic calls a value of another type, and how people are told what it must be."""

MAX_MESSAGE: Final = 500
"""Characters of one message: a document's own words may be much longer."""

MAX_MESSAGES: Final = 50
"""Mistakes reported of one document; the others are counted."""

Lines = Mapping[tuple[object, ...], int]
"""The line of each value of a document, by its keys and indexes."""

_Document = TypeVar("_Document", bound=BaseModel)
_NUMBER: Final = re.compile(r"[-+]?\d{1,18}(\.\d{1,18})?([eE][-+]?\d{1,2})?")
_WORDS: Final[dict[str, JsonValue]] = {"null": None, "~": None, "": None, "true": True, "false": False}


def _without_document(value: object) -> object:
    """A snapshot says whether its experiment had a document."""
    known = isinstance(value, dict) and "hand_written" in value
    return HandWritten.model_validate(value) if known else value


@dataclass(frozen=True, slots=True)
class DeclaredExperiment:
    """An experiment and the metrics that it names; without a document, as its flag says.

    Attributes:
        experiment: The experiment.
        metrics: Its metrics by name.
        places: File and line of each metric's declaration; a built-in one's is where the experiment names it.
    """

    experiment: Annotated[SerializeAsAny[Experiment], BeforeValidator(_without_document)]
    metrics: Mapping[str, Metric]
    places: Annotated[Mapping[str, str], Field(exclude=True)] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class DeclaredMetrics:
    """The metrics of `metrics.yaml`.

    Attributes:
        metrics: By name, without the built-in ones.
        places: File and line of each.
    """

    metrics: Mapping[str, Metric]
    places: Mapping[str, str]


def experiment_files(folder: Path) -> list[Path]:
    """The documents below a folder of flags, sorted by name."""
    return sorted((folder / "experiments").glob("*.yaml"))


def read_declared(folder: Path, name: str) -> DeclaredExperiment:
    """Read an experiment and its metrics.

    Args:
        folder: The folder of the flags.
        name: The experiment's name.

    Raises:
        ConfigurationError: A document is wrong, or a metric is not declared; says where.
        UnreachableError: The document doesn't exist.
    """
    path = folder / "experiments" / f"{name}.yaml"
    if path not in experiment_files(folder):
        known = did_you_mean(name, [each.stem for each in experiment_files(folder)])
        raise UnreachableError(
            f"{path}: no such experiment{known or f'; `windsock experiment new {name}` writes it'}"
        )
    experiment, lines = _experiment(path)
    declared = read_metrics(folder / "metrics.yaml")
    metrics = {**BUILT_IN, **declared.metrics}
    places = {**_named_at(experiment, lines, path), **declared.places}
    for metric in experiment.metrics.every:
        if metric not in metrics:
            raise ConfigurationError(
                f"{places[metric]}: the metric {metric!r} is neither built in nor declared in "
                f"{folder / 'metrics.yaml'}{did_you_mean(metric, list(metrics))}"
            )
    return DeclaredExperiment(
        experiment, {metric: metrics[metric] for metric in experiment.metrics.every}, places
    )


def _named_at(experiment: Experiment, lines: Lines, path: Path) -> dict[str, str]:
    """Where an experiment names its metrics."""
    roles = experiment.metrics
    guardrails = [each.metric for each in roles.guardrails]
    named = {"secondary": roles.secondary, "guardrails": guardrails, "goal": roles.goal}
    return {
        metric: f"{path}:{lines.get(('metrics', role, index), 1)}"
        for role, names in named.items()
        for index, metric in enumerate(names)
    }


def read_experiment(path: Path) -> Experiment:
    """Read one experiment; its name is the file's.

    Raises:
        ConfigurationError: The document is wrong; says in which line.
        UnreachableError: It cannot be read.
    """
    return _experiment(path)[0]


def _experiment(path: Path) -> tuple[Experiment, Lines]:
    experiment, lines = _read(path, Experiment, path.parents[1])
    if experiment.name != path.stem:
        place = f"{path}:{lines.get(('name',), 1)}"
        raise ConfigurationError(f"{place}: the name {experiment.name!r} must be the file's, {path.stem!r}")
    return experiment, lines


def read_metrics(path: Path) -> DeclaredMetrics:
    """Read the declared metrics; without a file there are none.

    Raises:
        ConfigurationError: The document is wrong; says in which line.
        UnreachableError: It cannot be read.
    """
    if not path.exists():
        return DeclaredMetrics({}, {})
    document, lines = _read(path, Metrics, path.parent)
    places = {name: f"{path}:{lines.get(('metrics', name), 1)}" for name in document.metrics}
    return DeclaredMetrics(document.metrics, places)


def read_holdouts(path: Path) -> Holdouts:
    """Read the declared holdouts; without a file there are none.

    Raises:
        ConfigurationError: The document is wrong; says in which line.
        UnreachableError: It cannot be read.
    """
    return _read(path, Holdouts, path.parent)[0] if path.exists() else Holdouts()


def _read(path: Path, model: type[_Document], flags: Path) -> tuple[_Document, Lines]:
    check_link(path, flags)
    data = read_bytes(path)
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"{path}: larger than {MAX_BYTES} bytes")
    value, lines = _parse(data, path)
    try:
        return model.model_validate(value), lines
    except ValidationError as error:
        messages = _messages(error, path, lines)
        sentences = [printable(each, MAX_MESSAGE) for each in islice(messages, MAX_MESSAGES)]
        if more := sum(1 for _ in messages):
            sentences.append(f"{path}: and {count(more, 'more mistake')}")
        refused = ConfigurationError(sentences[0])
        for message in sentences[1:]:
            refused.add_note(message)
        raise refused from None


def _messages(error: ValidationError, path: Path, lines: Lines) -> Iterator[str]:
    seen = set()
    for each in error.errors(include_url=False, include_input=False):
        known = [each["loc"][:length] for length in range(len(each["loc"]), -1, -1)]
        place = next((found for found in known if found in lines), ())
        where = ".".join(map(str, place))
        message = each["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
        if each["type"] == "missing":
            message = f"`{each['loc'][-1]}` is missing"
        elif each["type"] == "extra_forbidden":
            message = f"`{each['loc'][-1]}` is not known here"
        elif each["type"] in _LIMITS:
            words, limit = _LIMITS[each["type"]]
            message = f"must be {words} {each['ctx'][limit]:.12g}"
        elif each["type"] in _TYPES:
            message = f"must be {_TYPES[each['type']]}"
        line = f"{path}:{lines.get(place, 1)}: {where + ': ' if where else ''}{message}"
        if line not in seen:
            seen.add(line)
            yield line


def _parse(data: bytes, path: Path) -> tuple[JsonValue, Lines]:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise MissingExtraError("reading experiments", "experiments") from missing
    try:
        root = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
        builder = _Builder(path)
        return builder.value(root, ()), builder.lines
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML: {error}") from None


@dataclass(slots=True)
class _Builder:
    """Builds plain values from YAML nodes like the flagd server: `on` is text, aliases are refused."""

    path: Path
    lines: dict[tuple[object, ...], int] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def value(self, node: Any, place: tuple[object, ...]) -> JsonValue:
        if node is None:
            return None
        line = node.start_mark.line + 1
        self.lines[place] = line
        if id(node) in self._seen or len(self._seen) > MAX_VALUES or len(place) > MAX_DEPTH:
            raise ConfigurationError(
                f"{self.path}:{line}: anchors, deep nesting and huge documents are not read"
            )
        self._seen.add(id(node))
        if node.id == "mapping":
            return self._mapping(node, place)
        if node.id == "sequence":
            return [self.value(each, (*place, index)) for index, each in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: Any, place: tuple[object, ...]) -> JsonValue:
        result: dict[str, JsonValue] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.id != "scalar":  # the text of one that names lists again and again never ends
                raise ConfigurationError(f"{self.path}:{line}: a key must be text")
            key = str(key_node.value)
            if key in result:
                raise ConfigurationError(f"{self.path}:{line}: {key!r} is written twice")
            result[key] = self.value(value_node, (*place, key))
            self.lines[*place, key] = line
        return result


def _scalar(node: Any) -> JsonValue:
    text: str = node.value
    if node.style is not None:  # quoted, or a block scalar
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if set(text) & set(".eE") else int(text)
    return text
