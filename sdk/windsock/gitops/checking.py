"""Flag files checked against the settings classes and features that read them, as the linter's findings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windsock.flagfiles.files import read_files
from windsock.flagfiles.sets import flag_set
from windsock.flags import Problem
from windsock.gitops.misfits import feature_misfits, located, misfits, pins
from windsock.lint.linter import Finding, Level
from windsock.settings.declaration import Declaration
from windsock.settings.feature_values import DeclaredFeature


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found.

    Attributes:
        flags: How many flags were read.
        findings: Values that a class or a feature refuses, and values that equal a default, by file.
        warnings: Possible mistakes: no flag for a class, fields that a profile could redirect.
        problems: What is wrong in the files; their other flags are still served.
    """

    flags: int
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    problems: Sequence[Problem]

    @property
    def refused(self) -> int:
        """How many values are refused."""
        return sum(finding.level is Level.ERROR for finding in self.findings)

    @property
    def pinned(self) -> int:
        """How many values equal the default of their field."""
        return len(self.findings) - self.refused


def check(
    paths: Sequence[Path], declarations: Sequence[Declaration], features: Sequence[DeclaredFeature[Any]] = ()
) -> CheckReport:
    """Check every variant in every environment against the classes and features.

    Raises:
        UnreachableError: A path cannot be read, or has no flag files.
        FlagFileError: A file can't be read at all.
    """
    files = read_files(paths)
    served = flag_set(files)
    warnings = [warning for each in declarations for warning in _warnings(each, served.flags)]
    refused = located(misfits(served, declarations), files, "settings-value", Level.ERROR)
    mistyped = located(feature_misfits(served, features), files, "feature-value", Level.ERROR)
    pinned = located(pins(served, declarations), files, "settings-default", Level.WARNING)
    return CheckReport(
        len(served.flags),
        tuple(sorted([*refused, *mistyped, *pinned], key=_place)),
        tuple(warnings),
        served.problems,
    )


def _warnings(declaration: Declaration, flags: Mapping[str, object]) -> Iterator[str]:
    name = declaration.settings_class.__name__
    if declaration.flag not in flags:
        yield f"{name}: no file has the flag {declaration.flag!r}; code defaults serve"
    if fields := declaration.unmarked():
        yield (
            f"{name}: a profile can set {', '.join(fields)}; mark each as"
            " `Annotated[str, windsock.Fixed]`, or `windsock.Tunable` if that is intended"
        )


def _place(finding: Finding) -> tuple[str, int, int]:
    return finding.source, finding.line, finding.column
