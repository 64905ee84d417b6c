"""The whole examination: the machine, the database, the served flags, and whether all evaluators agree."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.provider import AbstractProvider

from windsock.doctor.checkup import Check, Report, look_at_database, look_at_machine
from windsock.doctor.evaluators import Package, installed, ofrep, remote
from windsock.doctor.probes import Answered, Ask, answered, buckets, probes
from windsock.errors import UnreachableError
from windsock.flag_names import FLAG_FOLDER, SENTINEL
from windsock.flags import Flag
from windsock.flags.model import BUCKETINGS
from windsock.providers.choice import choose
from windsock.providers.compiled import CompiledProvider
from windsock.providers.files import FilesProvider
from windsock.providers.flagd_options import VARIABLES, FlagdOptions, Reader
from windsock.text import count

_CHOICE: Final = {"FLAGD_RESOLVER", "FLAGD_OFFLINE_FLAG_SOURCE_PATH"}
_RESOLVERS: Final[Mapping[str, Reader]] = {
    "windsock-files": "file",
    "windsock-remote": "rpc",
    "windsock-stream": "in-process",
}


@dataclass(frozen=True, slots=True)
class ExamineOptions:
    """What to look at.

    Attributes:
        flags: The folder of flag files; None uses the `FLAGD_*` variables, or else ``flagd/``.
        attributes: Attributes that every probed context has besides the targeting key.
        database_url: The database, or None.
        ofrep_url: A server to ask over OFREP, or None.
        rpc: Whether to ask the flagd at FLAGD_HOST and FLAGD_PORT, whatever the resolver.
    """

    flags: Path | None
    attributes: Mapping[str, object]
    database_url: str | None = None
    ofrep_url: str | None = None
    rpc: bool = False


@dataclass(frozen=True, slots=True)
class Examination:
    """What an examination found.

    Attributes:
        checks: Each check that was made.
        verdict: The result in one line.
        unreachable: Why no flags are served, or None.
    """

    checks: tuple[Check, ...]
    verdict: str
    unreachable: UnreachableError | None = None

    @property
    def ok(self) -> bool:
        """Whether no action is needed."""
        return all(check.ok for check in self.checks)


@dataclass(frozen=True, slots=True)
class Bucketed:
    """How one evaluator buckets one flag.

    Attributes:
        flag: The flag's key.
        declared: The bucketing that the flag files declare.
        used: The bucketing that the evaluator uses.
    """

    flag: str
    declared: str
    used: Answered


def examine(options: ExamineOptions, on_check: Callable[[Check], object]) -> Examination:
    """Run every check.

    Args:
        options: What to look at.
        on_check: Called with each check as soon as it is made.
    """
    report = Report(on_check)
    look_at_machine(report)
    look_at_database(report, options.database_url)
    try:
        bucketing = _look_at_flags(report, options)
    except UnreachableError as error:
        report.add("serves", str(error), ok=False)
        return Examination(tuple(report.checks), "nothing serves", error)
    problems = count(report.problems, "problem") if report.problems else "no problem"
    return Examination(tuple(report.checks), f"{problems} found{bucketing}")


def _look_at_flags(report: Report, options: ExamineOptions) -> str:
    """Check the served flags and every evaluator against them; return the verdict on bucketing."""
    with ExitStack() as stack:
        serving = choose(options.flags, {})
        stack.callback(serving.shutdown)
        served = _served(report, serving)
        _add_variables(report, serving.get_metadata().name, rpc=options.rpc)
        splits = [flag for flag in served.values() if buckets(flag)]
        report.add("flags", _flags_found(served, splits))
        disagree = []
        for name, ask in _servers(stack, serving, options):
            verdicts = _ask_all(report, splits, options.attributes, ask)
            others = [(name, verdict) for verdict in verdicts if verdict.used != verdict.declared]
            report.add("asked", f"{name}: {_summary(verdicts)}", ok=not others)
            disagree += others
    package = installed()
    if package is not None:
        found = f"{package.name}: {package.bucketing}, in services that evaluate with it; nothing here does"
        report.add("installed", found)
    return _verdict(disagree, splits, package)


def _served(report: Report, provider: AbstractProvider) -> Mapping[str, Flag]:
    """Load and report the served flags; if flagd evaluates, the files say what it should do."""
    name = provider.get_metadata().name
    if isinstance(provider, CompiledProvider):
        try:
            provider.initialize(EvaluationContext())
        except OpenFeatureError as error:
            raise UnreachableError(str(error.error_message)) from None
        serving = provider.serving
        stale = f"; stale: {serving.stale}" if serving.stale else ""
        found = f"{name} from {serving.source}, revision {serving.revision}, {serving.age:.0f} s old{stale}"
        report.add("serves", found, ok=not stale)
        for problem in serving.problems:
            report.add("flag", str(problem), ok=False)
        return _flags(provider)
    files = FilesProvider(FLAG_FOLDER)
    files.refresh()
    report.add("serves", f"{name}: flagd evaluates and tells no revision")
    report.add("files", f"{files.serving.source}, revision {files.serving.revision}")
    return _flags(files)


def _flags(provider: CompiledProvider) -> Mapping[str, Flag]:
    return {key: flag.flag for key, flag in provider.compiled.items() if key != SENTINEL}


def _add_variables(report: Report, provider: str, *, rpc: bool) -> None:
    resolvers = {_RESOLVERS.get(provider), "rpc" if rpc else None}
    read = _CHOICE | {name for name, variable in VARIABLES.items() if variable.readers & resolvers}
    set_here = sorted(name for name in os.environ if name.startswith("FLAGD_") and os.environ[name])
    for name in set_here:
        note = "read" if name in read else f"not read by {provider}"
        report.add("variable", f"{name}={os.environ[name]}: {note}")
    if not set_here:
        report.add("variable", "none of FLAGD_* is set")


def _servers(stack: ExitStack, serving: AbstractProvider, options: ExamineOptions) -> list[tuple[str, Ask]]:
    servers = []
    if options.rpc or serving.get_metadata().name == "windsock-remote":
        from windsock.providers.remote import RemoteProvider  # noqa: PLC0415 - loads gRPC

        flagd = FlagdOptions.from_environment("rpc")
        name = f"flagd at {flagd.target} (RPC)"
        servers.append((name, stack.enter_context(remote(RemoteProvider(flagd), name))))
    if options.ofrep_url is not None:
        servers.append((f"{options.ofrep_url} (OFREP)", ofrep(options.ofrep_url)))
    return servers


def _ask_all(report: Report, flags: list[Flag], attributes: Mapping[str, object], ask: Ask) -> list[Bucketed]:
    verdicts = []
    for flag in flags:
        probed = probes(flag, attributes)
        if probed:
            verdicts.append(Bucketed(flag.key, flag.bucketing, answered(flag, probed, ask)))
        else:
            found = f"flag {flag.key!r} is not probed: no user gets to its split; give --attribute NAME=VALUE"
            report.add("flag", found)
    return verdicts


def _flags_found(served: Mapping[str, Flag], splits: list[Flag]) -> str:
    """How many flags serve, and how many of them bucket users: ``4; 2 bucket users (1 v2, 1 v3)``."""
    if not splits:
        return f"{len(served)}; none buckets users"
    found = Counter(flag.bucketing for flag in splits)
    by = ", ".join(f"{found[each]} {each}" for each in BUCKETINGS if found[each])
    return f"{len(served)}; {len(splits)} {'buckets' if len(splits) == 1 else 'bucket'} users ({by})"


def _summary(verdicts: list[Bucketed]) -> str:
    if not verdicts:
        return "nothing to ask"
    used = {each: sum(verdict.used == each for verdict in verdicts) for each in ("v2", "v3", "neither")}
    return ", ".join(f"{number} of {len(verdicts)} flags {each}" for each, number in used.items() if number)


def _verdict(disagree: list[tuple[str, Bucketed]], splits: list[Flag], package: Package | None) -> str:
    """Say which evaluators disagree with the flag files; empty if no flag buckets users."""
    if disagree:
        name, first = disagree[0]
        more = f" and {len(disagree) - 1} more" if len(disagree) > 1 else ""
        done = "buckets as neither v2 nor v3" if first.used == "neither" else f"buckets {first.used}"
        hint = "; is it given the same files?" if first.used == "neither" else ""
        return f"; DISAGREE: {name} {done} where flag {first.flag!r}{more} says {first.declared}{hint}"
    other = sum(package is not None and flag.bucketing != package.bucketing for flag in splits)
    if package is not None and other:
        say = "flag says" if other == 1 else "flags say"
        return (
            f"; evaluators here agree, but a service that evaluates with {package.name} buckets"
            f" {package.bucketing}, and {other} {say} otherwise"
        )
    return "; all evaluators bucket users as the flag files say" if splits else ""
