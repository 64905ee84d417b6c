"""False winners by the ad-learning document's rule, looked at every hour of a week, and in its other mode.

`python bench/experiments_winners.py [RUNS]`. Ads of 2.8 % and 3 % are not above the threshold of 3 %: each
winner is false. The others are to be found. No ROAS is above its threshold.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.stats import beta

from windsock.experiments.statistics.e_processes import rate_evidence

HOURS, HOURLY = 168, 300
THRESHOLD, MIN_HOURS, MIN_IMPRESSIONS, CONFIDENCE = 0.03, 24, 1000, 0.95
RESULTS = Path(__file__).parent / "results" / "experiments_winners.json"


def called(clicks: np.ndarray, impressions: np.ndarray) -> tuple[bool, bool]:
    """Whether some look of the week calls a winner: by the document's rule, and where the clicks show it."""
    hours = np.arange(1, HOURS + 1)
    may = (hours >= MIN_HOURS) & (impressions >= MIN_IMPRESSIONS) & (clicks / impressions > THRESHOLD)
    level = 1 / (1 - CONFIDENCE)
    shown = any(
        rate_evidence(int(clicks[hour]), int(impressions[hour]), THRESHOLD) >= level
        for hour in np.flatnonzero(may)
    )
    return bool(may.any()), shown


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    random = np.random.default_rng(7)
    rows = []
    for rate in (0.028, 0.03, 0.033, 0.036):
        found = np.zeros(2, dtype=int)
        for _ in range(runs):
            impressions = np.full(HOURS, HOURLY).cumsum()
            found += called(random.binomial(HOURLY, rate, HOURS).cumsum(), impressions)
        row = {"CTR": rate, "runs": runs}
        for name, count in zip(("document", "always valid"), found.tolist(), strict=True):
            row[f"called, {name}"] = count / runs
            bound = float(beta.ppf(0.975, count + 1, max(runs - count, 1e-9)))
            row[f"exact upper bound 95 %, {name}"] = round(bound, 4)
        rows.append(row)
        print(row, flush=True)
    RESULTS.write_text(
        json.dumps({"hours": HOURS, "impressions an hour": HOURLY, "weeks": rows}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
