"""The page of the linter's codes, written from the catalogue: ``python -m tests.lint.lint_page``."""

from pathlib import Path

from windsock.lint.rules.catalogue import GROUPS
from windsock.lint.rules.rule import LintRule

PAGE = Path(__file__).parents[2] / "docs" / "lint.md"

HEAD = """\
# What `windsock lint` finds

```sh
windsock lint                          # the files in flagd/
windsock lint flagd --format github    # annotations in a pull request; also json and sarif
windsock lint flagd --fix              # repair what can be repaired without changing what anyone is served
windsock lint --explain unreachable    # this page, in the terminal
```

Almost every rule behaves differently in some engine if an attribute is missing or has an unexpected type, so lint reports
that only on request:

<!-- exit: 1 -->
```sh
windsock lint flagd --attributes
```

A line reads `file:line:column  level  code  flag: message`. An **error** is served wrongly, or rejected by an engine. A
**warning** means different things to different engines, or is almost certainly a mistake. A **note** is worth a look
and fails nothing, except with `--strict`. The exit code is 1 if something was found, 4 if a file cannot be read.

Anything flagd's official schema rejects is an error, unless every engine accepts it: versions such as `v1.2`, `$ref` in
any place, a bucket that is computed or alone, `?:`.

You can silence a warning or a note, with a reason, in the flag's metadata (or in the document's, for the whole file):

```json
"metadata": { "lint.unused-variant": "kept for the campaign in April" }
```

A suppression is itself a finding if it has no reason, names an error or an unknown code, or silences nothing. Codes
marked *off by default* are policies. A project enables them, and can declare its attributes, in `pyproject.toml`:

```toml
[tool.windsock.lint]
enable = ["missing-owner", "weights-not-100"]
attributes = ["email", "tier", "country"]
```

This page is generated from the linter's own catalogue (`python -m tests.lint.lint_page`).
"""


def page() -> str:
    """The page's text."""
    parts = [HEAD]
    for group, rules in GROUPS.items():
        parts.append(f"\n## {group}\n")
        if group == "Not the same in every engine":
            parts.append(
                "\n[Portable rules](portable-rules.md) has the examples, and says which engine disagrees.\n"
            )
        parts += [_section(rule) for rule in rules]
    return "".join(parts)


def _section(rule: LintRule) -> str:
    marks = [rule.level.value, *["off by default"] * rule.opt_in, *["`--fix`"] * rule.fixable]
    title = rule.title[0].upper() + rule.title[1:]
    return f"\n### {rule.code}\n\n*{', '.join(marks)}* — {title}. {rule.explanation}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
