"""Checks a request before anything is written: its JSON, fields and values, and the linter's findings."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NoReturn

from pydantic import BaseModel, ValidationError

from windsock.flagfiles.configuration import ENVIRONMENTS, Configuration, Values
from windsock.flags import JsonValue
from windsock.flags.model import pointer_of
from windsock.flags.values import MOST_EXACT
from windsock.lint.linter import Level, lint
from windsock.nested import overlay
from windsock.settings.declaration import Declaration, jsonable
from windsock.settings.flag_input import LONG_KEYS, LONGEST_PATH, has_long_keys
from windsock.text import MASK, UNSTORABLE, mask_passwords

_ENVIRONMENT: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")

_NOT_HERE: Final = "the field is secret, and a flag file is not: set it in the service's environment"

MOST: Final = 100
"""How many mistakes of a kind are reported: all would take seconds, and gigabytes if keys are long."""

_MOST_ENVIRONMENTS: Final = 100
"""How many environments the API makes: each is a variant, and a condition that reads may have to test."""

_DEEPEST: Final = 20
"""Maximum nesting of a value; much deeper objects fail over gRPC."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a request; nothing is written.

    Attributes:
        pointer: The field, as a JSON pointer (RFC 6901) into the request; empty for the whole request.
        message: What is wrong and what to do next.
    """

    pointer: str
    message: str


def parse(body: bytes) -> Mapping[str, JsonValue] | Mistake:
    """Read a request's body: one JSON object, each key once."""
    try:
        parsed = json.loads(body, parse_int=_whole, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except RecursionError:  # Python's own message differs between versions
        return Mistake("", "the request is nested too deep")
    except ValueError as error:
        return Mistake("", f"the request is not JSON: {error}")
    if not isinstance(parsed, dict):
        return Mistake("", "the request must be a JSON object of the fields to change")
    return parsed


def check_request(declaration: Declaration, current: Configuration, request: Values) -> list[Mistake]:
    """Find values that JSON or a database can't hold, unknown or secret fields, and other variants' names.

    Returns:
        The first `MOST` of them.
    """
    return list(islice(_mistakes(declaration, current, request), MOST))


def check_values(declaration: Declaration, configuration: Configuration) -> list[Mistake]:
    """Validate every variant over the code defaults; text isn't converted to a number.

    Returns:
        The first `MOST` mistakes.
    """
    return list(islice(_misfits(declaration, configuration), MOST))


def check_document(data: bytes, source: str, flag: str, configuration: Configuration) -> list[Mistake]:
    """Lint the document as it would be written; only errors count, and only those of this flag."""
    prefixes = {
        pointer_of("flags", flag, "variants", name): pointer_of(*configuration.tokens(name))
        for name in configuration.variants
    }
    errors = (each for each in lint(data, source, only=flag).findings if each.level is Level.ERROR)
    faults = []
    for finding in islice(errors, MOST):
        tokens = finding.pointer.split("/", 5)
        replacement = prefixes.get("/".join(tokens[:5]))
        pointer = finding.pointer if replacement is None else "/".join([replacement, *tokens[5:]])
        faults.append(Mistake(pointer, f"{finding.code}: {finding.message}"))
    return faults


def without(request: Values, faults: Sequence[Mistake]) -> Values:
    """Remove from a request the values that mistakes point at; a list that holds one is removed whole."""
    wrong = frozenset(fault.pointer for fault in faults)
    above = {pointer[:at] for pointer in wrong for at, letter in enumerate(pointer) if letter == "/"}
    return _without(request, wrong, wrong | above, "")


def _without(
    values: Values, wrong: frozenset[str], wrong_within: frozenset[str], above: str
) -> dict[str, JsonValue]:
    kept: dict[str, JsonValue] = {}
    for key, value in values.items():
        at = above + pointer_of(key)
        if isinstance(value, Mapping) and at not in wrong:
            kept[key] = _without(value, wrong, wrong_within, at)
        elif at not in wrong_within:
            kept[key] = value
    return kept


def _mistakes(declaration: Declaration, current: Configuration, request: Values) -> Iterator[Mistake]:
    yield from _unportable(request, ())
    patch = {key: value for key, value in request.items() if key != ENVIRONMENTS}
    yield from _unfit(declaration, patch, ())
    environments = request.get(ENVIRONMENTS, {})
    if not isinstance(environments, Mapping):
        yield Mistake(f"/{ENVIRONMENTS}", "must be an object, with one object per environment")
        return
    added = environments.keys() - current.variants.keys()
    if added and len(current.environments) + len(added) > _MOST_ENVIRONMENTS:
        yield Mistake(f"/{ENVIRONMENTS}", f"there may be {_MOST_ENVIRONMENTS} at most; for more, use Git")
        return
    for name, values in environments.items():
        at = (ENVIRONMENTS, name)
        if message := _no_environment(name, current):
            yield Mistake(pointer_of(*at), message)
        elif not isinstance(values, Mapping):
            yield Mistake(pointer_of(*at), "must be an object of the fields to change")
        else:
            yield from _unfit(declaration, values, at)


def _misfits(declaration: Declaration, configuration: Configuration) -> Iterator[Mistake]:
    seen: set[tuple[tuple[str, ...], str]] = set()
    names = sorted(configuration.variants, key=lambda name: name != configuration.default)
    for name in names:
        for path, message in _invalid(declaration, configuration.variants[name]):
            if (path, message) not in seen:  # an environment that follows the base would repeat its mistakes
                seen.add((path, message))
                yield Mistake(pointer_of(*configuration.tokens(name), *path), message)


def _invalid(declaration: Declaration, values: Values) -> Iterator[tuple[tuple[str, ...], str]]:
    whole = overlay({name: jsonable(value) for name, value in declaration.defaults.items()}, values)
    if has_long_keys(whole):
        yield (), LONG_KEYS
        return
    settings_class: type[BaseModel] = declaration.settings_class
    try:
        # not the class's own `__init__`, which reads the environment
        settings_class.__pydantic_validator__.validate_json(
            json.dumps(whole),
            strict=True,
            self_instance=settings_class.__new__(settings_class),
            by_name=True,
            by_alias=False,
        )
    except ValidationError as error:
        if error.error_count() > MOST:
            yield (), f"{error.error_count()} values aren't valid; send fewer at once to see which"
            return
        for item in error.errors(include_url=False, include_context=False, include_input=False):
            path = tuple(map(str, item["loc"]))
            if path and path[0] in declaration.secrets:  # a validator's own message may quote the value
                yield path[:1], "not valid; the field is secret, so the reason isn't shown"
            elif not path or path[0] in values:  # a default may have no JSON form
                message = _without_secrets(item["msg"], [values.get(name) for name in declaration.secrets])
                yield path, mask_passwords(message)


def _without_secrets(message: str, secrets: Sequence[JsonValue]) -> str:
    """The message of a validator that saw the whole class; it may quote secrets, which are masked."""
    for each in secrets:
        if isinstance(each, str):
            message = message.replace(each, MASK) if each else message
        elif isinstance(each, Mapping | list):
            below = list(each.values()) if isinstance(each, Mapping) else each
            message = _without_secrets(message, below)
    return message


def _unfit(declaration: Declaration, values: Values, above: tuple[str, ...]) -> Iterator[Mistake]:
    for path, message in declaration.unknown(values):
        yield Mistake(pointer_of(*above, *path), message)
    for name in sorted(declaration.secrets & values.keys()):
        yield Mistake(pointer_of(*above, name), _NOT_HERE)


def _unportable(value: JsonValue, at: tuple[str | int, ...]) -> Iterator[Mistake]:
    if len(at) > _DEEPEST:
        yield Mistake(pointer_of(*at), f"deeper than {_DEEPEST} levels, which some readers refuse")
    elif isinstance(value, Mapping | list) and sum(len(str(key)) for key in at) > LONGEST_PATH:
        yield Mistake(pointer_of(*at), f"the keys that lead here have more than {LONGEST_PATH} characters")
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _unportable(key, (*at, key))
            yield from _unportable(below, (*at, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _unportable(below, (*at, index))
    elif message := _unportable_scalar(value):
        yield Mistake(pointer_of(*at), message)


def _unportable_scalar(value: JsonValue) -> str | None:
    if isinstance(value, str) and UNSTORABLE.search(value):
        return "text can't contain the character U+0000 or half a surrogate pair"
    if isinstance(value, str) and MASK in value and MASK in mask_passwords(value.replace(MASK, "x")):
        return "the asterisks stand for a password; leave the field out to keep it, or send the password"
    if isinstance(value, float) and not math.isfinite(value):
        return "the number is too large for a double"
    if isinstance(value, int) and abs(value) > MOST_EXACT:
        return "some readers round integers beyond 2^53"
    return None


def _no_environment(name: str, current: Configuration) -> str | None:
    if name == current.default:
        return f"{name} is the base here: put its values at the top level"
    if name in current.variants and name not in current.environments:
        return f"{name} is a variant for users, not an environment; choose another name, or use Git"
    if not _ENVIRONMENT.fullmatch(name):
        return "an environment's name has letters, digits, and - _ . between them, at most 63 of them"
    return None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _whole(digits: str) -> int | float:
    """A whole number, or infinity: Python refuses to read thousands of digits."""
    return int(digits) if len(digits) < 400 else float(digits)


def _each_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r:.80} appears twice in one object")
    return found
