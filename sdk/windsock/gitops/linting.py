"""Runs the linter over a project's flag files, its corrections, and the experiments declared beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from windsock.flagfiles.files import DEFAULT_FOLDER, FlagFile, read_files, replace_plain_file
from windsock.flagfiles.fixing import fix
from windsock.lint.linter import Finding, Level, LintOptions, lint, lint_overlaps


@dataclass(frozen=True, slots=True)
class LintReport:
    """The linter's findings in a project.

    Attributes:
        files: How many files were read.
        findings: The findings, file by file; then flags that two files define, and the experiments.
        silenced: How many findings are silenced in the files.
        corrected: How many findings were corrected, by file.
    """

    files: int
    findings: tuple[Finding, ...]
    silenced: int
    corrected: tuple[tuple[str, int], ...]

    @property
    def fixable(self) -> int:
        """How many findings can be corrected."""
        return sum(finding.edit is not None for finding in self.findings)


def lint_files(paths: Sequence[Path], options: LintOptions, *, correct: bool = False) -> LintReport:
    """Lint flag files.

    Args:
        paths: Files or folders; ``flagd/`` if there are none.
        options: The project's linter options.
        correct: Whether to make the corrections that don't change what users are served.

    Raises:
        UnreachableError: A path cannot be read, or has no flag files.
    """
    files, corrected = read_files(paths), []
    if correct:
        pairs = [_corrected(file) for file in files]
        files = tuple(file for file, _ in pairs)
        corrected = [(file.path, count) for file, count in pairs if count]
    linted = [lint(file.data, file.path, options) for file in files]
    documents = [each.document for each in linted if each.document is not None]
    return LintReport(
        files=len(files),
        findings=(
            *(finding for each in linted for finding in each.findings),
            *lint_overlaps(documents),
            *_experiments(paths or [DEFAULT_FOLDER]),
        ),
        silenced=sum(len(each.suppressed) for each in linted),
        corrected=tuple(corrected),
    )


def _experiments(paths: Sequence[Path]) -> list[Finding]:
    """Return the problems of the experiments declared in the folders."""
    folders = [path for path in paths if (path / "experiments").is_dir()]
    if not folders:
        return []
    from windsock.experiments.running.checking import problems  # noqa: PLC0415 - only where there are any

    return [
        Finding(each.source, each.line, min(each.line, 1), "experiment", Level.ERROR, None, "", each.message)
        for folder in folders
        for each in problems(folder)
    ]


def _corrected(file: FlagFile) -> tuple[FlagFile, int]:
    fixed = fix(file)
    if fixed.count:
        replace_plain_file(Path(file.path), fixed.data)
    return FlagFile(file.path, fixed.data), fixed.count
