"""Changes one flag of a flag file and leaves the rest of its text unchanged."""

from collections.abc import Sequence

from windsock.errors import ConfigurationError, FlagFileError
from windsock.flagfiles.files import FlagFile
from windsock.flagfiles.formatting import formatted
from windsock.flags import JsonValue
from windsock.lint.places import Edit, LintText


def with_targeting(file: FlagFile, key: str, rule: JsonValue) -> bytes:
    """Return the file with another targeting rule for a flag.

    A file in the common form stays in it; otherwise, only the new rule is in the common form.

    Raises:
        ConfigurationError: The file is YAML.
        FlagFileError: It cannot be read.
    """
    linted = _opened(file)
    body, tokens = next((raw.value, raw.tokens) for raw in linted.raw.flags if raw.key == key)
    if isinstance(body, dict) and "targeting" in body:
        return _edited(file, linted.edit((*tokens, "targeting"), ("replace", rule)))
    return _edited(file, linted.edit(tokens, ("insert", {"targeting": rule})))


def with_flag(file: FlagFile, key: str, body: JsonValue) -> bytes:
    """Return the file with one of its flags redefined; form and errors as for `with_targeting`."""
    linted = _opened(file)
    tokens = next(raw.tokens for raw in linted.raw.flags if raw.key == key)
    return _edited(file, linted.edit(tokens, ("replace", body)))


def redefined(files: Sequence[FlagFile], key: str, body: JsonValue) -> tuple[FlagFile, ...]:
    """Return the files with a flag redefined in the file that serves it; errors as for `with_targeting`."""
    home = served_file(files, key)
    return tuple(FlagFile(each.path, with_flag(each, key, body)) if each is home else each for each in files)


def flag_body(file: FlagFile, key: str) -> JsonValue:
    """Return a flag as its file has it, without what it inherits; errors as for `with_targeting`."""
    return next(raw.value for raw in _opened(file).raw.flags if raw.key == key)


def _opened(file: FlagFile) -> LintText:
    if not file.path.endswith(".json"):
        raise ConfigurationError(
            f"{file.path}: YAML is not rewritten, since its comments would be lost; edit it by hand"
        )
    return LintText(file.data.decode(), file.path)


def _edited(file: FlagFile, edit: Edit) -> bytes:
    text = file.data.decode()
    edited = (text[: edit.start] + edit.text + text[edit.end :]).encode()
    return formatted(edited, file.path) if _is_formatted(file) else edited


def _is_formatted(file: FlagFile) -> bool:
    try:
        return formatted(file.data, file.path) == file.data
    except FlagFileError:
        return False


def served_file(files: Sequence[FlagFile], key: str) -> FlagFile | None:
    """Return the file whose definition of a flag is served: the last that has it."""
    holders = [file for file in files if key in file.document.flags]
    return holders[-1] if holders else None
