"""The service's settings and their code defaults, the base that everything else is laid over."""

import logging

from pydantic import Field

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

    @property
    def OPENAI_CHAT_MODEL(self) -> str:  # noqa: N802 - the name that the service had before it was tunable
        """The model, under the name of its environment variable."""
        return self.reasoning_model


settings = Settings.live()
