"""Tables with the flags' base values, so that SQL reads the same values as the services."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from windsock.errors import ConfigurationError, MirrorError
from windsock.flags import JsonValue
from windsock.logs import get_logger
from windsock.mirror.base_values import BaseReader, BaseValues, Units
from windsock.mirror.id_lists import json_text
from windsock.mirror.options import MirrorOptions
from windsock.mirror.postgres import Source
from windsock.mirror.value_tables import BASE, DEFAULT, OF_UNITS, SOURCE, TableName

if TYPE_CHECKING:
    from psycopg import Connection

_log = get_logger("windsock.mirror")

MAX_UNITS = 100_000
"""Maximum number of units: each is re-evaluated every few seconds, so more are refused."""

_LOOK_SECONDS = 2.0
_RESTS = 20  # times the last look's duration: many units are checked less often, for 5 % of the time
_NAMED = 5

_Rows = Mapping[tuple[str, str], tuple[JsonValue, str]]
"""Value and revision by unit and key; the unit is empty for the base."""


@dataclass(frozen=True, slots=True)
class BaseTable:
    """A table with one row per field of a flag, and another for the fields in which units differ.

    Attributes:
        name: The first table; the other has the same name plus ``_units``.
        source: The table from which units are read, by ``id``, with their attributes; None for no units.
    """

    name: TableName
    source: TableName | None = None

    def units(self, connection: "Connection") -> Units:
        """Read the units.

        Raises:
            DatabaseUnfitError: The table is missing or has no ids.
            MirrorError: There are too many.
        """
        if self.source is None:
            return {}
        SOURCE.check(connection, self.source)
        query = self.source.query(connection, "read_units")
        rows = connection.execute(query, {"limit": MAX_UNITS + 1}).fetchall()
        if len(rows) > MAX_UNITS:
            raise MirrorError(f"{self.source} has more than {MAX_UNITS:,} units: name a view of fewer")
        return dict(rows)

    def write(self, connection: "Connection", wanted: _Rows) -> None:
        """Replace the rows that carry a revision; the caller's transaction makes that atomic.

        Raises:
            DatabaseUnfitError: A table is missing, or a column or its key is.
        """
        has_units = self._has_units(connection)
        self._write(connection, self.name, {row: wanted[row] for row in wanted if not row[0]})
        if has_units:
            self._write(connection, self.name.of_units, {row: wanted[row] for row in wanted if row[0]})

    def read(self, connection: "Connection") -> _Rows:
        """Read the rows that carry a revision.

        Raises:
            DatabaseUnfitError: A table is missing, or a column or its key is.
        """
        has_units = self._has_units(connection)
        rows = connection.execute(self.name.query(connection, "read_base_values")).fetchall()
        if has_units:
            rows += connection.execute(self.name.of_units.query(connection, "read_unit_values")).fetchall()
        return {(unit, key): (value, revision) for unit, key, value, revision in rows}

    def _write(self, connection: "Connection", table: TableName, rows: _Rows) -> None:
        kind = "base" if table == self.name else "unit"
        parameters = {
            "units": [unit for unit, _ in rows],
            "keys": [key for _, key in rows],
            "values": [json_text(value) for value, _ in rows.values()],
            "revisions": [revision for _, revision in rows.values()],
        }
        connection.execute(table.query(connection, f"write_{kind}_values"), parameters)
        connection.execute(table.query(connection, f"remove_{kind}_values"), parameters)

    def _has_units(self, connection: "Connection") -> bool:
        """Check the tables; return whether there's one for units. Without units, its rows are removed."""
        BASE.check(connection, self.name)
        if self.source is None:
            return OF_UNITS.is_met(connection, self.name.of_units)
        OF_UNITS.check(connection, self.name.of_units)
        return True


class BaseTables:
    """Flags, and the table for each flag's base values.

    Args:
        options: `learning_config` has the targets, `units` the tables from which units are read.

    Raises:
        ConfigurationError: A target has no table or no class, two flags share a table, or a flag has units
            but no table.
    """

    def __init__(self, options: MirrorOptions) -> None:
        declarations = {
            each.__windsock__.declaration.flag: each.__windsock__.declaration for each in options.settings
        }
        sources = _sources(options.units, options.learning_config)
        self._readers: dict[BaseTable, BaseReader] = {}
        self._written: dict[BaseTable, _Rows] = {}
        self._look_at = -math.inf
        self._said = ""
        for target in options.learning_config:
            flag, colon, text = target.partition(":")
            if flag not in declarations:
                raise ConfigurationError(
                    f"--learning-config {target} needs the settings class that reads the flag {flag!r}, "
                    "because its code defaults count too: add --settings module:Class"
                )
            name = TableName.parse(text) if colon else DEFAULT
            if any(name == table.name for table in self._readers):
                raise ConfigurationError(
                    f"two flags cannot share the table {name}: give one a table of its own, as "
                    f"--learning-config {flag}:TABLE"
                )
            reader = BaseReader(declarations[flag], options.git_folder, options.environment)
            self._readers[BaseTable(name, sources.get(flag))] = reader

    def are_changed(self) -> bool:
        """Whether a file has changed since its values were read."""
        return any(reader.is_changed() for reader in self._readers.values())

    def write(self, source: Source) -> None:
        """Bring the tables up to date with the flags, and report rows changed by others.

        Raises:
            MirrorError: A table can't be written; the next call retries.
        """
        for table, reader in self._readers.items():
            wanted, wrong = self._compare(source, table, reader)
            if wanted is None:
                continue
            if not wrong:
                self._written[table] = wanted
                continue
            with source.asking_briefly() as connection:
                table.write(connection, wanted)
            if wanted == self._written.get(table):
                _log.warning(
                    "%s was changed by hand (%s) and has the flag's values again: change the flag instead",
                    table.name,
                    _named(wrong),
                )
            else:
                _log.info(
                    "%s has the values of the flag %s now: %s", table.name, reader.flag, _counted(wanted)
                )
            self._written[table] = wanted

    def follow(self, source: Source) -> None:
        """Write what changed; an unwritable table is reported once and doesn't hold up the documents."""
        began = time.monotonic()
        if began < self._look_at and not self.are_changed():
            return
        rest = _LOOK_SECONDS
        try:
            self.write(source)
        except MirrorError as error:
            if str(error) != self._said:
                _log.error("base values are not in SQL: %s", error)
            self._said = str(error)
        else:
            self._said = ""
            rest = max(rest, _RESTS * (time.monotonic() - began))
        self._look_at = time.monotonic() + rest

    def differences(self, source: Source) -> list[str]:
        """One line for each row that differs from the flags."""
        found = []
        for table, reader in self._readers.items():
            _, wrong = self._compare(source, table, reader)
            found += [f"{table.name}, {_name(row)}: differs from the flag {reader.flag}" for row in wrong]
        return found

    def _compare(
        self, source: Source, table: BaseTable, reader: BaseReader
    ) -> tuple[_Rows | None, Sequence[tuple[str, str]]]:
        """The expected rows (None if the flag has no values), and the rows that differ."""
        with source.asking_briefly() as connection:
            units = table.units(connection)
            stored = table.read(connection)
        base = reader.read(units)
        if base is None:
            return None, ()
        wanted = _rows(base)
        wrong = [row for row in sorted(wanted.keys() | stored.keys()) if wanted.get(row) != stored.get(row)]
        return wanted, wrong


def _rows(base: BaseValues) -> _Rows:
    rows = {("", key): (value, base.revision) for key, value in base.values.items()}
    for unit, values in base.units.items():
        rows |= {(unit, key): (value, base.revision) for key, value in values.items()}
    return rows


def _sources(units: Sequence[str], targets: Sequence[str]) -> dict[str, TableName]:
    """The units' source tables, by flag.

    Raises:
        ConfigurationError: An entry names no table, or names a flag without a table for its base values.
    """
    with_table = {target.partition(":")[0] for target in targets}
    sources = {}
    for each in units:
        flag, _, text = each.partition(":")
        if flag not in with_table:
            raise ConfigurationError(
                f"--units {each}: the values of units are written beside the flag's base values: add "
                f"--learning-config {flag}, or name another flag, as --units FLAG:TABLE"
            )
        sources[flag] = TableName.parse(text)
    return sources


def _named(rows: Sequence[tuple[str, str]]) -> str:
    shown = [f"{key} of {unit}" if unit else key for unit, key in rows[:_NAMED]]
    return ", ".join([*shown, f"{len(rows) - _NAMED} more"] if len(rows) > _NAMED else shown)


def _name(row: tuple[str, str]) -> str:
    unit, key = row
    return f"unit {unit}, key {key}" if unit else f"key {key}"


def _counted(rows: _Rows) -> str:
    units = {unit for unit, _ in rows if unit}
    return f"{sum(not unit for unit, _ in rows)} fields, and {len(units)} units that differ"
