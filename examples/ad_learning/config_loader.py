"""The functions by which the services read their configuration; each reads the values in force at the call.

Code that called them when the configuration was a YAML file goes on as it is. A function that has been moved
over reads `Learning.live()` itself.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import windsock
from windsock.errors import ConfigurationError

from .settings import FLAG, Learning

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

FILE_NAME = f"{FLAG}.flagd.json"
_PATH_VARIABLES = ("LEARNING_CONFIG_PATH", "SAFE_EXECUTOR_CONFIG_PATH")


def find_config(variables: Sequence[str] = _PATH_VARIABLES) -> Path:
    """Find the flag file: where a variable says, else in ``flagd`` here, above, or beside the examples.

    Args:
        variables: Environment variables that may name the file or its folder; an empty one is unset.

    Raises:
        FileNotFoundError: It is in none of these places; the message lists them.
        ConfigurationError: A variable names a YAML file of another shape.
    """
    named = [Path(text) for name in variables if (text := os.environ.get(name, "").strip())]
    repository = Path(__file__).resolve().parents[2]
    folders = [Path("flagd"), Path("../flagd"), Path("../../flagd"), repository / "flagd"]
    tried = [path / FILE_NAME if path.is_dir() else path for path in named or folders]
    tried = [path if path.name.endswith((".json", ".yaml", ".yml")) else path / FILE_NAME for path in tried]
    for path in tried:
        if path.is_file():
            return _flag_file(path)
    raise FileNotFoundError(
        f"Learning config not found. Tried: {', '.join(map(str, tried))}."
        f" Set {variables[0]} to the file {FILE_NAME} or to its folder"
    )


def _flag_file(path: Path) -> Path:
    if ".flagd." not in path.name:
        raise ConfigurationError(
            f"{path}: this is no flag file; make one: `windsock import {path} --flag {FLAG}`, and name that"
        )
    return path


def start(variables: Sequence[str] = _PATH_VARIABLES) -> Path:
    """Serve the flag file that `find_config` finds, watched for changes; give its path."""
    path = find_config(variables)
    windsock.start(flags=path.parent)
    return path


def database_url() -> str:
    """Give the system's database.

    Raises:
        ConfigurationError: No variable names it.
    """
    url = os.environ.get("DATABASE_URL", "").strip()
    if not url:
        raise ConfigurationError("DATABASE_URL is not set; name the database that was migrated")
    return url


def get_learning_config() -> dict[str, Json]:
    """Give every section as plain data."""
    return Learning.live().model_dump(mode="json")


def get_winner_thresholds() -> dict[str, Json]:
    """Give the thresholds of winner detection."""
    return Learning.live().winner_detection.model_dump(mode="json")


def get_rag_config() -> dict[str, Json]:
    """Give the configuration of RAG indexing."""
    return Learning.live().rag_indexing.model_dump(mode="json")


def get_learning_cycle_config() -> dict[str, Json]:
    """Give the configuration of the self-learning cycle."""
    return Learning.live().self_learning_cycle.model_dump(mode="json")


def is_feature_enabled(feature_name: str) -> bool:
    """Whether a feature is on; an unknown one is off."""
    features: Mapping[str, bool] = dict(Learning.live().feature_flags)
    return features.get(feature_name, False)


def for_campaign(campaign_id: str | None, account_id: str | None = None) -> Learning:
    """Give the settings of one campaign, the unit of rollouts and experiments; None for the deployment's.

    Args:
        campaign_id: Its id on the ad platform, which rollouts and experiments are drawn by.
        account_id: Its ad account, which targeting may ask for as ``account_id``.
    """
    return Learning.for_user(campaign_id, **({"account_id": account_id} if account_id else {}))


def reload_config() -> None:
    """Read the environment and the flag file again, now; a change of the file is seen without it too."""
    windsock.reload()
