"""`windsock lint`: find what flag files get wrong before they serve."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._findings import Format, write
from windsock.cli._project import lint_options
from windsock.cli._say import note, say
from windsock.gitops.linting import LintReport, lint_files
from windsock.lint.linter import Level
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
        typer.Option("--fix", help="Fix what can be fixed without changing what users get."),
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
        str | None, typer.Option(metavar="CODE", help="Explain a code and exit; `all` lists them.")
    ] = None,
) -> None:
    """Find mistakes in flag files before they serve. Exit 1 if something was found.

    Example: windsock lint flagd --format github
    """
    if explain is not None:
        _explain(explain)
        return
    options = replace(lint_options(enable or ()), by_attribute=attributes)
    report = lint_files(paths or (), options, correct=correct)
    for path, corrections in report.corrected:
        note(f"{path}: corrected {corrections}")
    write(report.findings, form)
    _summary(report)
    counted = [finding for finding in report.findings if strict or finding.level is not Level.NOTE]
    if counted:
        raise typer.Exit(EXIT_ERROR)


def _summary(report: LintReport) -> None:
    counts = [count(sum(finding.level is level for finding in report.findings), level) for level in Level]
    silenced = [f"{report.silenced} silenced"] if report.silenced else []
    hint = f"; --fix corrects {report.fixable}" if report.fixable else ""
    note(", ".join([count(report.files, "file"), *counts, *silenced]) + hint)


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
