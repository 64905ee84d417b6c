"""`windsock experiment power`: units and days, for each way of looking."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from windsock.cli._experiment_arguments import Flags, Name
from windsock.cli._experiment_options import Data, Environment, Now, moment, place
from windsock.cli._lines import Grid, console_of, print_grid, print_lines
from windsock.cli._say import print_json
from windsock.errors import ConfigurationError
from windsock.experiments.planning import QUARTERS, Assumed, Power, power
from windsock.experiments.reading import read_declared
from windsock.experiments.wording import metric_title, number, percent
from windsock.flagfiles.files import DEFAULT_FOLDER


def command(
    name: Name,
    *,
    flags: Flags = DEFAULT_FOLDER,
    data: Data = None,
    environment: Environment = "production",
    at: Now = None,
    mean: Annotated[
        float | None, typer.Option(help="The first goal's mean now, where there is no data yet.")
    ] = None,
    deviation: Annotated[
        float | None, typer.Option(min=0, help="Its standard deviation per unit; goes with --mean.")
    ] = None,
    per_day: Annotated[
        float | None, typer.Option(min=0, help="New units a day, to say how many days it takes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many units (users, unless the document says otherwise) and days an experiment needs.

    With that many it finds a change of the declared minimum effect in four of five cases. The metric's mean
    and spread are read from past data, or given with --mean and --deviation.

    Example: windsock experiment power cheaper_model --mean 0.1 --deviation 0.3
    """
    if (mean is None) != (deviation is None):
        raise ConfigurationError("--mean and --deviation go together")
    if mean is not None and deviation is not None:
        found = power(name, Assumed(mean, deviation, per_day), flags=flags)
    else:
        read_declared(flags, name)  # a wrong name is reported before a database starts
        with place(data, "Reading the past and replaying it …") as where:
            found = power(name, where, flags=flags, environment=environment, now=moment(at))
    if as_json:
        print_json(asdict(found))
        return
    console = console_of(80)
    for line in lines(found):
        print_lines(console, line)
    print_grid(console, table(found))
    if found.others:
        print_lines(console, f"By then, with {found.others[0].units:,} units, the other metrics find:")
        print_grid(console, others(found))
        for each in found.others:
            if each.note:
                print_lines(console, f"{metric_title(each.metric)}: {each.note}")


def lines(found: Power) -> Iterator[str]:
    """The sentences above the table."""
    title = metric_title(found.metric).capitalize()
    yield f"{title} is {number(found.mean)} now; its standard deviation per unit {number(found.deviation)}."
    if found.past:
        yield f"{found.past}."
    if found.maximum is not None:
        units, effect, reached = found.maximum
        smallest = percent(found.effect / abs(found.mean), 1)
        yield (
            f"With the declared maximum, {units:,} units, four of five experiments find a change of "
            f"{percent(effect, 1)}, and {percent(reached)} find one of {smallest}."
        )
    if found.replayed is not None:
        false, right = found.replayed
        yield (
            f"Replayed on the past, 50 looks: {percent(false, 1)} false alarms; a change of "
            f"{number(found.effect)} in the units that are there is found in {percent(right)}."
        )
    elif found.unreplayed:
        yield f"Not replayed on the past: {found.unreplayed}."
    yield (
        f"To find a change of {number(found.effect)} in four of five experiments. The last columns say how "
        f"many have found it by {percent(0.25)}, {percent(0.5)} and {percent(0.75)} of the units:"
    )


def table(found: Power) -> Grid:
    """Units and days of each way of looking."""
    grid = Grid()
    grid.add_column("looking")
    grid.add_column("units", justify="right")
    grid.add_column("days", justify="right")
    for share in QUARTERS[:-1]:
        grid.add_column(percent(share), justify="right")
    for design in found.designs:
        days = "–" if design.days is None else f"{design.days:,.0f}"
        grid.row(design.name, f"{design.units:,}", days, *map(percent, design.reached[:-1]))
    return grid


def others(found: Power) -> Grid:
    """What the other metrics find by the end."""
    grid = Grid()
    grid.add_column("metric", overflow="fold")
    grid.add_column("role")
    grid.add_column("now", justify="right")
    grid.add_column("finds", justify="right")
    for each in found.others:
        mean = "–" if each.mean is None else number(each.mean)
        finds = f"±{percent(each.relative, 1)}" if each.relative is not None else "–"
        grid.row(metric_title(each.metric), each.role, mean, finds)
    return grid
