"""Experiments: declared in Git, computed where the data is, decided by a rule, and reported in one file.

Nothing here is imported by `import windsock`; the extra is `windsock[experiments]`. Names load when they are
first used, since the libraries below take more than a second to import.
"""

from typing import TYPE_CHECKING

from windsock.lazy import lazy_face

if TYPE_CHECKING:
    from windsock.experiments.decision import Decision, decide
    from windsock.experiments.documents import Experiment
    from windsock.experiments.metrics import Metric
    from windsock.experiments.planning import Power, power
    from windsock.experiments.result import Result, analyze, report, restore

__all__ = [
    "Decision",
    "Experiment",
    "Metric",
    "Power",
    "Result",
    "analyze",
    "decide",
    "power",
    "report",
    "restore",
]

__getattr__ = lazy_face(
    __name__,
    {
        "Decision": "decision",
        "Experiment": "documents",
        "Metric": "metrics",
        "Power": "planning",
        "Result": "result",
        "analyze": "result",
        "decide": "decision",
        "power": "planning",
        "report": "result",
        "restore": "result",
    },
)
