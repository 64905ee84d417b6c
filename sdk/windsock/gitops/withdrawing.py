"""What makes a withdrawal permanent: a patch of the file that holds the value, or SQL for a profile's."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windsock.flagfiles.files import FlagFile
from windsock.flagfiles.formatting import formatted, parsed, written
from windsock.healing.quarantine import Withdrawal
from windsock.settings.place import fingerprint
from windsock.text import escaped


def permanent(withdrawals: Sequence[Withdrawal], files: Sequence[FlagFile]) -> Iterator[str]:
    """Write the change, line by line, that takes the withdrawn values out of where they are.

    A value in a flag file becomes a patch that ``git apply`` takes; a value of a profile becomes an UPDATE
    behind a comment sign. The withdrawals come from a database that services write, so nothing of them gets
    into the patch: it is made of the parsed file, and their text is on comment lines, escaped.

    Args:
        withdrawals: What is withdrawn.
        files: The flag files in Git; YAML is left alone.

    Raises:
        FlagFileError: A file cannot be read.
    """
    left = list(withdrawals)
    for file in files:
        if not file.path.endswith(".json"):
            continue
        form = formatted(file.data, file.path)  # refuses what cannot be read or would lose a key
        values, content = json.loads(form), parsed(form)
        done = [each for each in left if _take_out(each, values, content)]
        if done:
            left = [each for each in left if each not in done]
            yield from _patch(file.path, file.data.decode(), written(content).decode())
    yield from map(_comment, left)


def _take_out(each: Withdrawal, values: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    """Remove a withdrawn value from a document, if it is there."""
    variant = _variant(values, each)
    if variant is None or each.field not in variant or fingerprint(variant[each.field]) != each.fingerprint:
        return False
    twin = _variant(content, each)
    return twin is not None and twin.pop(each.field, None) is not None


def _variant(document: Mapping[str, Any], each: Withdrawal) -> dict[str, Any] | None:
    found: Any = document
    for name in ("flags", each.flag, "variants", each.variant):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _patch(path: str, before: str, after: str) -> Iterator[str]:
    lines = difflib.unified_diff(
        _lines(before), _lines(after), _quoted(f"a/{path}"), _quoted(f"b/{path}"), lineterm="\n"
    )
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Lines as Git counts them: `str.splitlines` also breaks at characters that a JSON text may hold."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1].removesuffix("\n")
    return lines if lines[-1] else lines[:-1]


def _quoted(path: str) -> str:
    """A path of a patch as Git quotes it: in C's way where it is not plain."""
    if path.isascii() and path.isprintable() and not set(path) & {'"', "\\", " "}:
        return path
    marks = {0x22: '\\"', 0x5C: "\\\\"}
    inner = "".join(
        marks.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}") for byte in path.encode()
    )
    return f'"{inner}"'


def _comment(each: Withdrawal) -> str:
    flag, variant, field = escaped(each.flag), escaped(each.variant), escaped(each.field)
    if not each.flag.endswith(".profile"):
        return f"# {field} of flag {flag!r} variant {variant!r} is in none of these files\n"
    field, variant = field.replace("'", "''"), variant.replace("'", "''")
    return f"# update app_configurations set settings = settings - '{field}' where id = '{variant}';\n"  # noqa: S608 - shown, not run
