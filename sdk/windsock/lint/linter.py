"""Lint flagd documents: apply every rule to every flag, with places, suppressions and safe fixes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from windsock.errors import FlagFileError
from windsock.flags.merging import merge
from windsock.flags.model import Document, JsonValue, pointer_of
from windsock.flags.raw import Tokens
from windsock.flags.reading import read_document
from windsock.lint.places import Edit, LintText, YamlText, open_text
from windsock.lint.portable.known import BY_CODE as CONSTRUCTS
from windsock.lint.portable.search import find_by_attribute, find_in_rule
from windsock.lint.rules import (
    BY_CODE,
    Level,
    buckets,
    operands,
    shared_rules,
    structure,
    targeting,
    variants,
)
from windsock.lint.rules.site import DocumentSite, FlagSite, Hit, LintOptions
from windsock.lint.rules.tree import Tree

__all__ = ["Edit", "Finding", "Level", "LintOptions", "Linted", "lint", "lint_overlaps"]

SUPPRESSION: Final = "lint."
"""Prefix of metadata keys that suppress a code, for a flag or, in the set's metadata, for the file."""

_FLAG_CHECKS: Final = (
    structure.properties, structure.types, structure.names, structure.state, structure.metadata,
    variants.presence, variants.types, variants.overlay, variants.values,
    targeting.results, targeting.reachable, targeting.duplicates,
)  # fmt: skip
_DOCUMENT_CHECKS: Final = (
    structure.root, structure.owner, targeting.attributes, shared_rules.references, shared_rules.characters,
)  # fmt: skip
_TREE_CHECKS: Final[tuple[Callable[[Tree], Iterator[Hit]], ...]] = (
    operands.operands, targeting.timestamps, buckets.fractional,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's finding and its place.

    Attributes:
        source: The file.
        line: One-based line, or 0.
        column: One-based column in characters.
        code: The rule's code.
        level: Its severity.
        flag: The flag, or None for the document itself.
        pointer: Its place, as a JSON pointer (RFC 6901).
        message: What is wrong and what to do next.
        edit: The edit that fixes it without changing what users get, or None.
    """

    source: str
    line: int
    column: int
    code: str
    level: Level
    flag: str | None
    pointer: str
    message: str
    edit: Edit | None = None

    def __str__(self) -> str:
        flag = f" flag {self.flag!r}:" if self.flag is not None else ""
        return f"{self.source}:{self.line}:{self.column}  {self.level}  {self.code} {flag} {self.message}"


@dataclass(frozen=True, slots=True)
class Linted:
    """The result of linting one document.

    Attributes:
        findings: The findings, in text order.
        suppressed: The suppressed findings, which have a reason.
        document: The document as served; None if none of it can be read.
    """

    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...] = ()
    document: Document | None = None


def lint(data: bytes, source: str, options: LintOptions | None = None, *, only: str | None = None) -> Linted:
    """Lint one document.

    Args:
        data: Its bytes.
        source: Its name; YAML if it ends in ``.yaml`` or ``.yml``.
        options: The project's options.
        only: A flag: find what concerns it or the document itself, and spare the work on other flags.
    """
    try:
        document = read_document(data, source)
        text = open_text(data.decode(), source)
    except FlagFileError as error:
        return Linted((_unreadable(error, data),))
    site = _site(text, options or LintOptions(), len(data))
    return _Linter(text, document, site, only).run()


def lint_overlaps(documents: Sequence[Document]) -> Iterator[Finding]:
    """Flags that are defined in two documents."""
    for problem in merge([replace(document, problems=()) for document in documents]).problems:
        yield Finding(
            problem.source, problem.line, problem.column, "defined-twice", Level.WARNING,
            problem.flag, problem.pointer, problem.message,
        )  # fmt: skip


def _unreadable(error: FlagFileError, data: bytes) -> Finding:
    where = f"{error.source}:{error.line}:{error.column}: " if error.line else f"{error.source}: "
    message = str(error).removeprefix(where)
    edit = Edit(0, 1, "") if data.startswith(b"\xef\xbb\xbf") else None
    return Finding(error.source, error.line, error.column, "unreadable", Level.ERROR, None, "", message, edit)


def _site(text: LintText | YamlText, options: LintOptions, size: int) -> DocumentSite:
    evaluators = text.raw.evaluators if isinstance(text.raw.evaluators, dict) else {}
    trees = {name: Tree(rule) for name, rule in evaluators.items()}
    flags = tuple(
        FlagSite(raw.key, raw.tokens, raw.value, trees, options)
        for raw in text.raw.flags
        if isinstance(raw.value, dict)
    )
    return DocumentSite(text.root, evaluators, text.raw.metadata, flags, options, size, trees)


class _Linter:
    """Runs every rule on one document."""

    def __init__(
        self, text: LintText | YamlText, document: Document, site: DocumentSite, only: str | None
    ) -> None:
        self._text = text
        self._document = document
        self._options = site.options
        self._site = site
        self._only = only
        self._flags = tuple(flag for flag in site.flags if only in (None, flag.key))

    def run(self) -> Linted:
        hits = [hit for hit in self._hits() if self._concerns(self._flag_of(hit.tokens))]
        findings = [self._finding(hit) for hit in hits]
        pointers = {finding.pointer for finding in findings if finding.level is not Level.NOTE}
        findings += (each for each in self._unexplained(pointers) if self._concerns(each.flag))
        kept, suppressed = self._without_suppressed(findings)
        kept.sort(key=lambda finding: (finding.line, finding.column, finding.code))
        return Linted(tuple(kept), tuple(suppressed), self._document)

    def _concerns(self, flag: str | None) -> bool:
        return self._only is None or flag in (None, self._only)

    def _hits(self) -> Iterator[Hit]:
        for name, section in (
            ("$evaluators", self._text.raw.evaluators),
            ("metadata", self._text.raw.metadata),
        ):
            if section is None:
                yield Hit(
                    "bad-flag", (name,), f"{name} must be an object; leave it out", change=("replace", {})
                )
        for tokens, word in self._text.raw.words:
            message = f'{word} is a boolean to other YAML parsers; write "{word}" in quotes'
            yield Hit("yaml-boolean", tokens, message)
        for document_check in _DOCUMENT_CHECKS:
            yield from document_check(self._site)
        for name, tree in self._site.trees.items():
            yield from self._tree(tree, ("$evaluators", name), as_rule=False)
        for flag in self._flags:
            for check in _FLAG_CHECKS:
                yield from check(flag)
            yield from _names(flag)
            if flag.tree is not None:
                yield from self._tree(flag.tree, flag.at("targeting"), as_rule=True)

    def _tree(self, tree: Tree, at: Tokens, *, as_rule: bool) -> Iterator[Hit]:
        refused: set[Tokens] = set()
        for check in _TREE_CHECKS:
            for hit in check(tree):
                tokens = (*at, *hit.tokens)
                if hit.code == "operator-arguments":
                    refused.add(tokens)
                yield replace(hit, tokens=tokens)
        if isinstance(tree.rule, (dict, list)) or as_rule:
            # the error suffices; how engines differ on it doesn't matter
            yield from (hit for hit in _portable(tree.rule, at) if hit.tokens not in refused)
            if self._options.by_attribute:
                yield from _by_attribute(tree.rule, at)

    def _finding(self, hit: Hit) -> Finding:
        line, column = self._text.place_of(hit.tokens, at_key=hit.at_key)
        edit = self._text.edit(hit.tokens, hit.change) if hit.change is not None else None
        return Finding(
            self._text.source, line, column, hit.code, BY_CODE[hit.code].level,
            self._flag_of(hit.tokens), pointer_of(*hit.tokens), hit.message, edit,
        )  # fmt: skip

    def _flag_of(self, tokens: Tokens) -> str | None:
        if len(tokens) < 2 or tokens[0] != "flags":
            return None
        if isinstance(tokens[1], str):
            return tokens[1]
        return next((flag.key for flag in self._site.flags if flag.tokens == tokens[:2]), None)

    def _unexplained(self, pointers: set[str]) -> Iterator[Finding]:
        """Problems that reading found but no rule did: duplicate keys, non-JSON numbers, depth."""
        for problem in self._document.problems:
            if problem.pointer not in pointers:
                yield Finding(
                    problem.source, problem.line, problem.column, "bad-value", Level.ERROR,
                    problem.flag, problem.pointer, problem.message,
                )  # fmt: skip

    def _without_suppressed(self, findings: list[Finding]) -> tuple[list[Finding], list[Finding]]:
        """Drop findings that the project didn't enable or that metadata suppresses with a reason."""
        reasons: dict[tuple[str | None, str], Tokens] = {}
        kept: list[Finding] = []
        suppressed: list[Finding] = []
        used: set[tuple[str | None, str]] = set()
        for flag, code, tokens, reason in self._suppressions():
            what = _unfit(code, reason)
            if not what:
                reasons[flag, code] = tokens
            else:
                kept.append(self._finding(Hit("suppression", tokens, f'"{SUPPRESSION}{code}" {what}')))
        for finding in findings:
            rule = BY_CODE[finding.code]
            if rule.opt_in and rule.code not in self._options.enabled:
                continue
            keys = {(finding.flag, finding.code), (None, finding.code)} & reasons.keys()
            used |= keys
            (suppressed if keys else kept).append(finding)
        for key, tokens in reasons.items():
            construct = CONSTRUCTS.get(key[1])
            looked_for = self._options.by_attribute or construct is None or construct.in_rule
            elsewhere = self._only is not None and key[0] is None  # it may silence another flag
            if key not in used and looked_for and not elsewhere:
                kept.append(
                    self._finding(
                        Hit(
                            "suppression",
                            tokens,
                            f"it silences nothing: there is no {key[1]!r} here; remove it",
                        )
                    )
                )
        return kept, suppressed

    def _suppressions(self) -> Iterator[tuple[str | None, str, Tokens, JsonValue]]:
        places: list[tuple[str | None, Tokens, Mapping[str, JsonValue]]] = [
            (flag.key, flag.at("metadata"), flag.metadata) for flag in self._flags
        ]
        if isinstance(self._site.metadata, dict):
            places.append((None, ("metadata",), self._site.metadata))
        for flag, at, metadata in places:
            for name, reason in metadata.items():
                if name.startswith(SUPPRESSION):
                    yield flag, name.removeprefix(SUPPRESSION), (*at, name), reason


def _unfit(code: str, reason: JsonValue) -> str:
    """Why a suppression is invalid; empty if it's valid."""
    if code not in BY_CODE:
        return "is not a code of the linter"
    if BY_CODE[code].level is Level.ERROR:
        return "is an error, which cannot be silenced; correct it"
    return "" if isinstance(reason, str) and reason.strip() else "needs a reason as its text"


def _names(flag: FlagSite) -> Iterator[Hit]:
    names = list(flag.variants)
    # a rule that returns each name shows which ones flagd can't find
    rule: JsonValue = {"if": [part for name in names for part in (True, name)]}
    for finding in find_in_rule(rule) if names else ():
        if finding.construct.code == "variant-characters":
            name = names[int(finding.pointer.rpartition("/")[2]) // 2]
            message = f"flagd never finds variant {name!r}; give it a plain name"
            yield Hit("variant-characters", flag.at("variants", name), message, at_key=True)


def _portable(rule: JsonValue, at: Tokens) -> Iterator[Hit]:
    for finding in find_in_rule(rule):
        tokens = _tokens(finding.pointer)
        code = finding.construct.code
        if tokens[-1:] == ("$ref",) or (code == "variant-characters" and not _is_text(rule, tokens)):
            continue
        change = _whole_weights(rule, tokens) if code == "fractional-weight" else None
        inner = (*at, *_typed(rule, tokens))
        if change is not None:
            yield Hit(code, (*inner, 1), finding.construct.explanation, change=("replace", change))
        else:
            yield Hit(code, inner, f"{finding.construct.name}: {finding.construct.explanation}")


def _by_attribute(rule: JsonValue, at: Tokens) -> Iterator[Hit]:
    for finding in find_by_attribute(rule):
        construct = finding.construct
        tokens = (*at, *_typed(rule, _tokens(finding.pointer)))
        yield Hit(construct.code, tokens, f"{construct.name}: {construct.explanation}")


def _whole_weights(rule: JsonValue, tokens: tuple[str, ...]) -> int | None:
    """Convert a decimal weight to the whole number that it stands for."""
    value = _at(rule, tokens)
    weight = value[1] if isinstance(value, list) and len(value) == 2 else None
    return int(weight) if isinstance(weight, float) and weight.is_integer() else None


def _is_text(rule: JsonValue, tokens: tuple[str, ...]) -> bool:
    return isinstance(_at(rule, tokens), str)


def _at(value: JsonValue, tokens: tuple[str, ...]) -> JsonValue:
    for token in tokens:
        if isinstance(value, list):
            value = value[int(token)]
        elif isinstance(value, Mapping):
            value = value[token]
    return value


def _typed(value: JsonValue, tokens: tuple[str, ...]) -> Tokens:
    """Convert a pointer's steps to keys and list positions."""
    typed: list[str | int] = []
    for token in tokens:
        if isinstance(value, list):
            typed.append(int(token))
            value = value[int(token)]
        else:
            typed.append(token)
            value = value.get(token) if isinstance(value, Mapping) else None
    return tuple(typed)


def _tokens(pointer: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
