"""A service's metrics for Prometheus and OpenTelemetry."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from openfeature import api
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.hook import Hook, HookContext, HookHints

from windsock.counts import FALLBACKS, HEALS, WITHDRAWALS
from windsock.runtime import health


@dataclass(frozen=True, slots=True)
class ServiceMetric:
    """One metric.

    Attributes:
        text: Its description.
        grows: Whether it's a total since the process started rather than a current value.
    """

    text: str
    grows: bool = False


METRICS: Final[Mapping[str, ServiceMetric]] = {
    "evaluations": ServiceMetric("Evaluations of flags, by reason", grows=True),
    "fallbacks": ServiceMetric(
        "Values that a class refused when settings were made, by flag and field", grows=True
    ),
    "heals": ServiceMetric(
        "Values that failed in use and were answered with another, by flag and field", grows=True
    ),
    "withdrawals": ServiceMetric(
        "Values withdrawn because they failed in use, by flag and field", grows=True
    ),
    "withdrawn": ServiceMetric("Values that are withdrawn now"),
    "ready": ServiceMetric("1 while a set of flags is loaded and serves"),
    "set.info": ServiceMetric("1, with the revision of the set that serves, the provider and its status"),
    "set.age.seconds": ServiceMetric("Seconds since the set began to serve"),
    "set.stale": ServiceMetric("1 while a newer set could not be taken"),
    "set.problems": ServiceMetric("Flags that can't be served as they are written"),
    "usage.queued": ServiceMetric("Usage rows that wait in memory"),
    "usage.written": ServiceMetric("Usage rows stored", grows=True),
    "usage.spooled": ServiceMetric(
        "Usage rows written to disk, because the sink was down or slow", grows=True
    ),
    "usage.replayed": ServiceMetric("Usage rows read back from disk and stored", grows=True),
    "usage.refused": ServiceMetric("Usage rows that the sink can never store", grows=True),
    "usage.dropped": ServiceMetric("Usage rows lost", grows=True),
}
"""Every metric by its name after the ``windsock`` prefix; durations are in seconds."""

Values: TypeAlias = list[tuple[Mapping[str, str], float]]
"""A metric's values, each with its distinguishing labels."""


class EvaluationCounter(Hook):
    """Counts evaluations by reason. It's a hook, because reads without hooks can't be counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: Counter[str] = Counter()

    def finally_after(
        self,
        hook_context: HookContext,  # noqa: ARG002 - the hook's signature
        details: FlagEvaluationDetails[Any],
        hints: HookHints,  # noqa: ARG002 - the hook's signature
    ) -> None:
        """Count one."""
        reason = str(details.reason or "UNKNOWN").lower()
        with self._lock:
            self._reasons[reason] += 1

    @property
    def reasons(self) -> Mapping[str, int]:
        """Evaluations so far, by reason."""
        with self._lock:
            return dict(self._reasons)


def counting() -> EvaluationCounter:
    """Register the counter with OpenFeature, once per process."""
    known = next((each for each in api.get_hooks() if isinstance(each, EvaluationCounter)), None)
    if known is None:
        known = EvaluationCounter()
        api.add_hooks([known])
    return known


def measured(counter: EvaluationCounter) -> dict[str, Values]:
    """The current values of every metric in `METRICS`; empty if nothing was counted or recorded."""
    counts = {"fallbacks": FALLBACKS, "heals": HEALS, "withdrawals": WITHDRAWALS}
    found: dict[str, Values] = {
        "evaluations": [({"reason": reason}, count) for reason, count in counter.reasons.items()],
        **{
            name: [({"flag": flag, "field": field}, count) for (flag, field), count in each.copy().items()]
            for name, each in counts.items()
        },
    }
    now = health()
    serving = {"revision": now.revision, "provider": now.provider, "status": now.status}
    found["set.info"] = [(serving, 1)]
    current = {
        "withdrawn": len(now.withdrawn),
        "ready": now.ready,
        "set.age.seconds": now.age,
        "set.stale": bool(now.stale),
        "set.problems": len(now.problems),
    }
    if now.usage is not None:
        current |= {
            name: getattr(now.usage, name.removeprefix("usage.")) for name in METRICS if name[:6] == "usage."
        }
    return found | {name: [({}, value)] for name, value in current.items()}
