"""What targeting rules return, read and never reach."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, cast

from windsock.flags.model import CONTAINERS, JsonValue
from windsock.flags.raw import Tokens
from windsock.lint.rules.site import DocumentSite, FlagSite, Hit
from windsock.lint.rules.tree import Chain, NodeResult, Tree, tested_literals
from windsock.text import did_you_mean

_KNOWN: Final = ("targetingKey", "environment", "$flagd.flagKey", "$flagd.timestamp")
_COMPARISONS: Final = frozenset(("==", "!=", "===", "!==", "<", "<=", ">", ">="))
_MOST_COMPARED: Final = 200
_LONGEST_COMPARED: Final = 100
"""Names are compared with each other to find misspelt ones: more, or longer ones, would take long."""

_MILLISECONDS: Final = 100_000_000_000
"""In seconds this is the year 5138, in milliseconds 1973."""


def results(site: FlagSite) -> Iterator[Hit]:
    """Whether the rule returns only variants, and can return every variant."""
    if site.tree is None or not site.variants:
        return
    given: set[str] = set()
    unknown = 0
    computed = site.tree.computed
    for result, tokens in _expanded(site):
        if result is None:
            computed = True
            continue
        name = _name(result.value)
        given.add(name)
        if name not in site.variants:
            unknown += 1
            known = list(site.variants) if unknown <= _MOST_COMPARED else []
            yield Hit("unknown-variant", site.at("targeting", *tokens), _not_a_variant(result, name, known))
    if not computed:
        for name in site.variants:
            if name not in given and name != site.body.get("defaultVariant"):
                message = (
                    f"the targeting never returns {name!r}, and it is not the default; remove it or use it"
                )
                yield Hit("unused-variant", site.at("variants", name), message, at_key=True)


def _expanded(site: FlagSite) -> Iterator[tuple[NodeResult | None, Tokens]]:
    """The results, with references replaced by their shared rules' results; None if not literal."""
    seen: set[tuple[Tokens, str]] = set()
    trees = [] if site.tree is None else [(iter(site.tree.results), cast("Tokens | None", None))]
    while trees:
        given, at = trees[-1]
        result = next(given, None)
        if result is None:
            trees.pop()
            continue
        where = result.tokens if at is None else at
        shared = site.evaluators.get(result.reference or "")
        if result.reference is None:
            yield result, where
        elif shared is None or (where, result.reference) in seen or shared.computed:
            yield None, where
        else:
            seen.add((where, result.reference))
            trees.append((iter(shared.results), where))


def _name(value: JsonValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _not_a_variant(result: NodeResult, name: str, known: Sequence[str]) -> str:
    if isinstance(result.value, bool):
        return f'the condition returns {name}, which is not a variant; write {{"if": [condition, variant]}}'
    return f"{name!r} is not a variant{did_you_mean(name, known)}"


def reachable(site: FlagSite) -> Iterator[Hit]:
    """Branches that no user reaches, and values that two branches list."""
    if site.tree is not None:
        for chain in site.tree.chains():
            yield from _chain(chain, site)


def _chain(chain: Chain, site: FlagSite) -> Iterator[Hit]:
    always: Tokens | None = None
    seen: dict[str, int] = {}
    listed: dict[str, dict[JsonValue, int]] = {}
    for number, (tokens, condition) in enumerate(chain.clauses, 1):
        at = site.at("targeting", *tokens)
        if always is not None:
            yield Hit("unreachable", at, "the condition before this one always holds; remove one of them")
            return
        if not isinstance(condition, (dict, list)):
            if condition:
                always = tokens
            else:
                yield Hit("unreachable", at, "this condition never holds; remove its branch")
        elif (first := seen.setdefault(json.dumps(condition, sort_keys=True), number)) < number:
            message = f"condition {first} of this chain is the same; remove this branch"
            yield Hit("unreachable", at, message)
        elif (test := tested_literals(condition)) is not None:
            yield from _members(test, at, number, listed.setdefault(test[0], {}))
    if always is not None and chain.otherwise is not None:
        at = site.at("targeting", *chain.otherwise)
        yield Hit("unreachable", at, "the condition before this else always holds; remove one of them")


def _members(
    test: tuple[str, Sequence[JsonValue]], at: Tokens, number: int, listed: dict[JsonValue, int]
) -> Iterator[Hit]:
    attribute, values = test
    both = [value for value in values if value in listed]
    if values and len(both) == len(values):
        message = f"earlier conditions cover every value of {attribute!r} here; remove this branch"
        yield Hit("unreachable", at, message)
    elif both:
        message = (
            f"{both[0]!r}{_more(both)} is also in condition {listed[both[0]]} of this chain, which wins; "
            "keep it in one"
        )
        yield Hit("listed-twice", at, message)
    for value in values:
        listed.setdefault(value, number)


def duplicates(site: FlagSite) -> Iterator[Hit]:
    """Duplicate values in a list."""
    for operation in site.tree.operations if site.tree else ():
        if operation.name != "in" or len(operation.listed) != 2 or not isinstance(operation.listed[1], list):
            continue
        values = operation.listed[1]
        if not CONTAINERS.isdisjoint(map(type, values)) or len(set(values)) == len(values):
            continue
        twice = [value for value, times in Counter(values).items() if times > 1]
        message = f"{twice[0]!r}{_more(twice)} is in this list more than once; keep one"
        # a dict keeps the first of each, in order; it would merge True and 1, so those are skipped
        kept: JsonValue = list(dict.fromkeys(values))
        change = ("replace", kept) if len({type(value) for value in values}) == 1 else None
        yield Hit("listed-twice", site.at("targeting", *operation.tokens, 1), message, change=change)  # type: ignore[arg-type]


def _more(values: Sequence[JsonValue]) -> str:
    return f" (and {len(values) - 1} more)" if len(values) > 1 else ""


def timestamps(tree: Tree) -> Iterator[Hit]:
    """Seconds compared with milliseconds."""
    for operation in tree.operations:
        if operation.name not in _COMPARISONS or {"var": "$flagd.timestamp"} not in operation.listed:
            continue
        for index, value in enumerate(operation.listed):
            if isinstance(value, (int, float)) and value >= _MILLISECONDS:
                message = (
                    f"$flagd.timestamp counts seconds and {value} is milliseconds; write {int(value) // 1000}"
                )
                yield Hit("millisecond-timestamp", (*operation.tokens, index), message)


def attributes(site: DocumentSite) -> Iterator[Hit]:
    """Attributes that look misspelt or that the project doesn't declare."""
    named = [
        ((*flag.tokens, "targeting", *tokens), name)
        for flag in site.flags
        if flag.tree is not None
        for tokens, name in flag.tree.attributes
    ] + [
        (("$evaluators", shared, *tokens), name)
        for shared, tree in site.trees.items()
        for tokens, name in tree.attributes
    ]
    uses = Counter(name for _, name in named)
    compared = uses if len(uses) <= _MOST_COMPARED and not site.options.attributes else ()
    meanings = {name: _meant(name, uses) for name in compared if len(name) <= _LONGEST_COMPARED}
    for tokens, name in named:
        if name in _KNOWN or name.startswith("$flagd."):  # an invalid one is reported as an operand
            continue
        declared = site.options.attributes
        if declared and name not in declared and name.split(".")[0] not in declared:
            known = (*sorted(declared), *_KNOWN)
            yield Hit("unknown-attribute", tokens, f"{name!r} is not declared{did_you_mean(name, known)}")
        elif (meant := meanings.get(name)) is not None:
            yield Hit("attribute-typo", tokens, f"{name!r} looks misspelt; did you mean {meant!r}?")


def _meant(name: str, uses: Mapping[str, int]) -> str | None:
    """The probable intended name: a well-known attribute, or one used more often."""
    folded = _folded(name)
    for known in _KNOWN:
        if folded == _folded(known):
            return known
    if name.startswith("$flagd"):
        return next(iter(get_close_matches(name, _KNOWN[2:], n=1, cutoff=0)), None)
    candidates = [*_KNOWN[:2], *(each for each, count in uses.items() if count > max(1, uses[name]))]
    near = [each for each in get_close_matches(name, candidates, n=2, cutoff=0.8) if each != name]
    digits = re.compile(r"\d+")
    return next((each for each in near if digits.sub("", each) != digits.sub("", name)), None)


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").lstrip("$")
