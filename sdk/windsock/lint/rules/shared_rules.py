"""Shared rules and the references to them."""

from collections.abc import Iterator, Mapping
from typing import Final

from windsock.flags.model import JsonValue
from windsock.flags.raw import Tokens
from windsock.lint.rules.site import DocumentSite, Hit
from windsock.text import did_you_mean

_SECTION: Final = "$evaluators"


def references(site: DocumentSite) -> Iterator[Hit]:
    """References that lead nowhere, in circles, or deeper than every engine follows."""
    places: list[tuple[Tokens, str]] = [
        ((*flag.tokens, "targeting", *tokens), name)
        for flag in site.flags
        if flag.tree is not None
        for tokens, name in flag.tree.references
    ]
    used = {name for _, name in places}
    inner = {name: [other for _, other in tree.references] for name, tree in site.trees.items()}
    for name, tree in site.trees.items():
        for tokens, other in tree.references:
            used.add(other)
            places.append(((_SECTION, name, *tokens), other))
            if other not in site.evaluators:
                continue
            circle = _circle(name, other, inner)
            if circle:
                message = f"shared rules refer to each other in a circle: {' → '.join(circle)}; break it"
                yield Hit("reference-cycle", (_SECTION, name, *tokens), message)
            else:
                message = (
                    f"a reference inside a shared rule is not followed by every engine; write {other!r} out"
                )
                yield Hit("nested-reference", (_SECTION, name, *tokens), message)
    for tokens, name in places:
        if name not in site.evaluators:
            hint = did_you_mean(name, list(site.evaluators))
            message = f"no shared rule is named {name!r}{hint or '; the document has no $evaluators'}"
            yield Hit("unknown-reference", tokens, message)
    for name in site.evaluators:
        if name not in used:
            yield Hit("unused-evaluator", (_SECTION, name), f"no flag uses {name!r}; remove it", at_key=True)


def characters(site: DocumentSite) -> Iterator[Hit]:
    """Shared rules that flagd-core for Python cannot load."""
    for name, rule in site.evaluators.items():
        text = next(
            (text for text in _texts(rule) if not text.isascii() or "\\" in text or "\n" in text), None
        )
        if text is not None:
            message = (
                f"{text[:40]!r} in a shared rule makes flagd-core for Python refuse the file; move it to "
                "the flags"
            )
            yield Hit("evaluator-characters", (_SECTION, name), message, at_key=True)


def _circle(start: str, at: str, inner: Mapping[str, list[str]]) -> list[str]:
    """The way from a rule back to itself, or nothing."""
    path, seen = [[start, at]], {at}
    while path:
        way = path.pop()
        if way[-1] == start:
            return way
        for following in inner.get(way[-1], []):
            if following not in seen:
                seen.add(following)
                path.append([*way, following])
    return []


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
