"""Every lint code: its severity, its meaning, and what to write instead."""

from collections.abc import Mapping
from typing import Final

from windsock.lint.portable.known import CONSTRUCTS
from windsock.lint.rules.rule import Level, LintRule

_E, _W, _N = Level.ERROR, Level.WARNING, Level.NOTE

_DOCUMENT: Final = (
    LintRule(
        "unreadable",
        _E,
        "a file that cannot be read",
        "Not JSON, not UTF-8, truncated, a merge conflict, a comment: flagd keeps the set it served last, "
        "or starts with none. The message says where, and what to correct.",
        fixable=True,
    ),
    LintRule(
        "bad-value",
        _E,
        "a value that cannot be used",
        "A key written twice, NaN, a number beyond a double, half of a surrogate pair, 200 levels: of two "
        "values for a key, one engine keeps the first and another the last. Keep one; write a finite "
        "number.",
    ),
    LintRule(
        "yaml-boolean",
        _W,
        "a YAML word that some parsers read as a boolean",
        "`on`, `off`, `yes` and `no` without quotes are text in YAML 1.2, which the flagd server and "
        "windsock read. Python's flagd provider reads YAML 1.1, where they are booleans: a variant `on` "
        "becomes `true`. Put the word in quotes.",
    ),
    LintRule(
        "flags-as-list",
        _E,
        "flags written as a list",
        "The flagd server and windsock read a list of flags; the npm core finds no flag in it, and the "
        "Python core refuses the document. Write an object whose keys are the flags' keys.",
    ),
    LintRule(
        "defined-twice",
        _W,
        "a flag in two files",
        "The later file wins in windsock and in flagd, by the order of flagd's sources. Keep one of them.",
    ),
    LintRule(
        "large-file",
        _W,
        "a file of more than 4 MB",
        "Clients of flagd's stream accept 4 MB by default. Beyond that they silently keep the old flags. "
        "Keep lists of users in the database, see docs/mirror.md.",
    ),
    LintRule(
        "unknown-root",
        _E,
        "a misspelt property of the document",
        "`evaluators` instead of `$evaluators` is silently ignored. Write the name in the message.",
    ),
    LintRule(
        "suppression",
        _W,
        "a suppression without a reason, of an error, or of nothing",
        'A warning or a note is silenced by a flag\'s metadata, `"lint.CODE": "the reason"`. It needs a '
        "reason, a code that exists, and a finding. An error cannot be silenced: a change must not be able "
        "to hide what is wrong with it.",
    ),
)
_STRUCTURE: Final = (
    LintRule(
        "unknown-property",
        _E,
        "a property that flags do not have",
        "`targetting` silently leaves the flag without targeting. flagd-core for Python refuses the whole "
        "file for any unknown property, `description` among them. Keep notes in metadata.",
    ),
    LintRule(
        "bad-flag",
        _E,
        "a flag with the wrong structure",
        "`variants`, `defaultVariant`, `targeting`, `metadata` or the document's `$evaluators` has a type "
        "that the official schema does not allow, or a name is empty or contains an invisible character. "
        "windsock leaves such a flag out if it must; others refuse the file.",
        fixable=True,
    ),
    LintRule(
        "bad-state",
        _E,
        "a state that is missing, or neither ENABLED nor DISABLED",
        (
            "flagd treats it as ENABLED; flagd-core for Python refuses the whole file. Write the state in "
            "capitals."
        ),
        fixable=True,
    ),
    LintRule(
        "metadata-value",
        _E,
        "metadata that is neither text, number nor boolean",
        "flagd-core for Python refuses the whole file. Write text.",
    ),
    LintRule(
        "bad-bucketing",
        _E,
        "metadata `bucketing` that is not v2 or v3",
        "windsock refuses it, since guessing would move users. See docs/bucketing.md.",
    ),
)
_VARIANTS: Final = (
    LintRule(
        "no-variants",
        _E,
        "a flag without variants",
        "The in-process and file providers refuse the whole set. An overlay that changes nothing is "
        '`"variants": {"none": {}}`.',
    ),
    LintRule(
        "default-not-variant",
        _E,
        "a default variant that does not exist",
        "flagd refuses the whole file; flagd-core for Python serves an error.",
    ),
    LintRule(
        "missing-default",
        _N,
        "no default variant",
        "The code default is served, except by the OFREP provider, which returns an error. If that "
        "matters, name a variant; for an overlay, `none`.",
    ),
    LintRule(
        "mixed-types",
        _E,
        "variants of different types",
        "A caller asks for one type and gets an error for variants of another. Use the same type for all.",
    ),
    LintRule(
        "mixed-numbers",
        _W,
        "whole and decimal numbers among the variants",
        "A caller that asks for an integer gets an error, or a truncated number, for 1.5. If the flag is "
        "a decimal number, write every value with a decimal point.",
    ),
    LintRule(
        "null-variant",
        _E,
        "a variant that is null, or a list",
        "flagd cannot serve it, because it has no type. To serve the code default, leave the default out; "
        "to serve a list, put it into an object.",
    ),
    LintRule(
        "unused-variant",
        _N,
        "a variant that no rule returns",
        "No rule returns it and it is not the default. Remove it, or use it.",
    ),
    LintRule(
        "overlay-default",
        _W,
        "an overlay without `none: {}` as its default",
        'A flag named `….experiment` or `….profile` is laid over others. Only `"none": {}` as its default '
        'variant means "no change" to every provider.',
    ),
    LintRule(
        "big-number",
        _W,
        "a number above 2^53 in a value",
        "Engines that store numbers as doubles round it. Write text.",
    ),
    LintRule(
        "deep-value",
        _W,
        "a value nested more than 20 deep",
        "gRPC clients refuse values nested about 40 deep. Flatten it.",
    ),
    LintRule(
        "large-value",
        _W,
        "a value of more than 256 kB",
        "Every evaluation sends it whole, and gRPC clients accept 4 MB by default. Keep it elsewhere.",
    ),
    LintRule(
        "reference-in-value",
        _E,
        "`$ref` inside a value",
        "flagd replaces it with the text of the shared rule of that name, wherever it occurs. Use another "
        "key.",
    ),
)
_TARGETING: Final = (
    LintRule(
        "unknown-variant",
        _E,
        "a rule that returns something that is not a variant",
        "A user who reaches it gets an error and the code default. The message names the nearest variant. "
        "A bare condition returns `true` or `false`; write `if`.",
    ),
    LintRule(
        "unreachable",
        _W,
        "a branch that no user reaches",
        "An earlier condition always holds, is the same, or covers all of its values. Remove it or reorder.",
    ),
    LintRule(
        "listed-twice",
        _W,
        "a value in two lists of one chain, or twice in a list",
        "The first list wins. Keep the value in one of them.",
        fixable=True,
    ),
    LintRule(
        "millisecond-timestamp",
        _E,
        "`$flagd.timestamp` compared with milliseconds",
        "It counts Unix seconds, so this date is thousands of years away. Divide by 1000.",
    ),
    LintRule(
        "attribute-typo",
        _W,
        "an attribute that looks misspelt",
        "A missing attribute is null, so the rule is never true and the rollout silently reaches no one.",
    ),
    LintRule(
        "operator-arguments",
        _E,
        "an operator with too few, too many or unsuitable arguments",
        "The official schema refuses it; engines fail on it or guess. The message says what the operator "
        "takes.",
    ),
    LintRule(
        "flagd-attribute",
        _E,
        "a `$flagd` attribute that does not exist",
        "Only `$flagd.flagKey` and `$flagd.timestamp` exist; any other is null, so the rule is never true.",
    ),
)
_BUCKETS: Final = (
    LintRule(
        "nested-buckets",
        _E,
        "buckets in one list too many",
        "`fractional` takes its buckets one by one, not in a list.",
    ),
    LintRule(
        "no-weight",
        _E,
        "buckets whose weights are all zero",
        "No user is bucketed, and the default is served.",
    ),
    LintRule(
        "bucketing-without-flag-key",
        _W,
        "a bucketing key without the flag's key",
        "The same users come first in every flag that buckets like this, so experiments overlap. Write "
        '`{"cat": [{"var": "$flagd.flagKey"}, …]}`.',
    ),
    LintRule(
        "constant-bucketing-key",
        _E,
        "buckets chosen by a literal",
        "Every user hashes to the same bucket, so all get one variant. Leave the key out to bucket by the "
        'targeting key, or write `{"cat": ["seed", {"var": …}]}`.',
    ),
    LintRule(
        "weights-not-100",
        _W,
        "weights that do not add up to 100",
        "Weights are shares of their sum; readers take them for percentages.",
        opt_in=True,
    ),
)
_REFERENCES: Final = (
    LintRule(
        "unknown-reference",
        _E,
        "a reference to a shared rule that does not exist",
        "Every evaluation that reaches it fails.",
    ),
    LintRule(
        "reference-cycle",
        _E,
        "shared rules that refer to each other in a circle",
        "No engine can evaluate them.",
    ),
    LintRule(
        "nested-reference",
        _E,
        "a shared rule that refers to another",
        "flagd resolves none of these in indented JSON and an arbitrary part in compact JSON; Python "
        "needs the outer rule first. Write the inner rule out.",
    ),
    LintRule("unused-evaluator", _N, "a shared rule that no flag uses", "Remove it."),
    LintRule(
        "evaluator-characters",
        _E,
        "a shared rule with a backslash, a line break or text outside ASCII",
        "flagd-core for Python fails to load the whole file. Write that rule into its flags.",
    ),
)
_UPKEEP: Final = (
    LintRule(
        "expired",
        _W,
        "a flag past its expiry date",
        (
            "Its metadata `expires` (YYYY-MM-DD) is in the past, or not a date. Remove the flag or move the "
            "date."
        ),
    ),
    LintRule(
        "missing-owner",
        _W,
        "a flag without an owner",
        "It's unclear who to ask. Set the metadata `owner`, on the flag or on the set.",
        opt_in=True,
    ),
    LintRule(
        "unknown-attribute",
        _W,
        "an attribute that the project does not declare",
        "`attributes` under `[tool.windsock.lint]` in pyproject.toml lists what evaluation contexts have.",
    ),
)
_SETTINGS: Final = (
    LintRule(
        "settings-value",
        _E,
        "a value that a settings class refuses",
        "Found by `windsock check`, which knows the classes. The service falls back to the layer below "
        "for that field. Correct the value or the class.",
    ),
    LintRule(
        "feature-value",
        _E,
        "a value of another type than a feature's",
        "Found by `windsock check`, which knows the features that the imported modules declare. The code "
        "default serves instead. Correct the value, or the default in the code.",
    ),
)
_EXPERIMENTS: Final = (
    LintRule(
        "experiment",
        _E,
        "an experiment that does not run as its document says",
        "Its document, its metrics or the holdouts cannot be read, or the flag that runs it was changed by "
        "hand. Correct the document, or run `windsock experiment start`; see docs/experiments.md.",
    ),
)
_NEVER_MEANT: Final = frozenset(("several-operators", "unknown-operator", "variant-characters"))
"""Constructs that some engine rejects or never finds, regardless of the attributes."""

_PORTABLE: Final = tuple(
    LintRule(
        each.code,
        _E if each.code in _NEVER_MEANT else _W,
        each.name,
        each.explanation,
        fixable=each.code == "fractional-weight",
    )
    for each in CONSTRUCTS
)

GROUPS: Final[Mapping[str, tuple[LintRule, ...]]] = {
    "The file": _DOCUMENT,
    "How a flag is built": _STRUCTURE,
    "Variants": _VARIANTS,
    "Targeting": _TARGETING,
    "Buckets": _BUCKETS,
    "Shared rules": _REFERENCES,
    "Upkeep": _UPKEEP,
    "Settings classes": _SETTINGS,
    "Experiments": _EXPERIMENTS,
    "Not the same in every engine": _PORTABLE,
}
"""The rules by subject, in documentation order."""

CATALOGUE: Final[tuple[LintRule, ...]] = tuple(rule for rules in GROUPS.values() for rule in rules)
BY_CODE: Final[Mapping[str, LintRule]] = {rule.code: rule for rule in CATALOGUE}
