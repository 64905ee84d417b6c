"""`windsock experiment schema`: JSON Schema, for editors."""

from typing import Annotated

import typer

from windsock.cli._say import print_json
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Metrics


def command(
    *,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print that of flagd/metrics.yaml instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of an experiment's document, for editors and other tools.

    Example: windsock experiment schema > experiment.schema.json
    """
    print_json((Metrics if metrics else Experiment).model_json_schema())
