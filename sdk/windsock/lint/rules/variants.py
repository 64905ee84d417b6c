"""Variants and their values."""

import json
from collections.abc import Iterator
from typing import Final

from windsock.flag_names import EXPERIMENT, PROFILE
from windsock.flags.model import JsonValue
from windsock.flags.raw import Tokens
from windsock.flags.references import REF
from windsock.flags.values import MOST_EXACT, kind
from windsock.lint.rules.site import FlagSite, Hit
from windsock.text import did_you_mean

_DEEPEST: Final = 20
_LARGEST: Final = 256 * 1024
_OVERLAYS: Final = (EXPERIMENT, PROFILE)


def presence(site: FlagSite) -> Iterator[Hit]:
    """Whether there are variants, including the default."""
    if not site.variants:
        if isinstance(site.body.get("variants", {}), dict):
            message = 'the flag has no variants; an overlay that changes nothing is {"none": {}}'
            at_key = "variants" not in site.body
            yield Hit("no-variants", site.tokens if at_key else site.at("variants"), message, at_key=at_key)
        return
    default = site.body.get("defaultVariant")
    if not default:
        at = site.at("defaultVariant") if "defaultVariant" in site.body else site.tokens
        message = (
            "no default variant: the code default is served, but by the OFREP provider an error; name one"
        )
        yield Hit("missing-default", at, message, at_key=at == site.tokens)
    elif isinstance(default, str) and default not in site.variants:
        message = f"defaultVariant {default!r} is not a variant{did_you_mean(default, list(site.variants))}"
        yield Hit("default-not-variant", site.at("defaultVariant"), message)


def types(site: FlagSite) -> Iterator[Hit]:
    """Whether all variants have the same type, one that flagd can serve."""
    kinds: dict[str, str] = {}
    for name, value in site.variants.items():
        its = kind(value)
        if its in ("null", "a list"):
            message = f"variant {name!r} is {its}, which flagd cannot serve"
            yield Hit("null-variant", site.at("variants", name), message)
        else:
            kinds[name] = its
    first = next(iter(kinds), None)
    for name, its in kinds.items():
        if first is not None and its != kinds[first]:
            message = f"variant {name!r} is {its}, {first!r} is {kinds[first]}; give all the same type"
            yield Hit("mixed-types", site.at("variants", name), message)
            return
    if first is not None and kinds[first] == "a number":
        yield from _mixed_numbers(site)


def _mixed_numbers(site: FlagSite) -> Iterator[Hit]:
    whole = [name for name, value in site.variants.items() if isinstance(value, int)]
    decimal = [name for name, value in site.variants.items() if isinstance(value, float)]
    if whole and decimal:
        message = (
            f"variant {whole[0]!r} is a whole number, {decimal[0]!r} a decimal one; give all the same type"
        )
        yield Hit("mixed-numbers", site.at("variants", whole[0]), message)


def overlay(site: FlagSite) -> Iterator[Hit]:
    """Whether an overlay changes nothing by default."""
    if not site.key.endswith(_OVERLAYS) or not site.variants:
        return
    default = site.body.get("defaultVariant")
    if not isinstance(default, str) or site.variants.get(default) != {}:
        at = site.at("defaultVariant") if "defaultVariant" in site.body else site.tokens
        message = 'an overlay changes nothing by default: write the variant "none": {} as defaultVariant'
        yield Hit("overlay-default", at, message, at_key=at == site.tokens)


def values(site: FlagSite) -> Iterator[Hit]:
    """The contents of object values."""
    for name, value in site.variants.items():
        at = site.at("variants", name)
        yield from _inside(value, at, 1)
        if isinstance(value, dict) and _is_large(value):
            yield Hit("large-value", at, f"variant {name!r} has more than 256 kB; keep it elsewhere")


def _inside(value: JsonValue, at: Tokens, depth: int) -> Iterator[Hit]:
    if isinstance(value, (dict, list)):
        if depth > _DEEPEST:
            yield Hit("deep-value", at, f"nested more than {_DEEPEST} deep; flatten it")
            return
        if isinstance(value, dict) and REF in value:
            message = f'"{REF}" is replaced by the text of a shared rule wherever it occurs; use another key'
            yield Hit("reference-in-value", (*at, REF), message)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _inside(item, (*at, key), depth + 1)
    elif isinstance(value, (int, float)) and abs(value) > MOST_EXACT and value == int(value):
        yield Hit("big-number", at, f"{value} is rounded by most engines (above 2^53); write text")


def _is_large(value: JsonValue) -> bool:
    return len(json.dumps(value)) > _LARGEST
