"""Trains a model that can challenge the champion, on ads made up by dice."""

import csv
import os
import random
from pathlib import Path

import joblib
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

SEEN, ADS = 200, 1400


def train(folder: Path) -> None:
    """Put a champion that knows nothing, a challenger that has learnt, and held-out ads into a folder.

    An ad is two numbers; it wins by the first one, with some luck.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(7)  # noqa: S311 - the same ads each time
    rows = [[dice.random(), dice.random()] for _ in range(ADS)]
    classes = [int(ctr + 0.2 * luck > 0.6) for ctr, luck in rows]
    champion = DummyClassifier().fit(rows[:SEEN], classes[:SEEN])
    challenger = LogisticRegression().fit(rows[:SEEN], classes[:SEEN])
    joblib.dump(champion, folder / "winner.champion.joblib")
    joblib.dump(challenger, folder / "new.joblib")
    with (folder / "winner.holdout.csv").open("w", newline="") as file:
        held_out = zip(rows[SEEN:], classes[SEEN:], strict=True)
        csv.writer(file).writerows([*row, label] for row, label in held_out)


if __name__ == "__main__":
    train(Path(os.environ.get("AD_LEARNING_MODELS") or "models"))
