"""A plan for a person: in the terminal, and as a comment on a pull request."""

from collections.abc import Iterator

from windsock.gitops.impact import Effect, Impact, Move
from windsock.gitops.plan import Plan

_MARKS = {Effect.SAFE: " ", Effect.MOVES: "~", Effect.RESHUFFLES: "!", Effect.BREAKING: "X"}


def text(plan: Plan) -> Iterator[str]:
    """The plan, step by step."""
    for step in plan.steps:
        yield f"{'remove' if step.after is None else 'write'} {step.path}"
        for impact in step.impacts:
            yield f"  {_MARKS[impact.effect]} {impact.flag}: {_headline(impact)}"
            yield from (f"      {line}" for line in step.changes if _is_about(line, impact.flag))
            yield from (f"      {_move(move)}" for move in impact.moves)
            yield from (f"      {message}" for message in impact.misfits)
    if not plan.steps:
        yield "no changes"


def markdown(plan: Plan) -> Iterator[str]:
    """The plan as the body of a comment."""
    yield f"### Flags: {plan.effect}" if plan.steps else "### Flags: no changes"
    yield ""
    yield f"Against `{plan.base[:12]}`, for {plan.population}."
    for finding in plan.findings:
        yield f"- **{_cell(finding)}**"
    if plan.impacts:
        yield ""
        yield "| flag | effect | users | from | to | reason | such as |"
        yield "|---|---|--:|---|---|---|---|"
    for impact in plan.impacts:
        name = f"`{_cell(impact.flag)}`"
        if not impact.moves:
            yield f"| {name} | {impact.effect} | 0 | | | | |"
        for move in impact.moves:
            users = f"{move.users:,} ({move.users / impact.population:.2%})"
            ends = f"{_name(move.before)} | {_name(move.after)} | {move.reason}"
            yield f"| {name} | {impact.effect} | {users} | {ends} | {_cell(', '.join(move.samples[:2]))} |"
    for step in plan.steps:
        if step.changes:
            lines = "\n".join(step.changes).replace("```", "` ` `")
            yield f"\n<details><summary><code>{step.path}</code></summary>\n"
            yield f"```diff\n{lines}\n```\n\n</details>"


def _headline(impact: Impact) -> str:
    if not impact.moves:
        return f"{impact.effect}, nobody gets anything else"
    return f"{impact.effect}, {impact.moved:,} of {impact.population:,} users ({impact.share:.2%})"


def _move(move: Move) -> str:
    ends = f"{_name(move.before)} → {_name(move.after)}"
    if move.before == move.after:
        ends = f"{_name(move.before)}, another value"
    return f"{move.users:,} users: {ends}, {move.reason}, such as {', '.join(move.samples)}"


def _name(variant: str | None) -> str:
    return "code default" if variant is None else variant


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


def _is_about(line: str, flag: str) -> bool:
    rest = line[2:].removeprefix(flag)
    return line[2:].startswith(flag) and rest[:1] in ("", " ", "/")
