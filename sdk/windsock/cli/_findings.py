"""Findings as a person, a program, GitHub or a code-scanning service reads them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from urllib.parse import quote

from windsock.cli._say import print_json, wrapped
from windsock.lint.linter import Finding, Level
from windsock.lint.rules import BY_CODE
from windsock.text import escaped


class Format(StrEnum):
    """How findings are written."""

    TABLE = "table"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def write(findings: Sequence[Finding], form: Format) -> None:
    """Write findings to stdout."""
    match form:
        case Format.TABLE:
            for finding in findings:
                print(_line(finding, colour=_coloured()))
        case Format.JSON:
            print_json([_data(finding) for finding in findings])
        case Format.GITHUB:
            for finding in findings:
                print(_annotation(finding))
        case Format.SARIF:
            print_json(_sarif(findings))


def _coloured() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _line(finding: Finding, *, colour: bool) -> str:
    flag = f"{finding.flag}: " if finding.flag is not None else ""
    level = f"{finding.level:<7}"
    place, text = escaped(_place(finding)), escaped(flag + finding.message)
    first, *more = wrapped(f"{place}  {level}  {finding.code}  {text}", sys.stdout)
    if colour:
        shade = {Level.ERROR: 31, Level.WARNING: 33, Level.NOTE: 36}[finding.level]
        first = first.replace(f"  {level}", f"  \x1b[{shade}m{level}\x1b[0m", 1)
    return "\n".join([first, *more])


def _place(finding: Finding) -> str:
    return f"{finding.source}:{finding.line}:{finding.column}" if finding.line else finding.source


def _data(finding: Finding) -> dict[str, object]:
    data = asdict(finding)
    data["fixable"] = data.pop("edit") is not None
    return data


def _annotation(finding: Finding) -> str:
    kind = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}[finding.level]
    place = f"file={_escaped(finding.source, property_value=True)}"
    if finding.line:
        place += f",line={finding.line},col={finding.column}"
    flag = f"{finding.flag}: " if finding.flag is not None else ""
    return f"::{kind} {place},title={finding.code}::{_escaped(escaped(flag + finding.message))}"


def _escaped(text: str, *, property_value: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_value else text


def _sarif(findings: Sequence[Finding]) -> dict[str, object]:
    codes = sorted({finding.code for finding in findings})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": BY_CODE[code].title},
            "help": {"text": BY_CODE[code].explanation},
            "defaultConfiguration": {"level": BY_CODE[code].level},
        }
        for code in codes
    ]
    driver = {"name": "windsock", "version": version("windsock"), "rules": rules}
    results = [_sarif_result(finding) for finding in findings]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _sarif_result(finding: Finding) -> dict[str, object]:
    location: dict[str, object] = {"artifactLocation": {"uri": quote(finding.source)}}
    if finding.line:
        location["region"] = {"startLine": finding.line, "startColumn": finding.column}
    result: dict[str, object] = {
        "ruleId": finding.code,
        "level": finding.level,
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": location}],
    }
    if finding.flag is not None:
        logical = [{"fullyQualifiedName": finding.flag, "kind": "member"}]
        result["locations"] = [{"physicalLocation": location, "logicalLocations": logical}]
    return result
