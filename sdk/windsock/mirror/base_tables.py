"""Tables that say what base flags say, so that SQL reads the same values as the services."""

import logging
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from windsock.errors import ConfigurationError, DatabaseUnfitError, MirrorError
from windsock.flags import JsonValue
from windsock.mirror.base_values import BaseReader, BaseValues
from windsock.mirror.id_lists import json_text
from windsock.mirror.postgres import Source
from windsock.mirror.queries import quoted
from windsock.postgres.queries import load_queries
from windsock.settings.settings import Settings

if TYPE_CHECKING:
    from psycopg import Connection

_log = logging.getLogger("windsock.mirror")
_queries = load_queries("windsock.mirror", "base_tables.sql")

_LOOK_SECONDS = 2.0
_DEFAULT = "learning_config"
_COLUMNS = {  # what a column may be; the first is what is advised
    "key": ("text", "character varying"),
    "value": ("jsonb",),
    "revision": ("text", "character varying"),
    "updated_at": ("timestamp with time zone", "timestamp without time zone"),
}
_ADVICE = "(key text primary key, value jsonb not null, revision text, updated_at timestamptz)"


@dataclass(frozen=True, slots=True)
class BaseTable:
    """A table of one row for each field of a flag: key, value, revision, updated_at.

    Attributes:
        schema: The schema, as it is in the catalog.
        name: The table, as it is in the catalog.
    """

    schema: str
    name: str

    @classmethod
    def named(cls, text: str) -> Self:
        """Take ``table``, which is then in ``public``, or ``schema.table``.

        Raises:
            ConfigurationError: It is neither.
        """
        schema, _, name = text.rpartition(".")
        if not name or "." in schema or "\0" in text or text.startswith("."):
            raise ConfigurationError(f"{text!r} names no table: write table or schema.table")
        return cls(schema or "public", name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    def write(self, connection: "Connection", base: BaseValues) -> None:
        """Make the rows that carry a revision say what the flag says.

        Raises:
            DatabaseUnfitError: The table is missing, or a column or its key is.
        """
        self._check(connection)
        parameters = {
            "keys": list(base.values),
            "values": [json_text(value) for value in base.values.values()],
            "revision": base.revision,
        }
        with connection.transaction():
            connection.execute(self._query(connection, "write_base_values"), parameters)
            connection.execute(self._query(connection, "remove_base_values"), parameters)

    def read(self, connection: "Connection") -> dict[str, tuple[JsonValue, str]]:
        """Read the rows that the mirror wrote: value and revision by key.

        Raises:
            DatabaseUnfitError: The table is missing, or a column or its key is.
        """
        self._check(connection)
        rows = connection.execute(self._query(connection, "read_base_values"))
        return {key: (value, revision) for key, value, revision in rows}

    def _query(self, connection: "Connection", name: str) -> bytes:
        return _queries[name].replace(b"{table}", quoted(connection, self.schema, self.name))

    def _check(self, connection: "Connection") -> None:
        parameters = {"schema": self.schema, "name": self.name}
        columns = {
            column: (kind, is_unique)
            for column, kind, is_unique in connection.execute(_queries["base_table_columns"], parameters)
        }
        if not columns:
            remedy = "run `windsock migrate`" if self == BaseTable.named(_DEFAULT) else f"create it {_ADVICE}"
            raise DatabaseUnfitError(f"there is no table {self} for base values: {remedy}")
        wrong = [
            f"no column {column}" if column not in columns else f"{column} is {columns[column][0]}"
            for column, kinds in _COLUMNS.items()
            if columns.get(column, ("", False))[0] not in kinds
        ]
        if "key" in columns and not columns["key"][1]:
            wrong.append("no primary key or unique index on key")
        if wrong:
            raise DatabaseUnfitError(
                f"table {self} cannot take base values: {', '.join(wrong)}; it should be {_ADVICE}"
            )


class BaseTables:
    """Flags, and the table that each one's base values are written into.

    Args:
        targets: ``flag``, whose table is ``learning_config``, or ``flag:table``, or ``flag:schema.table``.
        classes: The settings classes that read these flags.
        folder: The folder of Git's flag files.
        environment: The environment that the values are for.

    Raises:
        ConfigurationError: A target has no table or no class, or two flags name one table.
    """

    def __init__(
        self, targets: Iterable[str], classes: Iterable[type[Settings]], folder: Path, environment: str
    ) -> None:
        declarations = {each.__windsock__.declaration.flag: each.__windsock__.declaration for each in classes}
        self._readers: dict[BaseTable, BaseReader] = {}
        self._written: dict[BaseTable, BaseValues] = {}
        self._looked_at = -math.inf
        self._said = ""
        for target in targets:
            flag, colon, name = target.partition(":")
            if flag not in declarations:
                raise ConfigurationError(
                    f"--learning-config {target} needs the settings class that reads the flag {flag!r}, "
                    "because its code defaults count too: add --settings module:Class"
                )
            table = BaseTable.named(name if colon else _DEFAULT)
            if table in self._readers:
                raise ConfigurationError(
                    f"two flags cannot share the table {table}: give one a table of its own, as "
                    f"--learning-config {flag}:TABLE"
                )
            self._readers[table] = BaseReader(declarations[flag], folder, environment)

    def are_changed(self) -> bool:
        """Whether a file changed since its values were written."""
        return any(reader.is_changed() for reader in self._readers.values())

    def write(self, source: Source) -> None:
        """Write what changed.

        Raises:
            MirrorError: A table cannot take it; it is tried again with the next call.
        """
        for table, reader in self._readers.items():
            base = reader.read_if_changed()
            if base is None:
                continue
            try:
                with source.asking() as connection:
                    table.write(connection, base)
            except BaseException:
                reader.forget()
                raise
            self._written[table] = base
            _log.info("%s says what the flag %s says, revision %s", table, reader.flag, base.revision)

    def follow(self, source: Source) -> None:
        """Write what changed; a table that cannot take it is said once, and the documents go on."""
        try:
            self.write(source)
            self._repair(source)
        except MirrorError as error:
            if str(error) != self._said:
                _log.error("base values are not in SQL: %s", error)
            self._said = str(error)
        else:
            self._said = ""

    def _repair(self, source: Source) -> None:
        """Undo what somebody else did to our rows, and say so."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        for table, base in self._written.items():
            with source.asking() as connection:
                there = table.read(connection)
                wrong = _different(base, there)
                if wrong:
                    table.write(connection, base)
                    _log.warning(
                        "%s was changed by hand (%s) and is as the flag says again: change the flag instead",
                        table,
                        ", ".join(wrong),
                    )

    def differences(self, source: Source) -> list[str]:
        """One line for each row that is not what the flags say."""
        found = []
        for table, reader in self._readers.items():
            base = reader.read_if_changed()
            if base is None:
                continue
            with source.asking() as connection:
                there = table.read(connection)
            found += [f"{table}, key {key}: differs from {base.revision}" for key in _different(base, there)]
        return found


def _different(base: BaseValues, there: Mapping[str, tuple[JsonValue, str]]) -> list[str]:
    """The keys whose rows aren't what they should be."""
    wanted = {key: (value, base.revision) for key, value in base.values.items()}
    return [key for key in sorted(wanted.keys() | there.keys()) if wanted.get(key) != there.get(key)]
