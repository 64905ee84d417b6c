"""A rollout over time: a rule on ``$flagd.timestamp`` in which every step keeps the users of earlier steps.

The share that gets the variant is the first bucket of a ``fractional``, from 0 up to the weight; a larger
weight makes that bucket longer without moving any of its users.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Final

from windsock.durations import seconds_of
from windsock.errors import ConfigurationError
from windsock.flagfiles.editing import served_file, with_targeting
from windsock.flagfiles.files import read_files, replace_plain_file
from windsock.flagfiles.sets import flag_of, flag_set
from windsock.flags import Flag, JsonValue
from windsock.flags.words import LAST_SECOND, rule_in_words

_STEPS: Final = (1, 5, 10, 25, 50)


@dataclass(frozen=True, slots=True)
class Rollout:
    """What is rolled out.

    Attributes:
        variant: The variant that users are added to.
        otherwise: The variant of everybody else.
        steps: Percentages of users, rising, each above 0 and at most 100.
        every: Seconds from one step to the next.
        start: Unix seconds at which the first step begins.
    """

    variant: str
    otherwise: str
    steps: tuple[int, ...]
    every: int
    start: int

    def schedule(self) -> Iterator[tuple[int, int]]:
        """Each step's percentage, and the Unix seconds at which it begins."""
        for number, share in enumerate(self.steps):
            yield share, self.start + number * self.every


def parse_steps(text: str, to: int | None) -> tuple[int, ...]:
    """Read ``1,5,10,25,50``.

    Raises:
        ConfigurationError: A step isn't a whole percentage, doesn't rise, or the last one is not ``to``.
    """
    try:
        steps = tuple(int(part.strip().removesuffix("%")) for part in text.split(","))
    except ValueError:
        raise ConfigurationError(f"{text!r}: steps are whole percentages, such as 1,5,10,25,50") from None
    if not all(0 < step <= 100 for step in steps) or any(later <= step for step, later in pairwise(steps)):
        raise ConfigurationError(
            f"{text!r}: steps must rise from above 0 to at most 100, or users would be taken away"
        )
    if to is not None and steps[-1] != to:
        raise ConfigurationError(
            f"the last step is {steps[-1]} %, not the {to} % of --to; make them the same"
        )
    return steps


def default_steps(to: int | None) -> tuple[int, ...]:
    """The usual steps, ending at the percentage ``to``, or at 100 without one."""
    last = 100 if to is None else to
    return (*(step for step in _STEPS if step < last), last)


def other_variant(flag: Flag, variant: str) -> str:
    """The variant of users who don't get `variant`: the flag's default, or its only other variant.

    Raises:
        ConfigurationError: There are several others, or none.
    """
    if flag.default_variant is not None and flag.default_variant != variant:
        return flag.default_variant
    others = [name for name in flag.variants if name != variant]
    if len(others) != 1:
        raise ConfigurationError(f"flag {flag.key!r}: name the variant of the other users with --otherwise")
    return others[0]


def parse_duration(text: str) -> int:
    """Read ``30m``, ``6h``, ``1d`` or ``2w`` as seconds.

    Raises:
        ConfigurationError: It is something else.
    """
    seconds = seconds_of(text)
    if not seconds:
        raise ConfigurationError(f"{text!r} isn't a duration; write a number and m, h, d or w, such as 1d")
    return seconds


def rule_for(flag: Flag, rollout: Rollout, now: int) -> JsonValue:
    """Return the flag's rule, with the rollout for the users that match no condition.

    Raises:
        ConfigurationError: A variant is unknown, the rollout would replace a rule or take users away, or a
            step has no date.
    """
    for name in (rollout.variant, rollout.otherwise):
        if name not in flag.variants:
            raise ConfigurationError(
                f"flag {flag.key!r} has no variant {name!r}; it has {', '.join(flag.variants)}: "
                "name two with --variant and --otherwise"
            )
    if rollout.variant == rollout.otherwise:
        raise ConfigurationError("a rollout needs two variants; name the other with --otherwise")
    *_, (_, last) = rollout.schedule()
    if last > LAST_SECOND:
        raise ConfigurationError("the last step would begin after the year 9999; make --every shorter")
    return _replaced(flag, flag.targeting, rollout, now)


def _replaced(flag: Flag, rule: JsonValue, rollout: Rollout, now: int) -> JsonValue:
    share = _share(flag, rule, rollout, now)
    if share is not None:
        if rollout.steps[0] < share or (rollout.start > now and share > 0):
            remedy = f"start now, with a first step of at least {share}"
            if flag.default_variant == rollout.variant:
                remedy = "make another variant the default first"
            raise ConfigurationError(
                f"flag {flag.key!r}: {share} % have {rollout.variant!r} already, and this would take "
                f"it from some; {remedy}"
            )
        return _steps(rollout)
    if isinstance(rule, Mapping) and len(rule) == 1 and isinstance(rule.get("if"), list):
        clauses = list(rule["if"])  # type: ignore[arg-type]
        otherwise = clauses.pop() if len(clauses) % 2 else None
        return {"if": [*clauses, _replaced(flag, otherwise, rollout, now)]}
    raise ConfigurationError(
        f"flag {flag.key!r}: its rule ends in something that is not a split of {rollout.variant!r} and "
        f"{rollout.otherwise!r}, which the rollout would replace; take that out of the rule first"
    )


def _share(flag: Flag, rule: JsonValue, rollout: Rollout, now: int) -> int | None:
    """The percentage that gets the variant at this end of the rule now; None for any other kind of end."""
    if rule is None:
        rule = flag.default_variant
    if rule in (rollout.otherwise, None):
        return 0
    if rule == rollout.variant:
        return 100
    stages = _stages(rule, rollout)
    if stages is not None:
        return next((share for until, share in stages if until is None or now < until), 0)
    return _split(rule, rollout)


def _split(rule: JsonValue, rollout: Rollout) -> int | None:
    """The variant's share of a plain split that lists it first and adds up to 100."""
    buckets = rule.get("fractional") if isinstance(rule, Mapping) and len(rule) == 1 else None
    if isinstance(buckets, list) and len(buckets) == 2:
        first, second = buckets
        if isinstance(first, list) and isinstance(second, list) and len(first) == len(second) == 2:
            names, weights = [first[0], second[0]], [first[1], second[1]]
            if names == [rollout.variant, rollout.otherwise] and all(type(each) is int for each in weights):
                return weights[0] if sum(weights) == 100 else None
    return None


def _stages(rule: JsonValue, rollout: Rollout) -> list[tuple[int | None, int]] | None:
    """The ends and shares of a rule that an earlier rollout wrote."""
    clauses = rule.get("if") if isinstance(rule, Mapping) and len(rule) == 1 else None
    if not isinstance(clauses, list) or len(clauses) % 2 == 0:
        return None
    stages: list[tuple[int | None, int]] = []
    for index in range(0, len(clauses), 2):
        last = index == len(clauses) - 1
        condition, result = (None, clauses[index]) if last else (clauses[index], clauses[index + 1])
        until = condition["<"][1] if isinstance(condition, dict) and _is_before(condition) else None
        share = (
            {rollout.otherwise: 0, rollout.variant: 100}.get(result)
            if isinstance(result, str)
            else _split(result, rollout)
        )
        if share is None or (until is None and not last):
            return None
        stages.append((until, share))
    return stages


def _is_before(condition: Mapping[str, JsonValue]) -> bool:
    arguments = condition.get("<")
    return (
        isinstance(arguments, list)
        and len(arguments) == 2
        and arguments[:1] == [{"var": "$flagd.timestamp"}]
        and type(arguments[1]) is int
    )


def _steps(rollout: Rollout) -> JsonValue:
    clauses: list[JsonValue] = []
    shares: Sequence[int] = (0, *rollout.steps)
    for number, share in enumerate(shares[:-1]):
        until = rollout.start + number * rollout.every
        clauses += [{"<": [{"var": "$flagd.timestamp"}, until]}, _result(rollout, share)]
    return {"if": [*clauses, _result(rollout, shares[-1])]}


def _result(rollout: Rollout, share: int) -> JsonValue:
    if share in (0, 100):
        return rollout.variant if share else rollout.otherwise
    return {"fractional": [[rollout.variant, share], [rollout.otherwise, 100 - share]]}


@dataclass(frozen=True, slots=True)
class RolloutRequest:
    """What is rolled out.

    Attributes:
        flag: The flag's key.
        variant: The variant that users are added to.
        otherwise: The variant of everybody else; None for the flag's default, or its only other variant.
        steps: Percentages of users, rising.
        every: Seconds from one step to the next.
        start: Unix seconds at which the first step begins.
    """

    flag: str
    variant: str
    otherwise: str | None
    steps: tuple[int, ...]
    every: int
    start: int


@dataclass(frozen=True, slots=True)
class RolledOut:
    """A rollout.

    Attributes:
        rollout: What is rolled out.
        rule: The flag's rule with it.
        kept: The rule's conditions before it, in words.
        written: The file that was written, or None.
    """

    rollout: Rollout
    rule: JsonValue
    kept: tuple[str, ...]
    written: str | None


def roll_out(paths: Sequence[Path], request: RolloutRequest, now: int, *, write: bool) -> RolledOut:
    """Add a rollout to a flag's rule, and write it.

    Args:
        paths: Flag files or folders; ``flagd/`` if there are none.
        request: The rollout to make.
        now: Unix seconds.
        write: Whether to write the file.

    Raises:
        ConfigurationError: There is no such flag or variant, or the rollout would take users away.
        UnreachableError: A path cannot be read.
    """
    files = read_files(paths)
    flag = flag_of(flag_set(files), request.flag)
    otherwise = request.otherwise or other_variant(flag, request.variant)
    rollout = Rollout(request.variant, otherwise, request.steps, request.every, request.start)
    rule = rule_for(flag, rollout, now)
    words = zip(rule_in_words(flag.targeting, None), rule_in_words(rule, None), strict=False)
    kept = tuple(before for before, after in takewhile(lambda lines: lines[0] == lines[1], words))
    file = served_file(files, request.flag) if write else None
    if file is not None:
        replace_plain_file(Path(file.path), with_targeting(file, request.flag, rule))
    return RolledOut(rollout, rule, kept, None if file is None else file.path)
