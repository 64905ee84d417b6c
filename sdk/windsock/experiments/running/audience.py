"""Who is in an experiment's audience if the arms are profiles: the rule reads columns of `profiles`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from windsock.errors import ConfigurationError
from windsock.evaluator.compiled import CompiledFlag
from windsock.evaluator.membership import attribute_name
from windsock.experiments.documents import Experiment
from windsock.flags import Flag, JsonValue

if TYPE_CHECKING:
    import psycopg

_COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_IN, _OUT = "in", "out"
_USER: Final = "targetingKey"


@dataclass(frozen=True, slots=True)
class Audience:
    """A rule about users, and the columns of `profiles` that it reads.

    Attributes:
        columns: The columns, besides the id.
    """

    columns: tuple[str, ...] = ()
    _rule: CompiledFlag | None = None

    def includes(self, user: str, attributes: Mapping[str, JsonValue]) -> bool:
        """Whether a user is in the audience.

        Args:
            user: The id.
            attributes: The values of `columns`; one that is NULL is left out.
        """
        return self._rule is None or self._rule.evaluate({**attributes, _USER: user}).variant == _IN

    def selected(self, connection: "psycopg.Connection[tuple[Any, ...]]") -> bytes:
        """The columns as one JSON object, in SQL."""
        from psycopg import sql  # noqa: PLC0415 - an extra

        pairs = [sql.SQL("{}, {}").format(sql.Literal(each), sql.Identifier(each)) for each in self.columns]
        return (
            sql.SQL("jsonb_strip_nulls(jsonb_build_object({}))")
            .format(sql.SQL(", ").join(pairs))
            .as_bytes(connection)
        )


def audience(experiment: Experiment, readable: Mapping[str, bool]) -> Audience:
    """Compile an experiment's audience.

    Args:
        experiment: The document.
        readable: The columns of `profiles`, and whether this role may read each.

    Raises:
        ConfigurationError: The rule reads an unknown column of `profiles`, or one that may not be read.
    """
    if experiment.audience is None:
        return Audience()
    names = {name for name in _reads(experiment.audience, experiment) if name != _USER}
    if unknown := sorted(name for name in names if name not in readable or not _COLUMN.fullmatch(name)):
        raise ConfigurationError(
            f"{experiment.name}: the audience reads {', '.join(unknown)}, which isn't a column of profiles; "
            "where the arms are profiles, users are all that is known before a request"
        )
    if hidden := sorted(name for name in names if not readable[name]):
        raise ConfigurationError(
            f"{experiment.name}: the audience reads {', '.join(hidden)}, which this role may not: run "
            f"`grant select ({', '.join(hidden)}) on public.profiles to windsock_assigner`"
        )
    rule: JsonValue = {"if": [experiment.audience, _IN, _OUT]}
    flag = Flag(experiment.flag, enabled=True, variants={_IN: True, _OUT: False}, default_variant=_OUT,
                targeting=rule, metadata={})  # fmt: skip
    return Audience(tuple(sorted(names)), CompiledFlag(flag))


def _reads(rule: JsonValue, experiment: Experiment) -> Iterator[str]:
    """The attributes that a rule reads."""
    if isinstance(rule, list):
        for each in rule:
            yield from _reads(each, experiment)
    elif isinstance(rule, dict):
        for operator, arguments in rule.items():
            if operator in ("missing", "missing_some", "$ref", "fractional"):
                raise ConfigurationError(
                    f"{experiment.name}: the audience has {operator!r}, which can't be used where the arms "
                    "are profiles; compare columns of profiles"
                )
            if operator != "var":
                yield from _reads(arguments, experiment)
            elif (name := attribute_name({"var": arguments})) is not None:
                yield name
            else:
                raise ConfigurationError(
                    f"{experiment.name}: the audience reads {arguments!r}; where the arms are profiles, "
                    "`var` names a column of profiles"
                )
