"""The Celery task of the ad learning system: after a training, it decides on the new model."""

import os
from pathlib import Path

from celery import Celery
from celery.signals import worker_init

from . import config_loader
from .config_loader import is_feature_enabled
from .model_evaluation import Models, evaluate_champion_vs_challenger
from .settings import Learning

celery_app = Celery(
    "ad_learning",
    broker=os.environ.get("CELERY_BROKER_URL", "memory://"),
    backend=os.environ.get("CELERY_RESULT_BACKEND", "cache+memory://"),
)
celery_app.conf.broker_connection_retry_on_startup = True


@worker_init.connect
def _serve_flags(**_: object) -> None:
    """A worker serves the flags for as long as it lives; its forks go on watching by themselves."""
    config_loader.start()


@celery_app.task(name="auto_evaluate_models")
def auto_evaluate_models_after_training(model_path: str, model_type: str) -> dict[str, object]:
    """Evaluate a newly trained model against the one in service, and put it in service where it wins.

    Args:
        model_path: The new model, below the folder ``AD_LEARNING_MODELS``.
        model_type: Which champion it challenges.

    Returns:
        ``status`` ``disabled``, ``promoted`` (with ``metrics``), or what the evaluation gave.
    """
    if not is_feature_enabled("champion_challenger"):
        return {"status": "disabled"}
    criteria = Learning.live().model_evaluation
    models = Models(Path(os.environ.get("AD_LEARNING_MODELS", "models")))
    challenger = Path(model_path)
    result = evaluate_champion_vs_challenger(models, challenger, model_type, criteria)
    if criteria.auto_promote and result["challenger_wins"]:
        models.promote(challenger, model_type)
        return {"status": "promoted", "metrics": result["metrics"]}
    return result
