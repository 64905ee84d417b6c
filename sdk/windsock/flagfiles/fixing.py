"""Fixing a flag file: the linter's edits, applied only if they don't change the flags served."""

from dataclasses import dataclass

from windsock.errors import FlagFileError
from windsock.flagfiles.files import FlagFile
from windsock.flags import Flag, read_document
from windsock.lint.linter import Edit, lint

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Fixed:
    """A corrected file: its bytes, and how many findings were fixed."""

    data: bytes
    count: int


def fix(file: FlagFile) -> Fixed:
    """Apply the edits that the linter offers.

    The result is re-read; if a flag differs by more than its correction, the file is left unchanged.
    """
    if file.data.startswith(_BOM):
        rest = fix(FlagFile(file.path, file.data.removeprefix(_BOM)))
        return Fixed(rest.data, rest.count + 1)
    edits = [finding.edit for finding in lint(file.data, file.path).findings if finding.edit is not None]
    if not edits:
        return Fixed(file.data, 0)
    corrected = _edited(file.data.decode(), edits).encode()
    return Fixed(corrected, len(edits)) if _serves_the_same(file, corrected) else Fixed(file.data, 0)


def _edited(text: str, edits: list[Edit]) -> str:
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _serves_the_same(file: FlagFile, corrected: bytes) -> bool:
    try:
        before, after = file.document, read_document(corrected, file.path)
    except FlagFileError:
        return False
    return before.flags.keys() == after.flags.keys() and all(
        _alike(flag, after.flags[key]) for key, flag in before.flags.items()
    )


def _alike(before: Flag, after: Flag) -> bool:
    """Whether two flags differ at most in how their rule is spelled."""
    return (before.enabled, before.variants, before.default_variant, before.metadata) == (
        after.enabled,
        after.variants,
        after.default_variant,
        after.metadata,
    )
