"""Shared rules and the references to them."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from windsock.flags.model import JsonValue
from windsock.flags.raw import Tokens
from windsock.lint.rules.site import DocumentSite, Hit
from windsock.text import did_you_mean

_SECTION: Final = "$evaluators"
_MOST_SHOWN: Final = 20
"""Maximum cycles spelled out and misspelt names looked up per document; each takes a search."""


def references(site: DocumentSite) -> Iterator[Hit]:
    """References that are unresolvable, circular, or deeper than some engine follows."""
    places: list[tuple[Tokens, str]] = [
        ((*flag.tokens, "targeting", *tokens), name)
        for flag in site.flags
        if flag.tree is not None
        for tokens, name in flag.tree.references
    ]
    used = {name for _, name in places}
    inner = {name: [other for _, other in tree.references] for name, tree in site.trees.items()}
    circular, circles, unknown = _components(inner), 0, 0
    for name, tree in site.trees.items():
        for tokens, other in tree.references:
            used.add(other)
            places.append(((_SECTION, name, *tokens), other))
            if other not in site.evaluators:
                continue
            if circular[name] == circular[other]:
                circles += 1
                way = f": {_way(name, other, inner)}" if circles <= _MOST_SHOWN else ""
                message = f"shared rules refer to each other in a circle{way}; break it"
                yield Hit("reference-cycle", (_SECTION, name, *tokens), message)
            else:
                message = (
                    f"a reference inside a shared rule is not followed by every engine; write {other!r} out"
                )
                yield Hit("nested-reference", (_SECTION, name, *tokens), message)
    for tokens, name in places:
        if name not in site.evaluators:
            unknown += 1
            hint = did_you_mean(name, list(site.evaluators)) if unknown <= _MOST_SHOWN else "; write one"
            message = f"no shared rule is named {name!r}{hint or '; the document has no $evaluators'}"
            yield Hit("unknown-reference", tokens, message)
    for name in site.evaluators:
        if name not in used:
            yield Hit("unused-evaluator", (_SECTION, name), f"no flag uses {name!r}; remove it", at_key=True)


def characters(site: DocumentSite) -> Iterator[Hit]:
    """Shared rules that flagd-core for Python can't load."""
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


def _components(inner: Mapping[str, list[str]]) -> Mapping[str, int]:
    """Number the strongly connected components: two rules share a number if each leads to the other.

    Tarjan's algorithm (1972), without recursion. A rule that doesn't lead to itself has its own number.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    component: dict[str, int] = {}
    stack: list[str] = []
    for root in inner:
        if root in index:
            continue
        work = [(root, iter(inner[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            name, following = work[-1]
            for other in following:
                if other not in inner or other in component:
                    continue
                if other in index:
                    low[name] = min(low[name], index[other])
                    continue
                index[other] = low[other] = len(index)
                stack.append(other)
                work.append((other, iter(inner[other])))
                break
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    while name not in component:
                        component[stack.pop()] = index[name]
    return component


def _way(start: str, at: str, inner: Mapping[str, list[str]]) -> str:
    """The shortest path from a rule back to itself, with the middle omitted if it's long."""
    came: dict[str, str] = {at: start}
    queue = deque([at])
    while queue and (name := queue.popleft()) != start:
        for other in inner.get(name, []):
            if other not in came:
                came[other] = name
                queue.append(other)
    way = [start]
    while len(way) == 1 or way[-1] != start:
        way.append(came[way[-1]])
    way.reverse()
    return " → ".join(way if len(way) <= 10 else [*way[:5], "…", *way[-4:]])


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
