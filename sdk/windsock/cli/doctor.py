"""`windsock doctor`: what usually goes wrong, what serves, and who buckets users as the flag files say."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.provider import AbstractProvider

from windsock.cli._app import EXIT_ERROR
from windsock.cli._bucketing_probes import Answered, Ask, answered, buckets, probes
from windsock.cli._checkup import Report, look_at_database, look_at_machine
from windsock.cli._evaluators import Package, installed, ofrep, remote
from windsock.cli._findings import count
from windsock.errors import UnreachableError
from windsock.flag_names import FLAG_FOLDER, SENTINEL
from windsock.flags import Flag
from windsock.gitops.contexts import context_of
from windsock.providers.choice import choose
from windsock.providers.compiled import CompiledProvider
from windsock.providers.files import FilesProvider
from windsock.providers.flagd_options import VARIABLES, FlagdOptions, Reader
from windsock.variables import environment_name

_CHOICE: Final = {"FLAGD_RESOLVER", "FLAGD_OFFLINE_FLAG_SOURCE_PATH"}
_RESOLVERS: Final[Mapping[str, Reader]] = {
    "windsock-files": "file",
    "windsock-remote": "rpc",
    "windsock-stream": "in-process",
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one evaluator does with one flag.

    Attributes:
        flag: The flag's key.
        said: The bucketing that the flag files say.
        done: The bucketing that the evaluator uses.
    """

    flag: str
    said: str
    done: Answered


def command(
    flags: Annotated[
        Path | None, typer.Option(help="The folder of flag files; by default as `FLAGD_*` says, else flagd/.")
    ] = None,
    *,
    rpc: Annotated[
        bool, typer.Option("--rpc", help="Ask the flagd at FLAGD_HOST and FLAGD_PORT, whatever the resolver.")
    ] = False,
    ofrep_url: Annotated[
        str | None, typer.Option("--ofrep", metavar="URL", help="Ask this server over OFREP.")
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An attribute that rules ask for before they split; repeat."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    database_url: Annotated[
        str | None, typer.Option(envvar="DATABASE_URL", show_envvar=True, help="The database to look at.")
    ] = None,
) -> None:
    """Look at what usually goes wrong, say what serves, and who buckets users otherwise than the flag files.

    Exit 0 where nobody has to act, 1 where somebody has, 4 where what serves cannot be reached.

    Example: FLAGD_HOST=localhost windsock doctor --ofrep http://localhost:8016
    """
    if ofrep_url is not None and not ofrep_url.startswith(("http://", "https://")):
        raise typer.BadParameter("give an http:// or https:// address", param_hint="--ofrep")
    attributes = context_of(attribute or [], None, environment_name())
    report = Report(as_json)
    look_at_machine(report)
    look_at_database(report, database_url)
    try:
        verdict = _look_at_flags(report, flags, attributes, ofrep_url, rpc=rpc)
    except UnreachableError as error:
        report.add("serves", str(error), ok=False)
        report.end("nothing serves")
        raise
    problems = [check for check in report.checks if not check.ok]
    report.end(f"{count(len(problems), 'problem')}; {verdict}" if problems else verdict)
    if problems:
        raise typer.Exit(EXIT_ERROR)


def _look_at_flags(
    report: Report, flags: Path | None, attributes: Mapping[str, object], ofrep_url: str | None, *, rpc: bool
) -> str:
    """What serves, and whether every evaluator agrees with it, as the verdict says."""
    with ExitStack() as stack:
        serving = choose(flags, {})
        stack.callback(serving.shutdown)
        served = _served(report, serving)
        _add_variables(report, serving.get_metadata().name, rpc=rpc)
        splits = [flag for flag in served.values() if buckets(flag)]
        report.add("flags", f"{len(served)}, of which {len(splits)} bucket users{_by_bucketing(splits)}")
        disagree = []
        for name, ask in _servers(stack, serving, ofrep_url, rpc=rpc):
            verdicts = _ask_all(report, splits, attributes, ask)
            others = [(name, verdict) for verdict in verdicts if verdict.done != verdict.said]
            report.add("asked", f"{name}: {_summary(verdicts)}", ok=not others)
            disagree += others
    package = installed()
    if package is not None:
        found = f"{package.name}: {package.bucketing}, in services that evaluate with it; nothing here does"
        report.add("installed", found)
    return _verdict(disagree, splits, package)


def _served(report: Report, provider: AbstractProvider) -> Mapping[str, Flag]:
    """Load and tell what serves; where flagd evaluates, the files say what it should do."""
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


def _servers(
    stack: ExitStack, serving: AbstractProvider, ofrep_url: str | None, *, rpc: bool
) -> list[tuple[str, Ask]]:
    asked = []
    if rpc or serving.get_metadata().name == "windsock-remote":
        from windsock.providers.remote import RemoteProvider  # noqa: PLC0415 - loads gRPC

        options = FlagdOptions.from_environment("rpc")
        name = f"flagd at {options.target} (RPC)"
        asked.append((name, stack.enter_context(remote(RemoteProvider(options), name))))
    if ofrep_url is not None:
        asked.append((f"{ofrep_url} (OFREP)", ofrep(ofrep_url)))
    return asked


def _ask_all(
    report: Report, flags: list[Flag], attributes: Mapping[str, object], ask: Ask
) -> list[CheckResult]:
    verdicts = []
    for flag in flags:
        probed = probes(flag, attributes)
        if probed:
            verdicts.append(CheckResult(flag.key, flag.bucketing, answered(flag, probed, ask)))
        else:
            found = f"flag {flag.key!r} is not probed: no user gets to its split; give --attribute NAME=VALUE"
            report.add("flag", found)
    return verdicts


def _by_bucketing(flags: list[Flag]) -> str:
    counts = [(each, sum(flag.bucketing == each for flag in flags)) for each in ("v2", "v3")]
    return "".join(f", {count} {each}" for each, count in counts if count)


def _summary(verdicts: list[CheckResult]) -> str:
    if not verdicts:
        return "nothing to ask"
    used = {each: sum(verdict.done == each for verdict in verdicts) for each in ("v2", "v3", "neither")}
    return ", ".join(f"{count} of {len(verdicts)} flags {each}" for each, count in used.items() if count)


def _verdict(disagree: list[tuple[str, CheckResult]], splits: list[Flag], package: Package | None) -> str:
    """Say in one line who disagrees with the flag files."""
    if disagree:
        name, first = disagree[0]
        more = f" and {len(disagree) - 1} more" if len(disagree) > 1 else ""
        done = "buckets as neither v2 nor v3" if first.done == "neither" else f"buckets {first.done}"
        hint = "; is it given the same files?" if first.done == "neither" else ""
        return f"DISAGREE: {name} {done} where flag {first.flag!r}{more} says {first.said}{hint}"
    other = sum(package is not None and flag.bucketing != package.bucketing for flag in splits)
    if package is not None and other:
        return (
            f"agree: all that serve here; but a service that evaluates with {package.name} buckets"
            f" {package.bucketing}, and {other} flags say otherwise"
        )
    return "agree: everybody buckets as the flag files say" if splits else "agree: no flag buckets users"
