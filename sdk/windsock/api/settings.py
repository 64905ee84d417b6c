"""The API's own settings."""

from pydantic import Field

from windsock.settings.settings import Settings


class ConfigurationApi(Settings, flag="configuration_api"):
    """Settings of the configuration API; variables are named ``CONFIGURATION_API_<FIELD>``."""

    writable: bool = Field(default=False, description="Whether the API may change the flag file.")
    requests_per_second: float = Field(
        20.0, gt=0, le=10_000, description="Requests of one token, with five seconds' worth at once."
    )
    max_body_bytes: int = Field(256 * 1024, ge=2, le=16 * 1024 * 1024, description="Longest request.")
