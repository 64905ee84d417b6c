"""The page of the linter's codes, written from the catalogue: ``python -m tests.lint.lint_page``."""

from pathlib import Path

from windsock.flags.rules.catalogue import GROUPS, Rule

PAGE = Path(__file__).parents[2] / "docs" / "lint.md"

HEAD = """\
# What `windsock lint` finds

```
windsock lint                          # the files of flagd/
windsock lint flagd --format github    # annotations in a pull request; also json and sarif
windsock lint flagd --fix              # mend what can be mended without changing what anybody is served
windsock lint --explain unreachable    # this page, in the terminal
```

A line reads `file:line:column  level  code  flag: message`. An **error** is served wrongly, or refused by an engine. A
**warning** means different things to different engines, or is almost certainly a mistake. A **note** is worth a look
and fails nothing, except with `--strict`. Exit code 1 when something was found, 4 when a file cannot be read.

What flagd's official schema refuses is an error, except where every engine takes it: versions such as `v1.2`, `$ref` in
any place, a bucket that is computed or alone, `?:`.

A finding is silenced where it stands, with a reason, in the flag's metadata (or the document's, for the whole file):

```json
"metadata": { "lint.unused-variant": "kept for the campaign in April" }
```

A suppression without a reason, of an unknown code, or that silences nothing is a finding itself. Codes marked *off by
default* are policies; a project asks for them, and may declare its attributes, in `pyproject.toml`:

```toml
[tool.windsock.lint]
enable = ["missing-owner", "weights-not-100"]
attributes = ["email", "tier", "country"]
```

This page is written from the linter's own catalogue (`python -m tests.lint.lint_page`).
"""


def page() -> str:
    """The page's text."""
    parts = [HEAD]
    for group, rules in GROUPS.items():
        parts.append(f"\n## {group}\n")
        if group == "Not the same in every engine":
            parts.append("\nThe examples, and who disagrees, are in [portable rules](portable-rules.md).\n")
        parts += [_section(rule) for rule in rules]
    return "".join(parts)


def _section(rule: Rule) -> str:
    marks = [rule.level.value, *["off by default"] * rule.opt_in, *["`--fix`"] * rule.fixable]
    title = rule.title[0].upper() + rule.title[1:]
    return f"\n### {rule.code}\n\n*{', '.join(marks)}* — {title}. {rule.explanation}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
