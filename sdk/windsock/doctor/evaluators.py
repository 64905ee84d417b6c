"""Evaluators to compare with windsock's own: flagd over RPC or OFREP, and installed packages."""

import importlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import quote

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.provider import AbstractProvider

from windsock.doctor.probes import SAMPLE, Answered, Ask, answered, probes
from windsock.errors import UnreachableError
from windsock.flags import Flag

_CORE = "openfeature-flagd-core"
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Package:
    """An installed evaluator.

    Attributes:
        name: Distribution and version.
        bucketing: The bucketing that it uses.
    """

    name: str
    bucketing: Answered


def installed() -> Package | None:
    """Probe flagd's Python core, which the stock provider uses; None if it isn't installed."""
    try:
        name = f"{_CORE} {version(_CORE)}"
        core = importlib.import_module("openfeature.contrib.tools.flagd.core").FlagdCore()
    except (PackageNotFoundError, ImportError):
        return None
    core.set_flags(
        json.dumps(
            {
                "flags": {
                    SAMPLE.key: {
                        "state": "ENABLED",
                        "variants": SAMPLE.variants,
                        "defaultVariant": SAMPLE.default_variant,
                        "targeting": SAMPLE.targeting,
                    }
                }
            }
        )
    )

    def ask(flag: Flag, context: Mapping[str, object]) -> str | None:
        found = core.resolve_string_value(flag.key, "", EvaluationContext(str(context["targetingKey"])))
        variant: str | None = found.variant
        return variant

    return Package(name, answered(SAMPLE, probes(SAMPLE, {}), ask))


@contextmanager
def remote(provider: AbstractProvider, address: str) -> Iterator[Ask]:
    """Ask a flagd through its evaluation RPC.

    Raises:
        UnreachableError: It doesn't answer.
    """
    try:
        provider.initialize(EvaluationContext())
    except OpenFeatureError as error:
        provider.shutdown()
        raise UnreachableError(f"{error.error_message}; is it running, and its RPC port right?") from None

    def ask(flag: Flag, context: Mapping[str, object]) -> str | None:
        attributes = {key: value for key, value in context.items() if key != "targetingKey"}
        given = EvaluationContext(str(context["targetingKey"]), attributes)  # type: ignore[arg-type]
        try:
            return _resolve(provider, flag, given)
        except OpenFeatureError as error:
            if error.error_code.value == "FLAG_NOT_FOUND":
                return None
            raise UnreachableError(f"{address}: flag {flag.key!r}: {error.error_message}") from None

    try:
        yield ask
    finally:
        provider.shutdown()


def _resolve(provider: AbstractProvider, flag: Flag, context: EvaluationContext) -> str | None:
    """Ask by the flag's type, as RPC requires; the variants determine it."""
    value = next(iter(flag.variants.values()), None)
    if isinstance(value, bool):
        return provider.resolve_boolean_details(
            flag.key, default_value=False, evaluation_context=context
        ).variant
    if isinstance(value, str):
        return provider.resolve_string_details(flag.key, "", context).variant
    if isinstance(value, (int, float)):
        return provider.resolve_float_details(flag.key, 0.0, context).variant
    return provider.resolve_object_details(flag.key, {}, context).variant


def ofrep(url: str) -> Ask:
    """Ask a flagd, or any other server of OFREP, over HTTP.

    Args:
        url: Its address: ``http://localhost:8016``.
    """

    def ask(flag: Flag, context: Mapping[str, object]) -> str | None:
        request = urllib.request.Request(  # noqa: S310 - the command checked the scheme
            f"{url.rstrip('/')}/ofrep/v1/evaluate/flags/{quote(flag.key, safe='')}",
            json.dumps({"context": dict(context)}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 - an address that the user gave
                variant = json.load(response).get("variant")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in {400, 404}:  # this flag can't be evaluated, or doesn't exist
                return None
            raise UnreachableError(f"{url}: HTTP {error.code} {error.reason}") from None
        except (OSError, ValueError, AttributeError) as error:
            reason = getattr(error, "reason", error)
            raise UnreachableError(
                f"{url}: no answer ({reason}); is it running, and its OFREP port?"
            ) from None
        return variant if isinstance(variant, str) else None

    return ask
