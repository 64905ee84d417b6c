"""The way to the models: `local/…` goes to Ollama, the rest to OpenRouter; both speak OpenAI's protocol."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import openai
from openai.types.chat import ChatCompletionMessageParam

from aura.config import Providers

LOCAL = "local/"


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said, and what it took; the cost in dollars, where its provider says it."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: float | None


class Models:
    """Two clients, as an async context manager; every call says in the log which model it uses."""

    def __init__(self, providers: Providers) -> None:
        self._openrouter = openai.AsyncOpenAI(
            base_url=providers.openrouter_base_url,
            api_key=providers.openrouter_api_key.get_secret_value() or "unset",
        )
        self._ollama = openai.AsyncOpenAI(base_url=providers.ollama_base_url, api_key="ollama")

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
        usage = completion.usage
        return Said(
            text=completion.choices[0].message.content or "",
            model=model,
            input_tokens=usage.prompt_tokens if usage else 0,
            output_tokens=usage.completion_tokens if usage else 0,
            cost=getattr(usage, "cost", None),
        )

    async def embed(self, model: str, dimension: int, text: str) -> list[float]:
        """Turn a text into a vector of so many dimensions.

        Raises:
            openai.OpenAIError: As above, or the model does not have so many dimensions.
        """
        client, name = self._reach("embeddings", model)
        answer = await client.embeddings.create(model=name, input=text, dimensions=dimension)
        return answer.data[0].embedding

    def _reach(self, layer: str, model: str) -> tuple[openai.AsyncOpenAI, str]:
        logging.getLogger(f"aura.{layer}").info("Using model: %s", model)
        if model.startswith(LOCAL):
            return self._ollama, model.removeprefix(LOCAL)
        return self._openrouter, model
