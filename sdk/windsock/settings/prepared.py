"""A settings class's flags, prepared so that only rules that distinguish users run per call."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from windsock.evaluator.outcome import Outcome, Rule
from windsock.providers.base import Serving
from windsock.settings.resolution import Outcomes, ServedResolution

Chosen: TypeAlias = Outcome | Outcomes
"""What distinguishes users: the outcome of the only rule that does, else all three outcomes."""

Choose: TypeAlias = Callable[[Mapping[str, object]], Chosen]

_SERVED_MAX = 65_536


class Prepared:
    """A set of flags, and what users of one settings class have got from it.

    A flag gives all users the same result if it has no rule, or one that only reads the environment. Most
    classes have only one other flag, the profile's, and its outcome alone determines what a user gets.

    Args:
        compiled: The set.
        serving: What's known about the set.
        environment: The deployment's environment.
        epoch: The process's epoch; results from another epoch no longer count.
        flags: The base, experiment and profile flags; for a flag that the set lacks, its outcome.

    Attributes:
        compiled: As given.
        serving: As given.
        environment: As given.
        epoch: As given.
        choose: Maps a user's context in this environment to what distinguishes users; raises as rules do.
        served: What users got, by the result of `choose`.
    """

    __slots__ = ("_common", "choose", "compiled", "environment", "epoch", "served", "serving")

    def __init__(
        self,
        compiled: Mapping[str, Rule],
        serving: Serving | None,
        environment: str,
        epoch: object,
        flags: Sequence[Rule | Outcome],
    ) -> None:
        self.compiled = compiled
        self.serving = serving
        self.environment = environment
        self.epoch = epoch
        self.served: dict[Chosen, ServedResolution] = {}
        self._common = [_common(flag, environment) for flag in flags]
        telling = [flag for flag in flags if _common(flag, environment) is None]
        self.choose: Choose = _rule(telling[0]) if len(telling) == 1 else _all_of(flags)

    def keep(self, chosen: Chosen, served: ServedResolution) -> None:
        """Return this result for the same choice from now on."""
        if len(self.served) >= _SERVED_MAX:
            self.served.clear()
        self.served[chosen] = served

    def outcomes(self, chosen: Chosen) -> Outcomes:
        """The outcomes of the three flags for a result of `choose`."""
        if isinstance(chosen, tuple):
            return chosen
        base, experiment, profile = (chosen if common is None else common for common in self._common)
        return base, experiment, profile


def _common(flag: Rule | Outcome, environment: str) -> Outcome | None:
    """A flag's outcome for all users in an environment; None if users differ."""
    if isinstance(flag, Outcome):
        return flag
    if flag.decided_by == "environment":
        return flag.evaluate({"environment": environment})
    return flag.constant


def _rule(flag: Rule | Outcome) -> Callable[[Mapping[str, object]], Outcome]:
    return (lambda _: flag) if isinstance(flag, Outcome) else flag.rule


def _all_of(flags: Sequence[Rule | Outcome]) -> Choose:
    base, experiment, profile = map(_rule, flags)
    return lambda context: (base(context), experiment(context), profile(context))
