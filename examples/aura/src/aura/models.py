"""The way to the models: `local/…` goes to Ollama, the rest to OpenRouter; both speak OpenAI's protocol."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import openai
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam
from openai.types.create_embedding_response import Usage as EmbeddingUsage

import windsock
from aura.config import Providers

LOCAL = "local/"
log = logging.getLogger("aura")


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said."""

    text: str
    model: str


class Models:
    """Two clients, as an async context manager; the log has each call's model, `usage_logs` what it took."""

    def __init__(self, providers: Providers) -> None:
        key = providers.openrouter_api_key.get_secret_value()
        if not key:
            log.warning("OPENROUTER_API_KEY is not set: only models under %s can answer", LOCAL)
        self._openrouter = openai.AsyncOpenAI(base_url=providers.openrouter_base_url, api_key=key or "unset")
        # An Ollama that is off stays off for longer than L1 has: the layer below answers at once instead.
        self._ollama = openai.AsyncOpenAI(base_url=providers.ollama_base_url, api_key="ollama", max_retries=0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._openrouter.close()
        await self._ollama.close()

    async def chat(self, layer: str, model: str, messages: Sequence[ChatCompletionMessageParam]) -> Said:
        """Ask a model.

        Raises:
            openai.OpenAIError: The model does not exist, or its provider does not answer.
        """
        client, name = self._reach(layer, model)
        # OpenRouter's own addition to the protocol: https://openrouter.ai/docs/use-cases/usage-accounting
        asked = {"usage": {"include": True}} if client is self._openrouter else None
        completion = await client.chat.completions.create(model=name, messages=messages, extra_body=asked)
        _record(completion.usage, model)
        return Said(completion.choices[0].message.content or "", model)

    async def embed(self, model: str, dimension: int, text: str) -> list[float]:
        """Turn a text into a vector of so many dimensions.

        Raises:
            openai.OpenAIError: As above, or the model does not have so many dimensions.
        """
        client, name = self._reach("embeddings", model)
        answer = await client.embeddings.create(model=name, input=text, dimensions=dimension)
        _record(answer.usage)
        return answer.data[0].embedding

    def _reach(self, layer: str, model: str) -> tuple[openai.AsyncOpenAI, str]:
        logging.getLogger(f"aura.{layer}").info("Using model: %s", model)
        if model.startswith(LOCAL):
            return self._ollama, model.removeprefix(LOCAL)
        return self._openrouter, model


def _record(usage: CompletionUsage | EmbeddingUsage | None, model: str | None = None) -> None:
    """Add what a call took, and its model, to the request's row; OpenRouter says the cost too, in dollars."""
    request = windsock.current_request()
    if request is not None and usage is not None:
        received = usage.completion_tokens if isinstance(usage, CompletionUsage) else 0
        cost = getattr(usage, "cost", None)
        request.tokens(input=usage.prompt_tokens, output=received, cost=cost, model=model)
