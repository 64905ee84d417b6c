"""Changing one flag of a flag file, the rest of its text as it was."""

from windsock.errors import ConfigurationError, FlagFileError
from windsock.flagfiles.files import FlagFile
from windsock.flagfiles.formatting import formatted
from windsock.flags import JsonValue, read_document
from windsock.lint.places import LintText


def with_targeting(file: FlagFile, key: str, rule: JsonValue) -> bytes:
    """The file with another targeting rule for a flag.

    A file in the common form stays in it; in another one, the new rule alone is in the common form.

    Raises:
        ConfigurationError: The file is YAML.
        FlagFileError: It cannot be read.
    """
    if not file.path.endswith(".json"):
        raise ConfigurationError(
            f"{file.path}: YAML is not rewritten, since its comments would be lost; edit it by hand"
        )
    text = file.data.decode()
    linted = LintText(text, file.path)
    body = next(raw.value for raw in linted.raw.flags if raw.key == key)
    has_rule = isinstance(body, dict) and "targeting" in body
    tokens = next(raw.tokens for raw in linted.raw.flags if raw.key == key)
    change = ("replace", rule) if has_rule else ("insert", {"targeting": rule})
    edit = linted.edit((*tokens, "targeting") if has_rule else tokens, change)  # type: ignore[arg-type]
    made = (text[: edit.start] + edit.text + text[edit.end :]).encode()
    return formatted(made, file.path) if _is_formatted(file) else made


def _is_formatted(file: FlagFile) -> bool:
    try:
        return formatted(file.data, file.path) == file.data
    except FlagFileError:
        return False


def served_file(files: tuple[FlagFile, ...], key: str) -> FlagFile | None:
    """The file whose definition of a flag is the one served: the last that has it."""
    holders = [file for file in files if key in read_document(file.data, file.path).flags]
    return holders[-1] if holders else None
