"""Compares random settings classes on `BaseSettings` and `windsock.Settings`, for as long as it is told to.

    python -m bench.same_as_pydantic --minutes 60 --out bench/results/same_as_pydantic.md

The classes are those of ``tests/settings/generated.py``. Each batch has a seed of its own, counted up from
``--seed``, which is random unless given; the same seed draws the same classes. A difference ends the run with
status 1 and the smallest class that shows it.
"""

import argparse
import json
import logging
import platform
import secrets
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from tests.settings.both_bases import differences
from tests.settings.generated import Drawn, drawn, surroundings

BATCH = 500
"""Classes drawn with one seed."""


@dataclass
class Report:
    """What was compared so far.

    Attributes:
        seed: That of the first batch.
        batches: How many were drawn.
        counts: Classes that were compared, and those whose input `BaseSettings` refuses.
        difference: The smallest class that differs, and how.
    """

    seed: int
    batches: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    difference: str | None = None

    def page(self, minutes: float) -> str:
        """The account that is committed."""
        return f"""# Random classes on BaseSettings and on windsock.Settings

```sh
python -m bench.same_as_pydantic --minutes {minutes:.0f} --seed {self.seed}
```

| classes compared | refused by BaseSettings itself | seeds | differences |
|--:|--:|--:|--:|
| {self.counts["compared"]:,} | {self.counts["refused"]:,} | {self.seed} to {self.seed + self.batches - 1} | {int(self.difference is not None)} |

{time.strftime("%Y-%m-%d")}, CPython {platform.python_version()}, pydantic {version("pydantic")},
pydantic-settings {version("pydantic-settings")}, {minutes:.0f} minutes.
"""  # noqa: E501 - a row of a table


def batch(report: Report, folder: Path) -> None:
    """Draw and compare the classes of one seed."""

    @hypothesis.settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.seed(report.seed + report.batches)
    @hypothesis.given(of=drawn(), data=st.data())
    def compare(of: Drawn, data: st.DataObject) -> None:
        around = data.draw(surroundings(of))
        found = differences(of, around, folder)
        report.counts["refused" if found is None else "compared"] += 1
        assert not found, json.dumps(found, indent=2, default=repr)

    try:
        compare()
    except Exception as error:  # noqa: BLE001 - a difference, or what a class raises on one base alone
        report.difference = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
    report.batches += 1


def main() -> int:
    """Compare batches until the time is up or something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # each class tells of values that it refuses
    report, began = Report(options.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        while report.difference is None and time.monotonic() - began < options.minutes * 60:
            batch(report, Path(folder))
    text = report.page((time.monotonic() - began) / 60)
    print(text)
    if report.difference is not None:
        print(report.difference)
    if options.out is not None:
        options.out.write_text(text)
    return int(report.difference is not None)


if __name__ == "__main__":
    sys.exit(main())
