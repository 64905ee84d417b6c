"""`windsock lint`: find what flag files get wrong before they serve."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._findings import Format, write
from windsock.cli._project import lint_options
from windsock.cli._say import note, say
from windsock.flagfiles.files import DEFAULT_FOLDER, FlagFile, read_files, replace_flag_file
from windsock.flagfiles.fixing import fix
from windsock.lint.linter import Finding, Level, Linted, lint, lint_overlaps
from windsock.lint.rules import BY_CODE, CATALOGUE
from windsock.text import count


def command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Flag files, or folders of them; by default flagd/.")
    ] = None,
    *,
    form: Annotated[Format, typer.Option("--format", help="How to write what was found.")] = Format.TABLE,
    correct: Annotated[
        bool,
        typer.Option("--fix", help="Correct what can be corrected without changing what users are served."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Notes count as findings too.")] = False,
    attributes: Annotated[
        bool,
        typer.Option(
            "--attributes", help="Also find where evaluators differ if an attribute is missing or unexpected."
        ),
    ] = False,
    enable: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Also apply a rule that is off by default, such as missing-owner."),
    ] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="CODE", help="Say what a code means and end; `all` lists them.")
    ] = None,
) -> None:
    """Find what flag files get wrong before they serve. Exit 1 when something was found.

    Example: windsock lint flagd --format github
    """
    if explain is not None:
        _explain(explain)
        return
    options = replace(lint_options(enable or ()), by_attribute=attributes)
    files = read_files(paths or ())
    if correct:
        files = tuple(_corrected(file) for file in files)
    linted = [lint(file.data, file.path, options) for file in files]
    findings = [*_all(linted), *_experiments(paths or [DEFAULT_FOLDER])]
    write(findings, form)
    counted = [finding for finding in findings if strict or finding.level is not Level.NOTE]
    _summary(files, findings, linted)
    if counted:
        raise typer.Exit(EXIT_ERROR)


def _experiments(paths: Sequence[Path]) -> list[Finding]:
    """What is wrong with the experiments that are declared in the folders."""
    folders = [path for path in paths if (path / "experiments").is_dir()]
    if not folders:
        return []
    from windsock.experiments.running.checking import problems  # noqa: PLC0415 - only where there are any

    return [
        Finding(each.source, each.line, min(each.line, 1), "experiment", Level.ERROR, None, "", each.message)
        for folder in folders
        for each in problems(folder)
    ]


def _all(linted: Sequence[Linted]) -> list[Finding]:
    findings = [finding for each in linted for finding in each.findings]
    documents = [each.document for each in linted if each.document is not None]
    return [*findings, *lint_overlaps(documents)]


def _corrected(file: FlagFile) -> FlagFile:
    fixed = fix(file)
    if fixed.count:
        replace_flag_file(Path(file.path), fixed.data)
        note(f"{file.path}: corrected {fixed.count}")
    return FlagFile(file.path, fixed.data)


def _summary(files: Sequence[FlagFile], findings: Sequence[Finding], linted: Sequence[Linted]) -> None:
    counts = [count(sum(finding.level is level for finding in findings), level) for level in Level]
    silenced = sum(len(each.suppressed) for each in linted)
    fixable = sum(finding.edit is not None for finding in findings)
    parts = [count(len(files), "file"), *counts, *([f"{silenced} silenced"] if silenced else [])]
    hint = f"; --fix corrects {fixable}" if fixable else ""
    note(", ".join(parts) + hint)


def _explain(code: str) -> None:
    if code == "all":
        for rule in CATALOGUE:
            say(f"{rule.code:<32} {rule.level:<8} {rule.title}")
        return
    found = BY_CODE.get(code)
    if found is None:
        raise typer.BadParameter(
            f"there is no code {code!r}; --explain all lists them", param_hint="--explain"
        )
    say(f"{found.code} ({found.level}{', off by default' if found.opt_in else ''}): {found.title}")
    say("")
    say(found.explanation)
