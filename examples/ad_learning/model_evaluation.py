"""Champion against challenger: both predict the same held-out rows, and four criteria decide."""

import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import joblib

from windsock.errors import ConfigurationError
from windsock.experiments.champion import judge

from .settings import ModelEvaluation


class Model(Protocol):
    """What evaluation needs of a trained model."""

    def predict(self, rows: Sequence[Sequence[float]]) -> Sequence[int]:
        """Predict the class of each row."""


@dataclass(frozen=True, slots=True)
class Models:
    """The folder of models: one champion and one file of held-out rows for each type.

    Attributes:
        folder: Trained models are loaded from here only, since loading one runs code that it brings.
    """

    folder: Path

    def champion(self, model_type: str) -> Path:
        """The model in service."""
        return self._inside(Path(f"{model_type}.champion.joblib"))

    def load(self, path: Path) -> Model:
        """Load a trained model.

        Raises:
            ConfigurationError: It is outside of the folder, or not there.
        """
        found = self._inside(path)
        if not found.is_file():
            raise ConfigurationError(f"{found}: there is no such model; train one and put it here")
        return cast("Model", joblib.load(found))

    def holdout(self, model_type: str) -> tuple[list[list[float]], list[int]]:
        """Read the held-out rows: features, and in the last column the class.

        Raises:
            ConfigurationError: The file is not there, or a line is no row of numbers.
        """
        path = self._inside(Path(f"{model_type}.holdout.csv"))
        features, classes, number = [], [], 0
        try:
            with path.open(newline="") as file:
                for line in csv.reader(file):
                    number += 1
                    *row, label = map(float, line)
                    features.append(row)
                    classes.append(int(label))
        except FileNotFoundError as error:
            raise ConfigurationError(f"{path}: there are no held-out rows to compare models on") from error
        except ValueError as error:
            raise ConfigurationError(f"{path}:{number}: this is no row of numbers: {error}") from error
        return features, classes

    def promote(self, path: Path, model_type: str) -> None:
        """Put a model in service, in one step."""
        champion = self.champion(model_type)
        new = champion.with_suffix(f".{os.getpid()}.tmp")
        shutil.copyfile(self._inside(path), new)
        new.replace(champion)

    def _inside(self, path: Path) -> Path:
        folder = self.folder.resolve()
        found = (folder / path).resolve()
        if not found.is_relative_to(folder):
            raise ConfigurationError(f"{path}: models are loaded from {folder} only")
        return found


def evaluate_champion_vs_challenger(
    models: Models, challenger: Path, model_type: str, criteria: ModelEvaluation
) -> dict[str, object]:
    """Compare two models on the same rows, by `windsock.experiments.champion.judge`.

    The confidence holds however often a model is compared while rows are added.

    Returns:
        ``status`` ``evaluated``, ``challenger_wins``, the ``metrics``, and the criteria that were ``unmet``.
        The first model of its type wins without a comparison.
    """
    rows, classes = models.holdout(model_type)
    if not models.champion(model_type).exists():
        models.load(challenger)
        return {
            "status": "evaluated",
            "challenger_wins": True,
            "metrics": {"samples": len(rows)},
            "unmet": [],
        }
    champion, challenging = (
        [bool(predicted == actual) for predicted, actual in zip(model.predict(rows), classes, strict=True)]
        if rows
        else []
        for model in (models.load(models.champion(model_type)), models.load(challenger))
    )
    verdict = judge(champion, challenging, criteria)
    names = (
        "samples",
        "champion_accuracy",
        "challenger_accuracy",
        "accuracy_delta",
        "improvement_pct",
        "confidence",
    )
    return {
        "status": "evaluated",
        "challenger_wins": verdict.challenger_wins,
        "metrics": {name: getattr(verdict, name) for name in names},
        "unmet": list(verdict.unmet),
    }
