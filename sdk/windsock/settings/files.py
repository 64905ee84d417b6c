"""Configuration files of a class's own sources, each read separately.

pydantic-settings reads JSON, TOML and YAML files while it creates their sources, inside the class's
``settings_customise_sources``, so one broken file would disable all of the class's sources. Here, an
unreadable file is logged, and the values last read from it stay in use.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_settings.sources import ConfigFileSourceMixin

from windsock.logs import get_logger
from windsock.nested import overlay
from windsock.text import mask_passwords, one_line

logger = get_logger("windsock.settings")

Content = Mapping[str, Any]

_reading: ContextVar[type | None] = ContextVar("windsock_reading", default=None)
_last: WeakKeyDictionary[type, dict[tuple[type, str], Content]] = WeakKeyDictionary()
"""The last content of each file, by settings class, then by source class and path."""


@contextmanager
def each_on_its_own(settings_class: type) -> Iterator[None]:
    """Make sources that are created in this context for a settings class survive a broken file."""
    token = _reading.set(settings_class)
    try:
        yield
    finally:
        _reading.reset(token)


_read_all = ConfigFileSourceMixin._read_files  # noqa: SLF001 - the only place where all of its sources read


def _read_each(source: ConfigFileSourceMixin, files: Any, deep_merge: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
    settings_class = _reading.get()
    if settings_class is None:
        return _read_all(source, files, deep_merge)
    values: dict[str, Any] = {}
    for file in files if isinstance(files, Sequence) and not isinstance(files, str) else [files]:
        path = Path(file).expanduser() if isinstance(file, str | Path) else file
        if path is not None and path.is_file():
            content = _content(source, path, _last.setdefault(settings_class, {}), settings_class.__name__)
            values = overlay(values, content) if deep_merge else {**values, **content}
    return values


ConfigFileSourceMixin._read_files = _read_each  # type: ignore[assignment, method-assign]  # noqa: SLF001 - other classes' go to `_read_all`


def _content(
    source: ConfigFileSourceMixin, path: Any, last: dict[tuple[type, str], Content], name: str
) -> Content:
    """A file's content, or its last known content."""
    key = type(source), str(path)
    try:
        content = source._read_file(path)  # noqa: SLF001 - each source reads its own format there
        if not isinstance(content, Mapping):
            raise ValueError("its top level isn't a mapping")  # noqa: TRY004, TRY301 - handled with what the parsers raise
    except Exception as error:  # noqa: BLE001 - whatever a parser raises
        serves = "the values last read from it serve" if key in last else "it is left out"
        text = mask_passwords(one_line(error))
        logger.error("%s: %s cannot be read (%s: %s); %s", name, path, type(error).__name__, text, serves)  # noqa: TRY400 - the message names what failed
        return last.get(key, {})
    last[key] = content
    return content
