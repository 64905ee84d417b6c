"""What a settings class makes of its code defaults and its base flag alone, for the table that SQL reads."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from windsock.errors import FlagFileError
from windsock.evaluator import FlagEvaluator
from windsock.flag_names import SUFFIXES
from windsock.flags import JsonValue, merge, read_document
from windsock.settings.declaration import Declaration
from windsock.settings.falling import resolve
from windsock.settings.layers import Layer, Origin

_log = logging.getLogger("windsock.mirror")

_Signature = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class BaseValues:
    """What a settings class resolves to for one environment, without any user.

    Attributes:
        values: Every field but the secret ones, as JSON.
        revision: The revision of the file that defines the flag.
    """

    values: Mapping[str, JsonValue]
    revision: str


class BaseReader:
    """Reads the base values of one class, again whenever a file of the folder changed.

    They are what the class makes of its code defaults and the base flag, validated and typed, and nothing of
    this process's variables: what services read that set no variable.

    Args:
        declaration: The settings class. Its flag's key is readable as `flag`.
        folder: The folder of Git's flag files.
        environment: The value of the context's ``environment``.
    """

    def __init__(self, declaration: Declaration, folder: Path, environment: str) -> None:
        self.flag = declaration.flag
        self._declaration = declaration
        self._folder = folder
        self._environment = environment
        self._seen: list[tuple[Path, _Signature]] | None = None

    def read_if_changed(self) -> BaseValues | None:
        """The values, if a file changed since the last call; None if they can't be read."""
        seen = self._look()
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            return self._evaluate([path for path, _ in seen])
        except (FlagFileError, OSError) as error:
            _log.error("the base values of %s in SQL stay as they are: %s", self.flag, error)
            return None

    def is_changed(self) -> bool:
        """Whether a file changed since the last reading."""
        return self._look() != self._seen

    def _look(self) -> list[tuple[Path, _Signature]]:
        paths = sorted(path for path in self._folder.glob("*.flagd.*") if path.name.endswith(SUFFIXES))
        return [(path, _signature(path)) for path in paths]

    def forget(self) -> None:
        """Take the files as changed: what was read was not written."""
        self._seen = None

    def _evaluate(self, paths: list[Path]) -> BaseValues | None:
        documents = [read_document(path.read_bytes(), str(path)) for path in paths]
        evaluator = FlagEvaluator()
        evaluator.load(merge(documents))
        compiled = evaluator.compiled.get(self.flag)
        outcome = compiled.evaluate({"environment": self._environment}) if compiled else None
        if compiled is None or outcome is None or not isinstance(outcome.value, dict):
            why = outcome.reason if outcome else "no such flag"
            _log.error(
                "%s: the flag %s has no base values (%s); SQL keeps what it has",
                self._folder,
                self.flag,
                why,
            )
            return None
        values = self._resolve(outcome.value, outcome.variant)
        revisions = {document.source: document.revision for document in documents}
        return None if values is None else BaseValues(values, revisions[compiled.flag.source])

    def _resolve(self, said: Mapping[str, JsonValue], variant: str | None) -> Mapping[str, JsonValue] | None:
        """Lay the base over the code defaults; None when the class refuses a part of it."""
        layer = Layer(Origin("base", self.flag, variant), said)
        name = self._declaration.settings_class.__name__
        try:
            resolved = resolve(self._declaration, [layer])
        except Exception as error:  # noqa: BLE001 - a class's own validators may raise anything
            refusals = f"{name}: {' '.join(str(error).split())}"
        else:
            refusals = "; ".join(
                f"{name}.{'.'.join(each.path)}: {each.message}" for each in resolved.refusals
            )
        if refusals:
            _log.error(
                "%s: the flag %s does not fit (%s); SQL keeps what it has", self._folder, self.flag, refusals
            )
            return None
        shown = {each for each in resolved.values if not self._declaration.is_secret((each,))}
        values: dict[str, JsonValue] = resolved.instance.model_dump(mode="json", include=shown)
        return values


def _signature(path: Path) -> _Signature:
    try:
        status = os.stat(path)  # noqa: PTH116 - one call, and None if the file is gone by now
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
