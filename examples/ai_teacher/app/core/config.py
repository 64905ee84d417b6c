"""The service's settings and their code defaults, the base that everything else is laid over."""

import logging
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

import windsock

our_logs = logging.getLogger("ai_teacher")


class Settings(windsock.Settings, flag="teacher"):
    """Tuned for everyone by `flagd/teacher.flagd.json`, per user by the profiles in `app_configurations`."""

    retrieval_top_k: int = Field(10, ge=1, le=200, description="Passages that the search gives")
    rerank_top_n: int = Field(3, ge=1, le=50, description="Passages that the model reads")
    reasoning_model: str = Field("gpt-4o-mini", min_length=1, validation_alias="OPENAI_CHAT_MODEL")
    temperature: float = Field(0.7, ge=0, le=2)
    max_answer_tokens: int = Field(600, ge=16, description="Bounds what one answer costs")
    message_credits: int = Field(1, ge=0, le=100, description="What one answer takes from the wallet")
    answer_without_wallet: int = Field(
        3, ge=0, le=100, description="Answers on credit while the wallet cannot be read; 0 refuses"
    )

    @property
    def OPENAI_CHAT_MODEL(self) -> str:  # noqa: N802 - the name that the service had before it was tunable
        """The model, under the name of its environment variable."""
        return self.reasoning_model


settings = Settings.live()


class Price(BaseModel):
    """What a model takes for a million tokens, in dollars."""

    sent: Decimal = Field(ge=0)
    received: Decimal = Field(ge=0)


class Prices(BaseSettings):
    """What the provider charges: for the deployment to say, in `OPENAI_PRICES`, never a flag."""

    model_config = SettingsConfigDict(
        env_prefix="OPENAI_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    prices: dict[str, Price] = {
        "gpt-4o": Price(sent=Decimal("2.50"), received=Decimal("10.00")),
        "gpt-4o-mini": Price(sent=Decimal("0.15"), received=Decimal("0.60")),
    }

    def cost(self, model: str, sent: int, received: int) -> Decimal | None:
        """Give the dollars for so many tokens; None for a model without a price."""
        price = self.prices.get(model)
        return (price.sent * sent + price.received * received) / 1_000_000 if price else None


class WalletOptions(BaseSettings):
    """Where the wallets are: for the deployment to say, in `DATABASE_URL` and `WALLET_…`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: str | None = None
    wallet_seconds: float = Field(
        0.5, gt=0, le=60, description="How long a message waits for a connection, and for each statement"
    )
    wallet_ledger: Path = Field(
        Path(".windsock/owed.sqlite"), description="Where answers on credit wait for the database"
    )
