"""Decide whether a tuned value caused an error, from its status, code and parameter, by duck typing.

The shapes are those of httpx (``response.status_code``), openai (``status_code``, ``code``, ``param``,
``body``) and anthropic (``status_code``, ``body["error"]["type"]``); none of them is imported.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from windsock.text import MASK, mask_passwords, printable

ERROR_MAX = 500
"""Maximum characters of an error's text that are judged, logged and kept."""

_READ_MAX = 100_000
_CHAIN_MAX = 8
_VALUE_STATUS = frozenset({400, 404, 422})
_ELSEWHERE_STATUS = frozenset({401, 402, 403, 407, 408, 409, 425, 429})
_VALUE_CODES = frozenset({"model_not_found", "not_found_error"})
# The request's content or the account: a different value in the same field wouldn't have helped.
_ELSEWHERE_CODES = re.compile(
    r"content_filter|content_policy|context_length|insufficient_quota|billing|invalid_api_key|rate_limit"
    r"|authentication|permission|overloaded|server_error"
)
# Names, because the libraries aren't imported; any of them among the base classes counts.
_NETWORK_NAMES = frozenset(
    {"APIConnectionError", "APITimeoutError", "ClientConnectionError", "NetworkError", "ProtocolError"}
    | {"ProxyError", "SSLError", "TimeoutException", "TransportError", "gaierror"}
)


class Blame(Enum):
    """Whose fault an error is."""

    VALUE = "value"
    """The value: it will fail again for every user."""
    ELSEWHERE = "elsewhere"
    """Something else: the network, the provider's load, the account."""
    UNKNOWN = "unknown"
    """A single error doesn't tell; only a comparison of many does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A classifier's verdict on an error.

    Attributes:
        blame: Whose fault it is.
        fields: The fields concerned, among those that were read; empty if unknown.
    """

    blame: Blame
    fields: tuple[str, ...] = ()


class Classifier(Protocol):
    """Judges an error. If the classifier raises, blame is unknown."""

    def __call__(self, error: Exception, values: Mapping[str, object], /) -> Verdict:
        """Judge `error`.

        Args:
            error: What the call raised.
            values: The tuned values that the call read, by field, without secrets.
        """


def classify(error: Exception, values: Mapping[str, object], /) -> Verdict:
    """Judge errors from httpx, openai, anthropic and the like, and values rejected in Python.

    400, 404, 422, and 403 with ``model_not_found`` are the value's fault; 401, 429, 5xx, timeouts and network
    errors aren't. A ``ValueError`` is the value's fault if it names the field or quotes the value. Causes are
    checked too, so errors wrapped by a retry library are found; the first conclusive error decides.

    Args:
        error: What the call raised.
        values: The tuned values that the call read, by field, without secrets.
    """
    facts = [_facts(each) for each in chain(error)]
    fields = _named(facts, values)
    for fact in facts:
        blame = _blame(fact, values, fields)
        if blame is not Blame.UNKNOWN:
            return Verdict(blame, fields)
    return Verdict(Blame.UNKNOWN, fields)


def describe(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Describe an error in one line of bounded length, even if it can't be printed.

    Args:
        error: The error.
        secrets: Texts to mask wherever it quotes them, as plain text or in Python or JSON notation.
    """
    text = printable(error, _READ_MAX)
    for secret in secrets:
        for written in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
            text = text.replace(written, MASK)
    return f"{type(error).__name__}: {' '.join(mask_passwords(text).split())}"[:ERROR_MAX]


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, the errors in its group and its causes, outermost first."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left and len(seen) < _CHAIN_MAX:
        following = left.pop()
        if following is not None and all(following is not each for each in seen):
            seen.append(following)
            yield following
            cause = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
            group = following.exceptions if isinstance(following, BaseExceptionGroup) else ()
            left += (cause, *reversed(group))


class _Facts(NamedTuple):
    error: BaseException
    status: int | None
    code: str
    param: str
    text: str


def _facts(error: BaseException) -> _Facts:
    body = _body(error)
    return _Facts(
        error,
        _status(error),
        " ".join(filter(None, (_text(error, "code"), _string(body.get("code")), _string(body.get("type"))))),
        _text(error, "param") or _string(body.get("param")),
        describe(error),
    )


def _body(error: BaseException) -> Mapping[object, object]:
    """The response's JSON: openai provides the inner error, anthropic the whole."""
    body = _attribute(error, "body")
    if type(body) is not dict:
        return {}
    inner = body.get("error")
    return inner if type(inner) is dict else body


def _status(error: BaseException) -> int | None:
    response = _attribute(error, "response")
    candidates = (
        _attribute(error, "status_code"),
        _attribute(response, "status_code"),
        _attribute(error, "status"),
        _attribute(error, "code"),
    )
    return next((int(each) for each in candidates if isinstance(each, int) and 100 <= each <= 599), None)


def _blame(fact: _Facts, values: Mapping[str, object], fields: tuple[str, ...]) -> Blame:
    if _is_elsewhere(fact):
        return Blame.ELSEWHERE
    about_another = fact.param and not _fields_of(fact.param, values)
    return Blame.VALUE if _is_the_values_own(fact, fields) and not about_another else Blame.UNKNOWN


def _is_elsewhere(fact: _Facts) -> bool:
    names = {each.__name__ for each in type(fact.error).__mro__}
    if isinstance(fact.error, TimeoutError | ConnectionError) or names & _NETWORK_NAMES:
        return True
    if fact.status == 403 and "model_not_found" in fact.code:
        return False
    if fact.status is not None and (fact.status >= 500 or fact.status in _ELSEWHERE_STATUS):
        return True
    return bool(_ELSEWHERE_CODES.search(fact.code))


def _is_the_values_own(fact: _Facts, fields: tuple[str, ...]) -> bool:
    if fact.status in _VALUE_STATUS or _VALUE_CODES & set(fact.code.split()):
        return True
    return isinstance(fact.error, ValueError | TypeError | LookupError) and bool(fields)


def _named(facts: list[_Facts], values: Mapping[str, object]) -> tuple[str, ...]:
    """The fields that an error's parameter names, else those whose value or name its text quotes."""
    for fact in facts:
        if fact.param and (fields := _fields_of(fact.param, values)):
            return fields
    for fact in facts:
        if quoted := tuple(name for name, value in values.items() if _quotes(fact.text, name, value)):
            return quoted
    if any("model_not_found" in fact.code for fact in facts):
        return _fields_of("model", values)
    return ()


def _fields_of(param: str, values: Mapping[str, object]) -> tuple[str, ...]:
    """Fields that set a parameter: ``model`` is set by ``model`` and by ``reasoning_model``."""
    return tuple(name for name in values if name == param or name.endswith(f"_{param}"))


def _quotes(text: str, name: str, value: object) -> bool:
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
        return True
    return isinstance(value, str) and len(value) > 1 and value in text


def _attribute(thing: object, name: str) -> object:
    """Read an attribute that may raise anything."""
    try:
        return getattr(thing, name, None)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - hostile by assumption, `SystemExit` included
        return None


def _text(error: BaseException, name: str) -> str:
    return _string(_attribute(error, name))


def _string(value: object) -> str:
    return str.__str__(value)[:ERROR_MAX] if isinstance(value, str) else ""
