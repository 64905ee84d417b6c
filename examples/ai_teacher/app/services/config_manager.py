"""Gives a user's settings; a thin face of windsock, for code that knows users and dicts."""

import windsock
from app.core.config import Settings


class ConfigManager:
    """Fetching, caching, checking and merging are windsock's: reading costs a microsecond and no query."""

    def load(self, user_id: str, *, tier: str | None = None) -> Settings:
        """Give the settings in force for a user: typed, frozen, always valid.

        Args:
            user_id: As in `profiles.id`.
            tier: What targeting rules of `flagd/teacher.flagd.json` may ask for.
        """
        return Settings.for_user(user_id, **({"tier": tier} if tier else {}))

    def get_user_config(self, user_id: str) -> dict[str, object]:
        """Give the user's profile merged over `Settings`, as a dict.

        Returns:
            Empty where `profiles.config_id` is NULL: everything falls back to `Settings`.
        """
        return config_of(self.load(user_id))


def config_of(user_settings: Settings) -> dict[str, object]:
    """Give settings as the dict that `ConfigManager.get_user_config` promises."""
    return user_settings.model_dump() if config_id_of(user_settings) else {}


def config_id_of(user_settings: Settings) -> str | None:
    """Give the id of the configuration that the user is assigned to, or None."""
    return windsock.explain(user_settings).config_id
