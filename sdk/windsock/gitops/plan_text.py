"""A plan for people: in the terminal, and as a comment on a pull request.

Everything in a plan but its numbers comes from the author of the change, so it reaches the terminal and the
page as text only.
"""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from windsock.gitops.impact import Impact, Later, Move, PlanEffect
from windsock.gitops.plan import Plan, PlanStep
from windsock.text import count, escaped

_MARKS = {PlanEffect.SAFE: " ", PlanEffect.MOVES: "~", PlanEffect.RESHUFFLES: "!", PlanEffect.BREAKING: "X"}

_MAX_PARTS: Final = 65_536 - 2_000
"""The length of a comment on GitHub, less room for its beginning."""


def text(plan: Plan) -> Iterator[str]:
    """Write the plan, step by step."""
    for step in plan.steps:
        yield f"{'remove' if step.after is None else 'write'} {step.path}"
        lines = _by_flag(step)
        for impact in step.impacts:
            yield f"  {_MARKS[impact.effect]} {impact.flag}: {_headline(impact)}"
            yield from (f"      {line}" for line in lines[impact.flag])
            yield from (f"      {_move(move)}" for move in impact.moves)
            yield from (f"      {_stage(impact, stage)}" for stage in impact.later)
            if impact.open_ended:
                yield f"      {_OPEN_ENDED}"
            yield from (f"      {message}" for message in impact.misfits)
    if not plan.steps:
        yield "no changes"


def markdown(plan: Plan) -> Iterator[str]:
    """Write the plan as the body of a comment: findings, then flags, those with the worst effect first.

    What doesn't fit a comment is left out, and the comment says so.
    """
    yield f"### Flags: {plan.effect}" if plan.steps else "### Flags: no changes"
    yield ""
    yield f"Against `{plan.base[:12]}`, for {_code(plan.population)}."
    parts = list(_parts(plan))
    sizes = itertools.accumulate(sum(map(_size, part)) for part in parts)
    fitting = sum(size <= _MAX_PARTS for size in sizes)
    if left_out := len(parts) - fitting:
        yield ""
        yield (
            f"**{left_out:,} flags, findings or files' changes are left out, because a comment can't hold "
            "them. `windsock plan` shows all.**"
        )
        yield ""
    for part in parts[:fitting]:
        yield from part


def _parts(plan: Plan) -> Iterator[list[str]]:
    """What a comment has or leaves out as a whole."""
    for finding in plan.findings:
        yield [f"- {_code(finding)}"]
    order = list(PlanEffect)
    worst_first = sorted(
        plan.impacts, key=lambda each: (order.index(each.effect), each.most_moved), reverse=True
    )
    columns = "| flag | effect | users | from | to | reason | such as |"
    heading = ["", columns, "|---|---|--:|---|---|---|---|"]
    for impact in worst_first:
        yield [*heading, *_rows(impact)]
        heading = []
    for step in plan.steps:
        if step.changes:
            lines = [escaped(line) for line in step.changes]
            fence = "`" * (max((_longest_run(line) for line in lines), default=0) + 3)
            summary = f"<details><summary>{_code(step.path)}</summary>"
            yield ["", summary, "", f"{fence}diff", *lines, fence, "", "</details>"]


def _size(line: str) -> int:
    r"""The most characters that a line has when it is printed: a ``[`` may become ``\x5b``."""
    return len(line) + 3 * line.count("[") + 1


_OPEN_ENDED = "the rule computes with the time, so who moves later is unknown"


def _headline(impact: Impact) -> str:
    if not impact.moves:
        later = " now" if impact.later or impact.open_ended else ""
        return f"{impact.effect}, nobody gets anything else{later}"
    return f"{impact.effect}, {_of(impact, impact.moved)}"


def _of(impact: Impact, users: int) -> str:
    return f"{users:,} of {impact.population:,} users ({impact.share_of(users):.2%})"


def _move(move: Move) -> str:
    return f"{count(move.users, 'user')}: {_ends(move)}, {move.reason}, such as {', '.join(move.samples)}"


def _ends(move: Move) -> str:
    if move.before == move.after:
        return f"{_name(move.before)}, another value"
    return f"{_name(move.before)} → {_name(move.after)}"


def _stage(impact: Impact, stage: Later) -> str:
    moves = "; ".join(f"{move.users:,} {_ends(move)}" for move in stage.moves)
    return f"from {_when(stage.at)}: {_of(impact, stage.moved)}{': ' if moves else ''}{moves}"


def _effect_now(impact: Impact) -> str:
    return f"{impact.effect}, later" if impact.later else str(impact.effect)


def _rows(impact: Impact) -> Iterator[str]:
    if not impact.moves:
        yield f"| {_code(impact.flag)} | {_effect_now(impact)} | 0 | | | | |"
    for move in impact.moves:
        yield _row(impact, move, str(impact.effect))
    for stage in impact.later:
        for move in stage.moves:
            yield _row(impact, move, f"from {_when(stage.at)}")
    if impact.open_ended:
        yield f"| {_code(impact.flag)} | {_OPEN_ENDED} | | | | | |"


def _row(impact: Impact, move: Move, effect: str) -> str:
    users = f"{move.users:,} ({impact.share_of(move.users):.2%})"
    ends = f"{_code(_name(move.before))} | {_code(_name(move.after))} | {_code(move.reason)}"
    return f"| {_code(impact.flag)} | {effect} | {users} | {ends} | {_code(', '.join(move.samples[:2]))} |"


def _when(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _name(variant: str | None) -> str:
    return "code default" if variant is None else variant


def _code(value: str) -> str:
    """Text as HTML code, all punctuation as entities, so that GitHub sees no markup or mention."""
    letters = (each if each.isalnum() or each in " ,-" else f"&#{ord(each)};" for each in escaped(value))
    return f"<code>{''.join(letters)}</code>"


def _longest_run(line: str) -> int:
    """The longest run of backticks."""
    longest = run = 0
    for each in line:
        run = run + 1 if each == "`" else 0
        longest = max(longest, run)
    return longest


def _by_flag(step: PlanStep) -> dict[str, list[str]]:
    """The lines of a step's changes, each at the longest flag that it may be about."""
    found: dict[str, list[str]] = {impact.flag: [] for impact in step.impacts}
    longest_first = sorted({len(flag) for flag in found}, reverse=True)
    for line in step.changes:
        for length in longest_first:
            end = 2 + length  # after the mark
            if line[end : end + 1] in ("", " ", "/") and (flag := line[2:end]) in found:
                found[flag].append(line)
                break
    return found
