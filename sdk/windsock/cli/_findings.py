"""Findings as a person, a program, GitHub or a code-scanning service reads them."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from urllib.parse import quote

from windsock.cli._say import Shade, inert, print_json, say_command, say_shaded
from windsock.lint.linter import Finding, Level
from windsock.lint.rules import BY_CODE
from windsock.text import printable

_SHADES = {Level.ERROR: Shade.RED, Level.WARNING: Shade.YELLOW, Level.NOTE: Shade.CYAN}


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
                say_shaded(_line(finding), f"  {finding.level:<7}", _SHADES[finding.level])
        case Format.JSON:
            print_json([_data(finding) for finding in findings])
        case Format.GITHUB:
            for finding in findings:
                say_command(_annotation(finding))
        case Format.SARIF:
            print_json(_sarif(findings))


def _line(finding: Finding) -> str:
    flag = f"{finding.flag}: " if finding.flag is not None else ""
    return f"{_place(finding)}  {finding.level:<7}  {finding.code}  {flag}{finding.message}"


def _place(finding: Finding) -> str:
    return f"{finding.source}:{finding.line}:{finding.column}" if finding.line else finding.source


def _data(finding: Finding) -> dict[str, object]:
    data = asdict(finding)
    data["fixable"] = data.pop("edit") is not None
    return data


def _annotation(finding: Finding) -> str:
    kind = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}[finding.level]
    place = f"file={_escaped(inert(finding.source), property_value=True)}"
    if finding.line:
        place += f",line={finding.line},col={finding.column}"
    flag = f"{finding.flag}: " if finding.flag is not None else ""
    return (
        f"::{kind} {place},title={finding.code}::{_escaped(inert(printable(flag + finding.message, 4_000)))}"
    )


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
