"""Aura's settings: which model each layer thinks with, and where the models are."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

import windsock


class AuraSettings(windsock.Settings, flag="aura"):
    """Environment over `.env` over `flagd/aura.flagd.json` over these defaults; a user's profile over all."""

    l1_model: str = Field(
        default="mistralai/mistral-7b-instruct",
        min_length=1,
        validation_alias="AURA_L1_MODEL",
        description="L1 Instinct Layer - Fast responses (<500ms)",
    )
    l2_model: str = Field(
        default="anthropic/claude-3.5-sonnet",
        min_length=1,
        validation_alias="AURA_L2_MODEL",
        description="L2 Reasoning Layer - Deep analysis (async)",
    )
    l3_model: str = Field(
        default="deepseek/deepseek-chat",
        min_length=1,
        validation_alias="AURA_L3_MODEL",
        description="L3 Synthesis Layer - Primary response generation",
    )
    embeddings_model: str = Field(
        default="openai/text-embedding-3-small",
        min_length=1,
        validation_alias="AURA_EMBEDDING_MODEL",
        description="Embedding model (1536 dimensions for OpenAI compatibility)",
    )
    embeddings_dimension: int = Field(
        default=1536,
        ge=1,
        le=8192,
        validation_alias="AURA_EMBEDDING_DIMENSION",
        description="Embedding vector dimension",
    )
    l1_seconds: float = Field(
        default=0.5,
        gt=0,
        validation_alias="AURA_L1_SECONDS",
        description="How long L1 may take; Aura answers without it then",
    )
    embeddings_seconds: float = Field(
        default=5.0,
        gt=0,
        validation_alias="AURA_EMBEDDING_SECONDS",
        description="How long recalling may take; Aura answers without memories then",
    )


settings = AuraSettings.live()


class Providers(BaseSettings):
    """Where the models are, and with which key: for the deployment to say, never a flag."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    openrouter_base_url: str = "https://openrouter.ai/api/v1"
    openrouter_api_key: SecretStr = SecretStr("")
    ollama_base_url: str = "http://localhost:11434/v1"
    aura_memory_path: Path = Path(".aura/memory.sqlite")
