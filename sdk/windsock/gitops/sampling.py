"""How many made-up users a plan evaluates: fewer where rules are long or many, to take seconds."""

from typing import Final

from windsock.evaluator import CompiledFlag
from windsock.evaluator.work_limit import begin, steps_spent
from windsock.flags import Flag, FlagSet
from windsock.flags.operations import operations
from windsock.gitops.changes import changed_keys
from windsock.gitops.moments import moments
from windsock.gitops.population import Context, Population

_STEPS: Final = 3_000_000
"""Operators and steps that a plan's made-up users may take together: a few seconds."""

_LEAST: Final = 10


def fitting(population: Population, before: FlagSet, after: FlagSet, at: float) -> Population:
    """The population itself, or fewer made-up users if evaluating the changed flags would take too long.

    Args:
        population: The users that were asked for.
        before: The flags served now.
        after: The flags after the change.
        at: Unix seconds that rules see as now.
    """
    if population.fewer is None:
        return population
    first = next(iter(population.batches()))[0]
    cost = sum(
        _cost(before.flags.get(key), after.flags.get(key), first, at) for key in changed_keys(before, after)
    )
    return population.fewer(max(_LEAST, _STEPS // max(1, cost)))


def _cost(before: Flag | None, after: Flag | None, context: Context, at: float) -> int:
    """Steps that one user takes, before and after, at every moment that counts; at least one."""
    flags = [flag for flag in (before, after) if flag is not None and flag.targeting is not None]
    steps = 0
    for flag in flags:
        rule = CompiledFlag(flag, clock=lambda: at)
        begin()
        rule.evaluate(context)
        steps += steps_spent() + sum(1 for _ in operations(flag.targeting))
    return max(1, steps) * (1 + len(moments((before, after), at).times))
