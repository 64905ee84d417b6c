"""A plan: the frozen steps of a change, walked both to explain it and to apply it."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from windsock.errors import ConfigurationError, PlanError
from windsock.flagfiles.files import FlagFile
from windsock.flagfiles.sets import flag_set
from windsock.flags import FlagSet
from windsock.gitops.changes import Change, changes
from windsock.gitops.impact import Impact, Later, Move, Moved, PlanEffect, impacts
from windsock.gitops.misfits import misfits
from windsock.gitops.population import Population
from windsock.gitops.sampling import fitting
from windsock.settings.declaration import Declaration
from windsock.text import count

FORMAT: Final = 2
"""Version of the plan file; other versions are refused."""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One file to write or to remove.

    Attributes:
        path: The file.
        before: SHA-256 of its bytes at the base; None if it doesn't exist there.
        after: Its text afterwards; None if it is removed.
        changes: The changes, one line per part.
        impacts: The effects on users, flag by flag.
    """

    path: str
    before: str | None
    after: str | None
    changes: tuple[str, ...]
    impacts: tuple[Impact, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a change may do without explicit approval.

    Attributes:
        max_moved: Largest share of the population, 0 to 1, that one flag may move; None for any.
        allow_reshuffle: Whether users of a running experiment may lose their arm.
    """

    max_moved: float | None = None
    allow_reshuffle: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A change, ready to be explained or applied.

    Attributes:
        base: The revision that the change starts from.
        at: When the plan was made, ISO 8601; rules on ``$flagd.timestamp`` saw this time.
        population: The users who were evaluated.
        steps: The files, in order.
        findings: Reasons not to apply it as it is.
    """

    base: str
    at: str
    population: str
    steps: tuple[PlanStep, ...]
    findings: tuple[str, ...]

    @property
    def impacts(self) -> tuple[Impact, ...]:
        """Every flag's impact, in the order of the steps."""
        return tuple(impact for step in self.steps for impact in step.impacts)

    def _repr_html_(self) -> str:
        """A table of who moves, for notebooks."""
        from windsock.notebook import table  # noqa: PLC0415 - for notebooks only

        rows = [
            (
                step.path,
                impact.flag,
                impact.effect,
                move and move.users,
                move and move.before,
                move and move.after,
            )
            for step in self.steps
            for impact in step.impacts
            for move in impact.moves or (None,)
        ]
        findings = [("finding", each, "", "", "", "") for each in self.findings]
        headings = ("file", "flag", "effect", "users", "from", "to")
        return table(f"plan against {self.base[:12]}, for {self.population}", headings, [*rows, *findings])

    @property
    def effect(self) -> PlanEffect:
        """The worst effect among all flags."""
        order = list(PlanEffect)
        return max((impact.effect for impact in self.impacts), key=order.index, default=PlanEffect.SAFE)


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """The input of a plan.

    Attributes:
        base: The name of the base revision.
        before: The files at the base.
        after: The files after the change.
        population: The users.
        declarations: The settings classes that read the flags.
        limits: What the change may do without explicit approval.
        at: Unix seconds for ``$flagd.timestamp``.
    """

    base: str
    before: Sequence[FlagFile]
    after: Sequence[FlagFile]
    population: Population
    declarations: Sequence[Declaration] = ()
    limits: Limits = Limits()
    at: float = 0.0


def make(request: PlanRequest, on_moved: Callable[[Moved], None] | None = None) -> Plan:
    """Make a plan.

    Raises:
        FlagFileError: A file cannot be read.
    """
    before, after = flag_set(request.before), flag_set(request.after)
    users = fitting(request.population, before, after, request.at)
    found = impacts(before, after, users, at=request.at, on_moved=on_moved)
    found = _breaking(found, before, after, request.declarations)
    steps = _steps(request, changes(before, after), found)
    findings = (
        *_left_out(before, after),
        *(finding for impact in found for finding in _findings(impact, request.limits)),
    )
    when = datetime.fromtimestamp(request.at, UTC).isoformat(timespec="seconds")
    return Plan(request.base, when, users.description, steps, findings)


def dump(plan: Plan) -> str:
    """Write a plan as JSON, sealed with a digest of its content."""
    content = {"windsock_plan": FORMAT, **asdict(plan)}
    return json.dumps({**content, "digest": _digest(content)}, ensure_ascii=False, indent=2) + "\n"


def load(data: bytes, source: str) -> Plan:
    """Read a plan.

    Raises:
        PlanError: It isn't a plan, was made by another version, or was edited.
    """
    try:
        content: dict[str, Any] = json.loads(data)
        digest = content.pop("digest")
        version = content.pop("windsock_plan")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise PlanError(f"{source}: this is not a plan of `windsock plan --out`: {error}") from error
    if version != FORMAT:
        raise PlanError(
            f"{source}: the plan has format {version}, this windsock reads {FORMAT}; make it again"
        )
    if digest != _digest({"windsock_plan": version, **content}):
        raise PlanError(
            f"{source}: the plan was edited after it was made; change the flag files and make it again"
        )
    try:
        steps = tuple(_step(step) for step in content.pop("steps"))
        "".join([content["base"], *content["findings"]])  # raises for anything but text
        "".join(text for step in steps for text in (step.path, step.before or "", step.after or ""))
        return Plan(**{**content, "steps": steps, "findings": tuple(content["findings"])})
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise PlanError(f"{source}: this is not a plan of `windsock plan --out`: {error}") from error


def sha256(data: bytes) -> str:
    """The hexadecimal SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def parse_share(text: str) -> float:
    """Read ``2%`` or ``0.02`` as 0.02.

    Raises:
        ConfigurationError: It is neither, or not between 0 and 1.
    """
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigurationError(f"{text!r} isn't a share; write 2% or 0.02")
    return share


def _steps(request: PlanRequest, changed: Sequence[Change], found: Sequence[Impact]) -> tuple[PlanStep, ...]:
    before = {file.path: file.data for file in request.before}
    after = {file.path: file.data for file in request.after}
    homes = _homes(request)
    paths = [path for path in dict.fromkeys((*before, *after)) if before.get(path) != after.get(path)]
    # a flag that two files define may change because one of them drops it
    known = set(paths)
    home = {
        key: homes[key] if homes.get(key) in known else paths[0] for key in (impact.flag for impact in found)
    }
    lines: dict[str, list[str]] = {path: [] for path in paths}
    for change in changed:
        lines[home[change.flag]] += change.lines()
    impacts_of: dict[str, list[Impact]] = {path: [] for path in paths}
    for impact in found:
        impacts_of[home[impact.flag]].append(impact)
    return tuple(
        PlanStep(
            path,
            sha256(before[path]) if path in before else None,
            after[path].decode() if path in after else None,
            tuple(lines[path]),
            tuple(impacts_of[path]),
        )
        for path in paths
    )


def _homes(request: PlanRequest) -> Mapping[str, str]:
    """The file that defines each flag: after the change, or before it if the flag is removed."""
    return {key: file.path for file in (*request.before, *request.after) for key in file.document.flags}


def _breaking(
    found: Sequence[Impact], before: FlagSet, after: FlagSet, declarations: Sequence[Declaration]
) -> tuple[Impact, ...]:
    """Mark the flags with values that a settings class newly refuses."""
    known = {(misfit.flag.key, misfit.message) for misfit in misfits(before, declarations)}
    news: dict[str, list[str]] = {}
    for misfit in misfits(after, declarations):
        if (misfit.flag.key, misfit.message) not in known:
            news.setdefault(misfit.flag.key, []).append(misfit.message)
    return tuple(
        replace(impact, effect=PlanEffect.BREAKING, misfits=tuple(news[impact.flag]))
        if impact.flag in news
        else impact
        for impact in found
    )


def _left_out(before: FlagSet, after: FlagSet) -> Iterator[str]:
    """The flags that can no longer be served as written."""
    known = {(problem.flag, problem.message) for problem in before.problems}
    for problem in after.problems:
        left_out = problem.flag is not None and problem.flag not in after.flags
        if left_out and (problem.flag, problem.message) not in known:
            yield str(problem)


def _findings(impact: Impact, limits: Limits) -> list[str]:
    findings = [f"{impact.flag}: {message}" for message in impact.misfits]
    share = impact.share_of(impact.most_moved)
    if limits.max_moved is not None and share > limits.max_moved:
        by_itself = ", by itself and later" if impact.most_moved > impact.moved else ""
        findings.append(
            f"{impact.flag}: moves {share:.2%} of the population{by_itself}, more than "
            f"{limits.max_moved:.2%}; take smaller steps, or raise --max-moved"
        )
    if limits.max_moved is not None and impact.open_ended:
        findings.append(
            f"{impact.flag}: its rule computes with the time, so how many users it moves is unknown; "
            "compare $flagd.timestamp with numbers, or leave out --max-moved"
        )
    if impact.lost and not limits.allow_reshuffle:
        findings.append(
            f"{impact.flag}: {count(impact.lost, 'user')} of the running experiment would lose an arm; "
            "end it first, or say --allow-reshuffle"
        )
    return findings


def _digest(content: Mapping[str, object]) -> str:
    written = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode(errors="surrogatepass")).hexdigest()


def _step(data: Mapping[str, Any]) -> PlanStep:
    found = tuple(
        Impact(
            **{
                **impact,
                "effect": PlanEffect(impact["effect"]),
                "moves": _moves(impact["moves"]),
                "misfits": tuple(impact["misfits"]),
                "later": tuple(Later(each["at"], _moves(each["moves"])) for each in impact["later"]),
            }
        )
        for impact in data["impacts"]
    )
    return PlanStep(data["path"], data["before"], data["after"], tuple(data["changes"]), found)


def _moves(data: Sequence[Mapping[str, Any]]) -> tuple[Move, ...]:
    return tuple(Move(**{**move, "samples": tuple(move["samples"])}) for move in data)
