"""The environment variables that windsock itself reads."""

import os
from pathlib import Path

DEFAULT_ENVIRONMENT = "production"


def environment_name() -> str:
    """The deployment environment that base flags target: ``ENVIRONMENT``, by default ``production``."""
    return os.environ.get("ENVIRONMENT", "").strip() or DEFAULT_ENVIRONMENT


def data_folder() -> Path:
    """Where windsock keeps its own files: ``WINDSOCK_FOLDER``, by default ``.windsock``."""
    return Path(os.environ.get("WINDSOCK_FOLDER", "").strip() or ".windsock")


def user_id_key() -> bytes | None:
    """The secret that hashes user ids in usage logs: ``WINDSOCK_USER_ID_KEY``; None keeps them plain."""
    return os.environ.get("WINDSOCK_USER_ID_KEY", "").encode() or None


def usage_is_off() -> bool:
    """Whether ``WINDSOCK_USAGE`` is ``off``: then ``DATABASE_URL`` alone starts no recording."""
    return os.environ.get("WINDSOCK_USAGE", "").strip().lower() in {"off", "false", "0", "no"}
