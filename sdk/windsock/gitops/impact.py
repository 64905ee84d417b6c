"""Exactly who moves when flags change: every user of a population, evaluated before and after.

A rule on the time moves users later, so a change is evaluated now and at each later moment that it names.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from windsock.evaluator import CompiledFlag, Outcome
from windsock.flag_names import EXPERIMENT
from windsock.flags import Flag, FlagSet
from windsock.flags.model import same_json
from windsock.gitops.changes import changed_keys
from windsock.gitops.moments import moments
from windsock.gitops.population import SAMPLES, Alike, Context, Population
from windsock.gitops.who import asks_who


class PlanEffect(StrEnum):
    """What a change does to users, from harmless to harmful."""

    SAFE = "safe"
    MOVES = "moves users"
    RESHUFFLES = "reshuffles"
    BREAKING = "breaking"


@dataclass(frozen=True, slots=True)
class Move:
    """Users who get something other than before.

    Attributes:
        before: Their variant before; None for the code default.
        after: Their variant now.
        reason: Why they get it now: OpenFeature's reason, or ``REMOVED``.
        users: How many.
        samples: The first of them.
    """

    before: str | None
    after: str | None
    reason: str
    users: int
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Later:
    """The effect of a change from a later moment until the next one.

    Attributes:
        at: The moment, Unix seconds.
        moves: The groups that get something other than they would without the change, largest first.
    """

    at: int
    moves: tuple[Move, ...]

    @property
    def moved(self) -> int:
        """How many users get something else."""
        return sum(move.users for move in self.moves)


@dataclass(frozen=True, slots=True)
class Impact:
    """The effect of one flag's change on the population.

    Attributes:
        flag: The flag's key.
        effect: The class of the change: the worst of now and later.
        population: How many users were evaluated.
        moves: The groups that get something else at the moment of the plan, largest first.
        lost: How many users of a running experiment lose their arm, now or later.
        misfits: Why declared settings classes refuse what the flag gives now.
        later: What changes later, because of rules on the time.
        open_ended: Whether the rule computes with the time, so that later moves can't be predicted.
    """

    flag: str
    effect: PlanEffect
    population: int
    moves: tuple[Move, ...] = ()
    lost: int = 0
    misfits: tuple[str, ...] = ()
    later: tuple[Later, ...] = ()
    open_ended: bool = False

    @property
    def moved(self) -> int:
        """How many users get something else at the moment of the plan."""
        return sum(move.users for move in self.moves)

    @property
    def most_moved(self) -> int:
        """The largest number of users who get something else at any one moment."""
        return max((self.moved, *(stage.moved for stage in self.later)))

    @property
    def share(self) -> float:
        """The share of the population that gets something else at the moment of the plan, 0 to 1."""
        return self.share_of(self.moved)

    def share_of(self, users: int) -> float:
        """A number of users as a share of the population, 0 to 1."""
        return users / self.population if self.population else 0.0


@dataclass(frozen=True, slots=True)
class Moved:
    """One user who gets something else from one flag."""

    flag: str
    user: str
    before: str | None
    after: str | None
    reason: str


def impacts(
    before: FlagSet,
    after: FlagSet,
    population: Population,
    *,
    at: float,
    on_moved: Callable[[Moved], None] | None = None,
) -> tuple[Impact, ...]:
    """Evaluate every changed flag for every user, before and after, now and at each moment its rules name.

    Args:
        before: The flags served now.
        after: The flags after the change.
        population: The users.
        at: Unix seconds that rules see as ``$flagd.timestamp`` now.
        on_moved: Called with each user who gets something else now.
    """
    changed = [
        _Changed(key, before.flags.get(key), after.flags.get(key), at) for key in changed_keys(before, after)
    ]
    if population.alike is not None and on_moved is None and not any(each.asks_who for each in changed):
        for group in population.alike:
            for each in changed:
                each.count_alike(group)
        total = sum(group.users for group in population.alike)
        return tuple(each.impact(total) for each in changed)
    total = 0
    for contexts in population.batches() if changed else ():
        total += len(contexts)
        for each in changed:
            each.count(contexts, on_moved)
    return tuple(each.impact(total) for each in changed)


_Served = tuple[Outcome | None, Outcome | None]


@dataclass(slots=True)
class _Group:
    users: int = 0
    samples: list[str] = field(default_factory=list)


class _Changed:
    """One flag before and after, at each moment that counts."""

    def __init__(self, key: str, before: Flag | None, after: Flag | None, at: float) -> None:
        self._key = key
        self.asks_who = any(asks_who(flag.targeting) for flag in (before, after) if flag is not None)
        self._moments = moments((before, after), at)
        self._now = _Pair(key, before, after, at)
        self._later = {when: _Pair(key, before, after, when) for when in self._moments.times}

    def count(self, contexts: Sequence[Context], on_moved: Callable[[Moved], None] | None) -> None:
        """Evaluate a batch."""
        self._now.count(contexts, on_moved)
        for pair in self._later.values():
            pair.count(contexts, None)

    def count_alike(self, group: Alike) -> None:
        """Evaluate users who all get the same."""
        for pair in (self._now, *self._later.values()):
            pair.count_alike(group)

    def impact(self, total: int) -> Impact:
        """The counts as an impact; moments that change nothing are left out."""
        now = self._now.moves()
        stages: list[Later] = []
        for when, pair in self._later.items():
            moves = pair.moves()
            if moves != (stages[-1].moves if stages else now):
                stages.append(Later(when, moves))
        every = [now, *(stage.moves for stage in stages)]
        order = list(PlanEffect)
        effect = max(map(_effect, every), key=order.index)
        if self._moments.computed:
            effect = max(effect, PlanEffect.MOVES, key=order.index)
        lost = max(map(self._now.lost_arms, every))
        return Impact(
            self._key, effect, total, now, lost, later=tuple(stages), open_ended=self._moments.computed
        )


class _Pair:
    """One flag before and after, at one moment."""

    def __init__(self, key: str, before: Flag | None, after: Flag | None, at: float) -> None:
        self._key = key
        self._before, self._after = before, after
        self._old, self._new = _evaluator(before, at), _evaluator(after, at)
        self._differs: dict[_Served, bool] = {}
        self._groups: dict[tuple[str | None, str | None, str], _Group] = {}

    def count(self, contexts: Sequence[Context], on_moved: Callable[[Moved], None] | None) -> None:
        """Evaluate a batch. Outcomes are shared objects, so pairs of outcomes are counted, not users."""
        old, new = list(map(self._old, contexts)), list(map(self._new, contexts))
        for pair, users in Counter(zip(old, new, strict=True)).items():
            if not self._moves(pair):
                continue
            group = self._groups.setdefault(_ends(pair), _Group())
            group.users += users
            if on_moved is not None or len(group.samples) < SAMPLES:
                for index, each in enumerate(zip(old, new, strict=True)):
                    if each == pair:
                        user = str(contexts[index].get("targetingKey", ""))
                        if len(group.samples) < SAMPLES:
                            group.samples.append(user)
                        elif on_moved is None:
                            break
                        if on_moved is not None:
                            on_moved(Moved(self._key, user, *_ends(pair)))

    def count_alike(self, alike: Alike) -> None:
        """Evaluate one user for all who are alike."""
        pair = self._old(alike.context), self._new(alike.context)
        if self._moves(pair):
            group = self._groups.setdefault(_ends(pair), _Group())
            group.users += alike.users
            group.samples += alike.samples[: SAMPLES - len(group.samples)]

    def _moves(self, pair: _Served) -> bool:
        old, new = pair
        if (old is None or old.error_code is not None) or (new is None or new.error_code is not None):
            return _variant(old) != _variant(new)  # each user's error is a new object, so it isn't kept
        if pair not in self._differs:
            self._differs[pair] = not same_json(old.value, new.value) or old.variant != new.variant
        return self._differs[pair]

    def moves(self) -> tuple[Move, ...]:
        """What was counted."""
        return tuple(
            Move(old, new, reason, group.users, tuple(group.samples))
            for (old, new, reason), group in sorted(
                self._groups.items(), key=lambda item: (-item[1].users, str(item[0]))
            )
        )

    def lost_arms(self, moves: Sequence[Move]) -> int:
        """How many users of a running experiment lose their arm by moves."""
        flag = self._before
        if flag is None or not self._key.endswith(EXPERIMENT):
            return 0
        # a flag that is off or has no targeting serves only its default, so no user loses an arm
        none = (None, flag.default_variant)
        return sum(move.users for move in moves if move.before not in none and move.before != move.after)


def _evaluator(flag: Flag | None, at: float) -> Callable[[Context], Outcome | None]:
    if flag is None:
        return lambda _: None
    return CompiledFlag(flag, clock=lambda: at).evaluate


def _variant(outcome: Outcome | None) -> str | None:
    return None if outcome is None else outcome.variant


def _ends(pair: _Served) -> tuple[str | None, str | None, str]:
    """Variant before, variant after, and why."""
    old, new = pair
    return _variant(old), _variant(new), "REMOVED" if new is None else str(new.reason)


def _effect(moves: Sequence[Move]) -> PlanEffect:
    """Whether some variant both gains and loses users: users are swapped, not only added."""
    won, lost = Counter[str | None](), Counter[str | None]()
    for move in moves:
        if move.before != move.after:
            lost[move.before] += move.users
            won[move.after] += move.users
    if won.keys() & lost.keys():
        return PlanEffect.RESHUFFLES
    return PlanEffect.MOVES if moves else PlanEffect.SAFE
