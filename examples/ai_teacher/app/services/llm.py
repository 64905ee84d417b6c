"""Asks the language model. A tuned value that breaks the call costs the user nothing but time."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import openai
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam

import windsock
from app.core.config import Prices, Settings, our_logs, settings
from app.services.retrieval_pipeline import Passage

_INSTRUCTION = "You are a patient teacher. Answer from these passages; say so if they do not hold the answer."


@dataclass(frozen=True, slots=True)
class Used:
    """What an answer took, and of which model, as the settings name it; without a price, the cost is None."""

    model: str
    input_tokens: int
    output_tokens: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, which one it was, and what it took."""

    text: str
    model: str
    used: Used


@dataclass(slots=True)
class Attempts:
    """The settings that a message was tried with, the user's first, and why each of them failed."""

    tried: list[Settings] = field(default_factory=list)
    errors: list[openai.OpenAIError] = field(default_factory=list)

    @contextmanager
    def of(self, tuned: Settings) -> Iterator[None]:
        """Note that these settings are tried, and why they failed if they do."""
        self.tried.append(tuned)
        try:
            yield
        except openai.OpenAIError as error:
            self.errors.append(error)
            raise


class LLMService:
    """The OpenAI API, at `OPENAI_BASE_URL` with `OPENAI_API_KEY`, which the client reads itself."""

    def __init__(self, client: openai.OpenAI, prices: Prices) -> None:
        self._client, self._prices = client, prices

    def generate_answer(self, query: str, context: Sequence[Passage], config_params: Settings) -> Answer:
        """Answer a question from passages, with the user's model or, if that fails, with the default.

        Where the profile had a model that worked until now, that one comes before the default.

        Raises:
            openai.OpenAIError: The default failed as well.
        """
        attempts = Attempts()

        def attempt(tuned: Settings) -> Answer:
            with attempts.of(tuned):
                return self._call_openai(query, context, tuned)

        answer = windsock.heal(config_params, attempt)
        _log_fallback(attempts)
        return answer

    def stream_answer(
        self, query: str, context: Sequence[Passage], config_params: Settings
    ) -> Iterator[str | Used]:
        """Answer in parts, and give at the end what they took; a failure before the first part is healed.

        Raises:
            openai.OpenAIError: The default failed as well.
        """
        attempts = Attempts()

        def attempt(tuned: Settings) -> Generator[str | Used]:
            with attempts.of(tuned):
                yield from self._stream_openai(query, context, tuned)

        parts = windsock.heal(config_params, attempt)
        _log_fallback(attempts)
        return parts

    def _call_openai(self, query: str, context: Sequence[Passage], tuned: Settings) -> Answer:
        completion = self._client.chat.completions.create(
            model=tuned.reasoning_model,
            temperature=tuned.temperature,
            max_completion_tokens=tuned.max_answer_tokens,
            messages=_messages(query, context),
        )
        text = completion.choices[0].message.content or ""
        return Answer(text, completion.model, self._used(tuned.reasoning_model, completion.usage))

    def _stream_openai(
        self, query: str, context: Sequence[Passage], tuned: Settings
    ) -> Generator[str | Used]:
        model = tuned.reasoning_model
        with self._client.chat.completions.create(
            model=model,
            temperature=tuned.temperature,
            max_completion_tokens=tuned.max_answer_tokens,
            messages=_messages(query, context),
            stream=True,
            stream_options={"include_usage": True},
        ) as chunks:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content
                if chunk.usage:
                    yield self._used(model, chunk.usage)

    def _used(self, model: str, usage: CompletionUsage | None) -> Used:
        sent, received = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        return Used(model, sent, received, self._prices.cost(model, sent, received))


def _messages(query: str, context: Sequence[Passage]) -> list[ChatCompletionMessageParam]:
    passages = "\n".join(f"{passage.title}: {passage.text}" for passage in context)
    return [
        {"role": "system", "content": f"{_INSTRUCTION}\n\n{passages}"},
        {"role": "user", "content": query},
    ]


def _log_fallback(attempts: Attempts) -> None:
    """Say which parameters failed and what answered instead; called once something has answered."""
    if not attempts.errors:
        return
    first, answered, default = map(windsock.explain, (attempts.tried[0], attempts.tried[-1], settings))
    failed, instead = [], []
    for name in Settings.model_fields:
        before, after = first[name].value, answered[name].value
        if before != after:
            # the document's line has the model without its name
            failed.append(str(before) if name == "reasoning_model" else f"{name}={before}")
            usual = after == default[name].value
            instead.append("default" if usual else f"{name}={after}, {_whence(answered[name].layer)}")
    our_logs.error(
        "Config parameter %s failed: %s. Falling back to %s.",
        ", ".join(failed),
        str(attempts.errors[0]).rstrip(". "),
        ", ".join(dict.fromkeys(instead)),
    )


def _whence(layer: str) -> str:
    return "the last value that worked" if layer == "last good" else f"from the {layer} layer"
