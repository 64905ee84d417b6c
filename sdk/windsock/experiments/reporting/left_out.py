"""Explains which units don't count, and which were served something other than their arm."""

from collections.abc import Iterator
from datetime import datetime

from windsock.experiments.analysis import Analysis
from windsock.experiments.data.newest import source_name
from windsock.experiments.wording import metric_title
from windsock.text import count


def left_out(analysis: Analysis) -> Iterator[str]:
    """Explain which units don't count, one sentence per reason."""
    exposed, experiment = analysis.collected.exposed, analysis.declared.experiment
    yield from data_end(analysis)
    if exposed.crossed:
        yield f"{count(exposed.crossed, 'unit')} in two arms, counted in none."
    for reason, units in sorted(exposed.excluded.items()):
        yield f"{count(units, 'unit')} excluded: {reason}."
    yield from _not_as_declared(analysis)
    if exposed.beyond:
        yield f"{count(exposed.beyond, 'unit')} exposed after the declared maximum."
    if exposed.later:
        yield f"{count(exposed.later, 'unit')} exposed after the time of this analysis: a clock is wrong."
    yield from _too_young(analysis)
    if unread := analysis.collected.since.unread:
        yield f"Recorded looks were not compared, so a changed declaration would go unnoticed: {unread}."
    for version, units in sorted(exposed.other_versions.items()):
        if version != experiment.version:
            yield f"{count(units, 'unit')} in version {version}, which is analysed on its own."
    for environment, units in sorted(exposed.other_environments.items()):
        if environment != analysis.collected.environment:
            yield f"{count(units, 'unit')} exposed in {environment}."


def data_end(analysis: Analysis) -> Iterator[str]:
    """Where data that isn't live ends, if the analysis is of that time or later; which source ends early."""
    end, now = analysis.collected.end, analysis.collected.now
    if (quiet := analysis.collected.quiet_since) is not None:
        yield (
            f"The newest request or event is of {quiet:%Y-%m-%d %H:%M} UTC. If this database is a copy, "
            f"units that matured since then count with zeros: analyse it as of then, "
            f"on the command line with --at {quiet:%Y-%m-%dT%H:%MZ}."
        )
    if end is None:
        return
    yield from _ends_early(analysis, min(end, now))
    if now < end:
        return
    ending = f"The data ends on {end:%Y-%m-%d %H:%M} UTC, its newest row"
    if now == end:
        yield f"{ending}: units mature until then."
    else:
        yield (
            f"{ending}. Units that matured after it, until {now:%Y-%m-%d %H:%M} UTC, count with zeros where "
            "rows are missing; on the command line without --at, units mature until the newest row."
        )


def _ends_early(analysis: Analysis, end: datetime) -> Iterator[str]:
    """The sources that end a metric's window or more before the others."""
    metrics = analysis.declared.metrics
    for source, newest in analysis.collected.newest.items():
        zeros = [
            metric_title(name)
            for name in analysis.collected.metrics
            if source_name(name, metrics[name]) == source and newest + metrics[name].window <= end
        ]
        if zeros:
            yield (
                f"{source} ends on {newest:%Y-%m-%d %H:%M} UTC: units whose window began after it count with "
                f"zeros in {', '.join(zeros)}. If its export is older than the others', export it again."
            )


def _not_as_declared(analysis: Analysis) -> Iterator[str]:
    """Units that count although they were served something else, and what couldn't be checked."""
    exposed, experiment = analysis.collected.exposed, analysis.declared.experiment
    given = "another profile, or none," if experiment.are_profiles else "a profile"
    for arm, units in sorted(exposed.moved.items()):
        whose = f"{count(units, 'unit')} of {arm}"
        yield f"{whose} had {given} after the first exposure, counted in {arm} all the same."
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
        yield f"{count(waiting[most], 'unit')} too young for {metric_title(most)}: its window has not passed."
