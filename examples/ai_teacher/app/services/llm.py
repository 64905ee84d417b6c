"""Asks the language model. A tuned value that breaks the call costs the user nothing but time."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import openai

import windsock
from app.core.config import Prices, Settings, our_logs, settings
from app.services.retrieval_pipeline import Passage

_INSTRUCTION = "You are a patient teacher. Answer from these passages; say so if they do not hold the answer."


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, which one it was, and what it took; the cost is None where no price is known."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: Decimal | None


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
        return windsock.heal(config_params, lambda tuned: self._attempt(query, context, tuned))

    def _attempt(self, query: str, context: Sequence[Passage], tuned: Settings) -> Answer:
        model = tuned.reasoning_model
        try:
            return self._call_openai(query, context, tuned)
        except openai.OpenAIError as error:
            if model != settings.OPENAI_CHAT_MODEL:
                our_logs.error("Config parameter %s failed: %s. Falling back to default.", model, error)
            raise  # `heal` takes it from here, and its own line in the log names the value that answered

    def _call_openai(self, query: str, context: Sequence[Passage], tuned: Settings) -> Answer:
        passages = "\n".join(f"{passage.title}: {passage.text}" for passage in context)
        completion = self._client.chat.completions.create(
            model=tuned.reasoning_model,
            temperature=tuned.temperature,
            max_completion_tokens=tuned.max_answer_tokens,
            messages=[
                {"role": "system", "content": f"{_INSTRUCTION}\n\n{passages}"},
                {"role": "user", "content": query},
            ],
        )
        usage = completion.usage
        sent, received = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        return Answer(
            text=completion.choices[0].message.content or "",
            model=completion.model,
            input_tokens=sent,
            output_tokens=received,
            cost=self._prices.cost(tuned.reasoning_model, sent, received),
        )
