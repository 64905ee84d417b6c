"""`windsock experiment stop`: everybody has the flag's default again."""

from windsock.cli._experiment_arguments import Flags, Name
from windsock.cli._experiment_start import DryRun, Out, PlanEnvironment, carry_out
from windsock.experiments.reading import read_declared
from windsock.experiments.running.starting import flag_files, planned, stopped
from windsock.flagfiles.files import DEFAULT_FOLDER


def command(
    name: Name,
    *,
    flags: Flags = DEFAULT_FOLDER,
    environment: PlanEnvironment = "production",
    dry_run: DryRun = False,
    out: Out = None,
) -> None:
    """Stop an experiment: units no longer get an arm. Its rows stay, and `status` and `report` keep working.

    Example: windsock experiment stop cheaper_model
    """
    files = flag_files(flags)
    after = stopped(read_declared(flags, name).experiment, files)
    carry_out(planned(files, after, environment), flags, out, dry_run=dry_run)
