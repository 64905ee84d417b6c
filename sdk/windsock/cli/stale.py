"""`windsock stale`: flags and fields that can go."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._code import scanned
from windsock.cli._options import CodePaths, FlagFiles, JsonList
from windsock.cli._say import note, print_json, say, warn
from windsock.code.mentions import mentioned
from windsock.code.stale import stale
from windsock.flagfiles.files import read_files
from windsock.flagfiles.sets import flag_set


def command(
    *,
    code: CodePaths = None,
    flags: FlagFiles = None,
    as_json: JsonList = False,
) -> None:
    """Show flags that are unused, fully rolled out, expired or unowned, and fields that no code reads.

    Example: windsock stale --code app
    """
    served = flag_set(read_files(flags or ()))
    paths = code or [Path()]
    uses = scanned(paths)
    others: list[str] = []
    mentions = mentioned(paths, others)
    for fault in others:
        warn(f"not scanned: {fault}")
    if others or uses.unread:
        warn("what only these files use is listed all the same")
    found = list(stale(served.flags, uses, mentions, datetime.now(UTC).date()))
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        for each in found:
            say(f"{each.source}:{each.line}  {each.why}  {each.flag}: {each.message}")
    note(f"{len(found)} can be removed or need attention")
    if found:
        raise typer.Exit(EXIT_ERROR)
