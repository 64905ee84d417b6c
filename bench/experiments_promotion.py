"""False promotion by the ad-learning document's criteria, compared every hour of a week on the same items.

`python bench/experiments_promotion.py [RUNS]`. Champion and challenger are right equally often, so that every
promotion is false; in the other weeks the challenger is better by twice the least difference. Plain is
McNemar's exact test at each comparison, always valid is the e-process of `judge`.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from scipy.stats import beta, binom

from windsock.experiments.champion import judge
from windsock.experiments.statistics.e_processes import share_evidence

HOURS, ITEMS = 168, 60
CRITERIA = SimpleNamespace(
    min_improvement_pct=2.0, min_samples=1000, confidence_level=0.95, min_accuracy_delta=0.01
)
RESULTS = Path(__file__).parent / "results" / "experiments_promotion.json"


def week(
    random: np.random.Generator, disagreement: float, better: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items won, lost, and right for the champion, at the end of each hour."""
    won = random.binomial(ITEMS, (disagreement + better) / 2, HOURS)
    lost = random.binomial(ITEMS - won, (disagreement - better) / 2 / (1 - (disagreement + better) / 2))
    both = random.binomial(ITEMS - won - lost, 0.8)
    return won.cumsum(), lost.cumsum(), (both + lost).cumsum()


def promoted(counts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[bool, bool]:
    """Whether some comparison of the week promotes: by the plain test, and by the e-process."""
    won, lost, right = counts
    samples = ITEMS * np.arange(1, HOURS + 1)
    delta = (won - lost) / samples
    may = (samples >= CRITERIA.min_samples) & (delta >= CRITERIA.min_accuracy_delta)
    may &= 100 * delta * samples / right >= CRITERIA.min_improvement_pct
    may &= binom.sf(won - 1, won + lost, 0.5) <= 1 - CRITERIA.confidence_level
    level = 1 / (1 - CRITERIA.confidence_level)
    # an e-value reaches the level only where the plain test is significant
    valid = any(share_evidence(won[hour], lost[hour], 0.5) >= level for hour in np.flatnonzero(may))
    return bool(np.any(may)), valid


def agrees(random: np.random.Generator) -> bool:
    """The vectorised rule is `judge`'s, on one week item by item."""
    won, lost, right = week(random, 0.2, 0.04)
    for hour in range(20, HOURS, 37):
        samples, both = ITEMS * (hour + 1), right[hour] - lost[hour]
        neither = samples - both - won[hour] - lost[hour]
        champion = [True] * both + [True] * lost[hour] + [False] * won[hour] + [False] * neither
        challenger = [True] * both + [False] * lost[hour] + [True] * won[hour] + [False] * neither
        verdict = judge(champion, challenger, CRITERIA)
        only = tuple(np.where(np.arange(HOURS) == hour, each, [0]) for each in (won, lost))
        may = promoted((*only, np.where(np.arange(HOURS) == hour, right, 1)))[1]
        if verdict.challenger_wins != may:
            return False
    return True


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    random = np.random.default_rng(5)
    assert agrees(random)
    rows = []
    for disagreement in (0.05, 0.1, 0.2, 0.4):
        for better in (0.0, 0.02):
            found = np.array([promoted(week(random, disagreement, better)) for _ in range(runs)]).sum(axis=0)
            row = {"disagreement": disagreement, "better by": better, "runs": runs}
            for name, count in zip(("plain", "always valid"), found.tolist(), strict=True):
                row[f"promoted, {name}"] = count / runs
                row[f"exact upper bound 95 %, {name}"] = round(
                    float(beta.ppf(0.975, count + 1, max(runs - count, 1e-9))), 4
                )
            rows.append(row)
            print(row, flush=True)
    RESULTS.write_text(json.dumps({"hours": HOURS, "items an hour": ITEMS, "weeks": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
