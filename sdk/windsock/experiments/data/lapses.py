"""When an arm wasn't served as declared, and how many units were affected.

A withdrawn value, or a deactivated or edited profile, silently turns a treatment into something else.
Units first exposed earlier aren't marked, so their windows are compared with the time of the change.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import ibis
import ibis.expr.types as ir

from windsock.experiments.data.sources import Scope, in_utc, with_columns
from windsock.experiments.data.warehouse import Row, Warehouse, utc
from windsock.experiments.documents import Experiment
from windsock.flag_names import EXPERIMENT as EXPERIMENT_FLAG
from windsock.settings.place import fingerprint

WITHDRAWALS: Final = "windsock.withdrawals"
ASSIGNMENTS: Final = "windsock.experiment_assignments"
PROFILES: Final = "windsock.profile_history"
TABLES: Final = (WITHDRAWALS, ASSIGNMENTS, PROFILES)


@dataclass(frozen=True, slots=True)
class Lapse:
    """A period in which an arm wasn't served as declared.

    Attributes:
        arm: The arm.
        what: What happened, as the end of a sentence.
        start: When it began.
        end: When it ended; None while it lasts.
    """

    arm: str
    what: str
    start: datetime
    end: datetime | None

    @property
    def sentence(self) -> str:
        """What happened, and when."""
        return f"{self.what} on {self.start:%Y-%m-%d at %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class ArmProfile:
    """A profile that is an arm.

    Attributes:
        config_id: The configuration's id.
        fields: The fields that at least one arm sets.
    """

    config_id: str
    fields: frozenset[str]


def profiles(warehouse: Warehouse, experiment: Experiment) -> dict[str, ArmProfile]:
    """Return the profile of each arm; empty if the arms aren't profiles."""
    if not experiment.are_profiles or (table := warehouse.find(ASSIGNMENTS)) is None:
        return {}
    table = with_columns(
        table, "experiment_assignments", "experiment", "version", "arm", "config_id", "fields"
    )
    chosen = table.filter(table.experiment == experiment.name, table.version == experiment.version)
    rows = warehouse.rows(chosen.select("arm", "config_id", "fields").distinct())
    return {str(row["arm"]): ArmProfile(str(row["config_id"]), _words(row["fields"])) for row in rows}


def lapses(warehouse: Warehouse, experiment: Experiment, arms: Mapping[str, ArmProfile]) -> Iterator[Lapse]:
    """Find every lapse of the experiment's arms, at any time.

    Args:
        warehouse: Where the tables are; a folder may lack them.
        experiment: The experiment.
        arms: From `profiles`.
    """
    yield from _withdrawn(warehouse, experiment, arms)
    if not arms or (table := warehouse.find(PROFILES)) is None:
        return
    table = with_columns(table, "profile_history", "config_id", "is_active", "changed")
    ids = {profile.config_id: arm for arm, profile in arms.items()}
    config_id = table.config_id.cast("string")
    rows = warehouse.rows(
        table.filter(config_id.isin(list(ids))).select(
            "is_active", "changed", config_id=config_id, at=in_utc(table, "changed_at", PROFILES)
        )
    )
    for found, arm in ids.items():
        yield from _changed(
            experiment, arm, arms[arm], sorted((r for r in rows if r["config_id"] == found), key=_at)
        )


def _withdrawn(
    warehouse: Warehouse, experiment: Experiment, arms: Mapping[str, ArmProfile]
) -> Iterator[Lapse]:
    table = warehouse.find(WITHDRAWALS)
    if table is None:
        return
    table = with_columns(table, "withdrawals", "flag", "variant", "field", "fingerprint")
    if experiment.are_profiles:
        chosen = table.filter(table.variant.isin([profile.config_id for profile in arms.values()] or [""]))
    else:
        flag = f"{experiment.flag}{EXPERIMENT_FLAG}"
        chosen = table.filter(table.flag == flag, table.variant.isin(list(experiment.arms)))
    times = {each: in_utc(chosen, each, WITHDRAWALS) for each in ("withdrawn_at", "expires_at", "lifted_at")}
    by_id = {profile.config_id: arm for arm, profile in arms.items()}
    for row in warehouse.rows(chosen.select("variant", "field", "fingerprint", **times)):
        arm = by_id.get(str(row["variant"]), str(row["variant"]))
        if _is_arms(experiment, arms, arm, row):
            end = min(utc(row[each]) for each in ("expires_at", "lifted_at") if row[each] is not None)
            yield Lapse(arm, f"{row['field']} of {arm} was withdrawn", utc(row["withdrawn_at"]), end)


def _is_arms(experiment: Experiment, arms: Mapping[str, ArmProfile], arm: str, row: Row) -> bool:
    """Whether a withdrawn value is the arm's; a different value belongs to another version."""
    if arm in arms:
        return row["field"] in arms[arm].fields
    value = experiment.arms.get(arm)
    name = str(row["field"])
    return isinstance(value, Mapping) and name in value and fingerprint(value[name]) == row["fingerprint"]


def _changed(experiment: Experiment, arm: str, profile: ArmProfile, rows: list[Row]) -> Iterator[Lapse]:
    """Deactivations, each until it ends, and edits, which only affect units exposed before them."""
    ended_at: datetime | None = None
    matters = profile.fields | {experiment.flag}
    named = f"the profile {experiment.arms.get(arm)} of {arm} was"
    for row in rows:
        if not row["is_active"]:
            ended_at = ended_at or utc(row["at"])
            continue
        if ended_at is not None:
            yield Lapse(arm, f"{named} deactivated", ended_at, utc(row["at"]))
            ended_at = None
        if edited := sorted(_words(row["changed"]) & matters):
            at = utc(row["at"])
            yield Lapse(arm, f"{named} edited ({', '.join(edited)})", at, at)
    if ended_at is not None:
        yield Lapse(arm, f"{named} deactivated", ended_at, None)


def affected_units(kept: ir.Table, found: list[Lapse], horizon: timedelta) -> ir.Table:
    """One row: for each lapse, by position, the number of units it affected while they counted.

    Args:
        kept: The units that count, from `analysed`.
        found: Lapses, at least one.
        horizon: How long a unit counts after its first exposure.
    """
    counts = {}
    for number, lapse in enumerate(found):
        in_it = (kept.arm == lapse.arm) & (kept.exposed_at > _literal(lapse.start - horizon))
        if lapse.end is not None:
            in_it &= kept.exposed_at < _literal(lapse.end)
        counts[f"lapse_{number}"] = in_it.ifelse(1, 0).sum()
    return kept.aggregate(**counts)


def units_served_otherwise(
    warehouse: Warehouse, scope: Scope, kept: ir.Table, arms: Mapping[str, ArmProfile], horizon: timedelta
) -> ir.Table | None:
    """Units of each arm that were served another profile while they counted; None if unknown."""
    logs = warehouse.find("public.usage_logs")
    if scope.experiment.unit != "user" or logs is None or "config_id" not in logs.columns:
        return None
    chosen = logs.filter(logs.environment == scope.environment, logs.flag == scope.experiment.flag)
    served = chosen.select(
        user=chosen.user_id.cast("string"),
        served=chosen.config_id.cast("string").fill_null(""),
        at=in_utc(chosen, "requested_at", "usage_logs"),
    )
    if not arms:
        served = served.filter(served.served != "")
    joined = kept.join(served, kept.unit == served.user)
    near = joined.filter(
        joined.at > joined.exposed_at,
        joined.at < joined.exposed_at + ibis.interval(seconds=round(horizon.total_seconds())),
    )
    if arms:
        own = ibis.cases(*((near.arm == arm, arms[arm].config_id) for arm in arms), else_="")
        near = near.filter(near.served != own)
    return near.group_by("arm").aggregate(units=near.unit.nunique())


def _at(row: Row) -> datetime:
    return utc(row["at"])


def _words(value: object) -> frozenset[str]:
    return frozenset(value.split() if isinstance(value, str) else map(str, value or ()))  # type: ignore[call-overload]


def _literal(moment: datetime) -> ir.Value:
    return ibis.literal(moment, type="timestamp('UTC')")
