"""Writes docs/portable-rules.md from the list in the code: ``python -m tests.lint.portable_page``."""

import json
from pathlib import Path

from tests.lint.read_types import READS, Read

from windsock.evaluator.values import MAX_NUMBER
from windsock.evaluator.work_limit import MAX_LIST, MAX_STEPS, MAX_TEXT
from windsock.lint.portable.search import CONSTRUCTS, Construct

PAGE = Path(__file__).parents[2] / "docs" / "portable-rules.md"

_INTRODUCTION = """\
# Portable rules

<!-- Written by `python -m tests.lint.portable_page` from the list in the code; a test compares them. -->

OpenFeature promises that a flag means the same in every language. flagd has three evaluators: the server (Go), the npm
core and the Python core. They agree with each other and with windsock on every rule that contains nothing from the
first section below, for attributes that have nothing from the second. Where a rule does contain something from this
page, windsock gives what the flagd server gives.

`windsock lint` finds what is in the rule. `windsock lint --attributes` also finds where a missing or unexpected
attribute would make a difference.

This is measured: `python -m bench.portability` asks all four about 10,000 generated rules that lint clean
(`bench/results/portability.md`). Versions compared: flagd server 0.16, `@openfeature/flagd-core` 4.0.1,
`openfeature-flagd-core` 2.0.0.

`fractional` itself is the exception: the server and npm hash in one way, Python in another, so they put users into
different buckets. windsock hashes as the flag's metadata says, by default like the server; see
[bucketing](bucketing.md).

Three things that windsock does not copy from the server, because they give a wrong value silently:

- A variant 1.5 read as an integer is a type mismatch, not 1.
- An integer above 2^53 in a variant stays exact, as in the Python core. The server and npm round it to a double.
- `{"$ref": …}` is replaced in rules only, not in the values of variants.

One difference that no rule needs: `-` and `/` of an empty list give the server an integer 0 that `===` and `in` tell
from 0.
"""

_BOUNDS = f"""
And a bound: an evaluation that would take minutes, or unlimited memory, gives PARSE_ERROR instead. It may take
{MAX_STEPS:,} steps (operators run on elements of lists, and what they copy: about a second). `cat` joins at most
{MAX_TEXT:,} characters and `merge` {MAX_LIST:,} elements. Text of more than {MAX_NUMBER:,} characters is neither a
number nor a version.
"""

_IN_RULE = """
## In the rule

The linter finds these.
"""

_IN_CONTEXT = """
## In the attributes

The rule alone does not show these: they depend on an attribute's value at run time.
"""

_DOCUMENTS = """
## In the document

| written | flagd server | npm core | Python core | windsock |
|---|---|---|---|---|
| no `state`, or one in lower case | enabled | refuses the document | refuses the document | enabled, and says so |
| a property that flagd does not know | ignored | ignored | refuses the document | ignored |
| a property in another case (`Variants`) | read | ignored | refuses the document | ignored, and says so |
| metadata whose values are objects | kept | kept | refuses the document | kept |
| `flags` as a list | read | finds no flag in it | refuses the document | read |
| `defaultVariant` that is not a variant | refuses the document | refuses the document | general error | leaves the flag out |
| `"variants": {}` | caller's default | caller's default | refuses the document | caller's default |
| `"targeting": null` | reason DEFAULT | reason STATIC | reason STATIC | reason STATIC |
| a shared rule that uses another | not resolved, or at random | parents must come first | parents must come first | resolved, any order |
| non-ASCII or a backslash in a shared rule | read | read | refuses the document | read |
"""

_READS = """
## The type that is asked for

| variant | read as | flagd server, gRPC | flagd server, OFREP | Python core | windsock |
|---|---|---|---|---|---|
"""

_READS_END = """
The server is read by the Python providers. The one for OFREP tells whole numbers from decimal ones by how JSON writes
them, so it finds no decimal number in 1.0; it fails for a flag that leaves the value to the caller. The one for gRPC
remembers the last answer of a flag without targeting, whatever type was asked for: read a flag as one type only.
"""


def page() -> str:
    """The whole page."""
    in_rule = "".join(_section(construct) for construct in CONSTRUCTS if construct.in_rule)
    in_context = "".join(_section(construct) for construct in CONSTRUCTS if not construct.in_rule)
    reads = _READS + "".join(map(_row, READS)) + _READS_END
    return _INTRODUCTION + _BOUNDS + _IN_RULE + in_rule + _IN_CONTEXT + in_context + _DOCUMENTS + reads


def _row(read: Read) -> str:
    flag = read.flag
    written = f"`{json.dumps(flag['variants']['it'])}`"
    if flag["state"] == "DISABLED":
        written = "of a disabled flag"
    elif flag["defaultVariant"] is None:
        written = "none: no default variant"
    given = (read.grpc, read.ofrep, read.core, read.windsock)
    values = (f"`{each}`" if each[0] in "-0123456789T[{" else each for each in given)
    return f"| {written} | {read.asked} | {' | '.join(values)} |\n"


def _section(construct: Construct) -> str:
    context = f" with `{json.dumps(construct.context, ensure_ascii=False)}`" if construct.context else ""
    rule = json.dumps(construct.rule, ensure_ascii=False)
    return (
        f"\n### `{construct.code}`\n\n{construct.name[0].upper()}{construct.name[1:]}. {construct.explanation}\n\n"
        f"Differs: {' and '.join(construct.dissenters)}, for `{rule}`{context}.\n"
    )


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
