"""The system check: report flag problems in ``manage.py check`` and before every server start."""

from collections.abc import Iterable
from importlib import import_module

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's names

from windsock.flags import FlagSet
from windsock.gitops.misfits import misfits
from windsock.runtime import health
from windsock.settings.process import process
from windsock.settings.resolver import Resolver


def check_flags(**_: object) -> list[CheckMessage]:
    """Compare the flags in use with the settings classes that the project's URLs import.

    ``windsock.E001`` is a value that its class rejects, so that the layer below applies. ``windsock.W001`` is
    a flag turned off because of an error; ``windsock.W002`` means that no flags are served.
    """
    if getattr(settings, "ROOT_URLCONF", None):
        import_module(settings.ROOT_URLCONF)  # Django runs its checks in no fixed order, or ours alone
    serving = health()
    return [
        *_refused(),
        *(Warning(problem, id="windsock.W001") for problem in serving.problems),
        *(
            [Warning(f"no flags serve, code defaults do: {serving.stale}", id="windsock.W002")]
            if not serving.ready
            else []
        ),
    ]


def _refused() -> Iterable[CheckMessage]:
    provider = process.evaluating().in_process()
    if provider is None:
        return
    served = FlagSet({key: each.flag for key, each in provider.compiled.items()}, "")
    declarations = [each.declaration for each in process.readers if isinstance(each, Resolver)]
    for misfit in misfits(served, declarations):
        yield Error(
            f"flag {misfit.flag.key!r}: {misfit.message}",
            hint=f"correct {misfit.flag.source}; `manage.py windsock check` has the line",
            id="windsock.E001",
        )
