"""The flags of a settings class, prepared: only the rules that tell users apart are called for each."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from windsock.evaluator.outcome import Outcome, Rule
from windsock.providers.base import Serving
from windsock.settings.given import Given, Outcomes

Chosen: TypeAlias = Outcome | Outcomes
"""What tells users apart: the outcome of the one rule that does, else all three outcomes."""

Choose: TypeAlias = Callable[[Mapping[str, object]], Chosen]

_GIVEN_MAX = 65_536


class Prepared:
    """One set of flags, and what it has given the users of one settings class.

    A flag gives all users the same if it has no rule, or one that only asks for the environment. Most classes
    have one flag besides, that of the profile, and its outcome alone says what a user is given.

    Args:
        compiled: The set.
        serving: What is known of it.
        environment: The deployment's.
        epoch: The process's epoch; what was given in another one no longer counts.
        flags: The base, the experiment and the profile flag; the outcome of one that the set lacks.

    Attributes:
        compiled: As given.
        serving: As given.
        environment: As given.
        epoch: As given.
        choose: From the context of a user in this environment to what tells users apart; raises as rules do.
        given: What was given, by what `choose` gave.
    """

    __slots__ = ("_common", "choose", "compiled", "environment", "epoch", "given", "serving")

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
        self.given: dict[Chosen, Given] = {}
        self._common = [_common(flag, environment) for flag in flags]
        telling = [flag for flag in flags if _common(flag, environment) is None]
        self.choose: Choose = _rule(telling[0]) if len(telling) == 1 else _all_of(flags)

    def keep(self, chosen: Chosen, given: Given) -> None:
        """Return the same from now on."""
        if len(self.given) >= _GIVEN_MAX:
            self.given.clear()
        self.given[chosen] = given

    def outcomes(self, chosen: Chosen) -> Outcomes:
        """What the three flags gave where `choose` gave this."""
        if isinstance(chosen, tuple):
            return chosen
        base, experiment, profile = (chosen if common is None else common for common in self._common)
        return base, experiment, profile


def _common(flag: Rule | Outcome, environment: str) -> Outcome | None:
    """What a flag gives all users in an environment; None where users differ."""
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
