"""Explains which units don't count, and which were served something other than their arm."""

from collections.abc import Iterator

from windsock.experiments.analysis import Analysis
from windsock.experiments.wording import metric_title


def left_out(analysis: Analysis) -> Iterator[str]:
    """Explain which units don't count, one sentence per reason."""
    exposed, experiment = analysis.collected.exposed, analysis.declared.experiment
    if exposed.crossed:
        yield f"{exposed.crossed:,} units were in two arms and count in none."
    for reason, units in sorted(exposed.excluded.items()):
        yield f"{units:,} units are excluded: {reason}."
    yield from _not_as_declared(analysis)
    if exposed.beyond:
        yield f"{exposed.beyond:,} units were exposed after the declared maximum."
    if exposed.later:
        yield f"{exposed.later:,} units were exposed after the time of this analysis: a clock is wrong."
    yield from _too_young(analysis)
    for version, units in sorted(exposed.other_versions.items()):
        if version != experiment.version:
            yield f"{units:,} units belong to version {version}, which is analysed on its own."
    for environment, units in sorted(exposed.other_environments.items()):
        if environment != analysis.collected.environment:
            yield f"{units:,} units were exposed in {environment}."


def _not_as_declared(analysis: Analysis) -> Iterator[str]:
    """Units that count although they were served something else, and what couldn't be checked."""
    exposed, experiment = analysis.collected.exposed, analysis.declared.experiment
    given = "another profile, or none," if experiment.are_profiles else "a profile"
    for arm, units in sorted(exposed.moved.items()):
        yield f"{units:,} units of {arm} had {given} after their first exposure; they still count in {arm}."
    if exposed.unchecked:
        tables = ", ".join(name.partition(".")[2] for name in exposed.unchecked)
        yield f"The data has no {tables}: whether arms were served as declared all the time wasn't checked."


def _too_young(analysis: Analysis) -> Iterator[str]:
    exposed = analysis.collected.exposed
    waiting = {
        name: exposed.total - sum(arm.sums.units for arm in arms.values())
        for name, arms in analysis.collected.metrics.items()
    }
    if waiting and max(waiting.values()):
        most = max(waiting, key=waiting.__getitem__)
        yield f"{waiting[most]:,} units are too young for {metric_title(most)}: its window has not passed."
