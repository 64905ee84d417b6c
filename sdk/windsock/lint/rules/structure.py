"""The structure of a document and its flags."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Final

from windsock.flags.model import BUCKETINGS, JsonValue
from windsock.flags.raw import Tokens
from windsock.lint.rules.site import DocumentSite, FlagSite, Hit
from windsock.text import did_you_mean

_LARGEST: Final = 4 * 1024 * 1024
_ROOT: Final = ("$schema", "flags", "$evaluators", "metadata")
_PROPERTIES: Final = ("state", "variants", "defaultVariant", "targeting", "metadata")


def root(site: DocumentSite) -> Iterator[Hit]:
    """Misspelt properties of the document itself; unknown properties are allowed."""
    for name in site.root:
        near = get_close_matches(name, _ROOT, n=1, cutoff=0.75)
        if name not in _ROOT and near:
            yield Hit("unknown-root", (name,), f"{name!r} is ignored{did_you_mean(name, _ROOT)}", at_key=True)
    if site.size > _LARGEST:
        message = (
            f"{site.size / 1024 / 1024:.0f} MB, more than clients of flagd's stream accept (4 MB); keep "
            "lists of users in the database (windsock mirror) or split the file"
        )
        yield Hit("large-file", (), message)
    if any(isinstance(flag.tokens[-1], int) for flag in site.flags):
        message = (
            "only the flagd server and windsock read a list of flags; write an object with the flags by key"
        )
        yield Hit("flags-as-list", ("flags",), message)
    for name in site.evaluators:
        yield from _plain("shared rule's name", name, ("$evaluators", name))
    if isinstance(site.metadata, dict):
        yield from _metadata(site.metadata, ("metadata",))


def properties(site: FlagSite) -> Iterator[Hit]:
    """Unknown properties of flags."""
    known = (*_PROPERTIES, "key") if isinstance(site.tokens[-1], int) else _PROPERTIES
    for name in site.body:
        if name in known:
            continue
        near = get_close_matches(name.lower(), [each.lower() for each in known], n=1, cutoff=0.75)
        if near:
            message = f"{name!r} is ignored{did_you_mean(name, known)}"
        else:
            message = (
                f"flags have no {name!r}: flagd ignores it, flagd-core for Python refuses the whole file; "
                "write it as metadata or remove it"
            )
        yield Hit("unknown-property", site.at(name), message, at_key=True)


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "variants": (dict,),
    "defaultVariant": (str, type(None)),
    "targeting": (dict,),
    "metadata": (dict,),
}


def types(site: FlagSite) -> Iterator[Hit]:
    """Properties whose type differs from the schema."""
    for name, kinds in _TYPES.items():
        if name not in site.body or isinstance(site.body[name], kinds):
            continue
        wanted = "text or null" if name == "defaultVariant" else "an object"
        if site.body[name] is None and name != "variants":
            message = f"{name} must be {wanted}; leave it out, or write {{}}"
            yield Hit("bad-flag", site.at(name), message, change=("replace", {}))
        else:
            yield Hit("bad-flag", site.at(name), f"{name} must be {wanted}")


def names(site: FlagSite) -> Iterator[Hit]:
    """Keys and variant names that are empty or could be mistaken for something else when shown."""
    yield from _plain("flag's key", site.key, site.tokens)
    for name in site.variants:
        yield from _plain("variant's name", name, site.at("variants", name))


def _plain(kind: str, name: str, tokens: Tokens) -> Iterator[Hit]:
    if not name or not name.isprintable():
        what = "has a line break or another character that cannot be seen" if name else "is empty"
        yield Hit("bad-flag", tokens, f"the {kind} {what}; give it a plain name", at_key=True)


def state(site: FlagSite) -> Iterator[Hit]:
    """A missing or invalid state."""
    if "state" not in site.body:
        message = (
            'the flag has no state, and flagd-core for Python refuses the file; write "state": "ENABLED"'
        )
        yield Hit("bad-state", site.tokens, message, at_key=True, change=("insert", {"state": "ENABLED"}))
    elif site.body["state"] not in ("ENABLED", "DISABLED"):
        shown = json.dumps(site.body["state"])[:60]
        message = (
            f'state {shown} counts as ENABLED in flagd and is refused elsewhere; write "ENABLED" or '
            '"DISABLED"'
        )
        change = ("replace", "ENABLED") if site.body["state"] == "enabled" else None
        yield Hit("bad-state", site.at("state"), message, change=change)  # type: ignore[arg-type]


def metadata(site: FlagSite) -> Iterator[Hit]:
    """Metadata that not every engine accepts, and metadata about the flag's maintenance."""
    yield from _metadata(site.metadata, site.at("metadata"))
    expires = site.metadata.get("expires")
    if expires is None or site.options.today is None:
        return
    try:
        late = date.fromisoformat(str(expires)) < site.options.today
    except ValueError:
        message = f"expires {str(expires)[:40]!r} is not a date; write YYYY-MM-DD"
        yield Hit("expired", site.at("metadata", "expires"), message)
        return
    if late:
        message = f"the flag expired on {expires}; remove it, or move the date"
        yield Hit("expired", site.at("metadata", "expires"), message)


def owner(site: DocumentSite) -> Iterator[Hit]:
    """Flags without an owner."""
    if isinstance(site.metadata, dict) and site.metadata.get("owner"):
        return
    for flag in site.flags:
        if not flag.metadata.get("owner"):
            message = 'the flag has no owner; write "metadata": {"owner": "…"}'
            yield Hit("missing-owner", flag.tokens, message, at_key=True)


def _metadata(values: Mapping[str, JsonValue], at: Tokens) -> Iterator[Hit]:
    for name, value in values.items():
        if isinstance(value, (dict, list)) or value is None:
            message = f"metadata {name!r} must be text, a number, true or false"
            yield Hit("metadata-value", (*at, name), message)
    bucketing = values.get("bucketing")
    if bucketing is not None and bucketing not in BUCKETINGS:
        yield Hit(
            "bad-bucketing", (*at, "bucketing"), f"bucketing {bucketing!r} is not known; write v2 or v3"
        )
