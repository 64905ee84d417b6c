"""The layers. Each reads its model from the settings at every call, so a swap reaches the next one."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from openai import OpenAIError
from openai.types.chat import ChatCompletionMessageParam

import windsock
from aura.config import AuraSettings, settings
from aura.memory import Memory, MismatchError
from aura.models import Models, Said

log = logging.getLogger("aura")


@dataclass(frozen=True, slots=True)
class Thought:
    """What L3 makes its answer of."""

    message: str
    instinct: str
    memories: Sequence[str]
    analysis: str


class Instinct:
    """L1: a fast first reaction, or none in time."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def react(self, message: str, settings: AuraSettings = settings) -> Said | None:
        """React to a message within `l1_seconds`; None where the model is slower or fails."""
        asked = _messages("React to this in one short sentence.", message)
        try:
            async with asyncio.timeout(settings.l1_seconds):
                return await windsock.aheal(settings, lambda s: self._models.chat("l1", s.l1_model, asked))
        except (TimeoutError, OpenAIError) as error:
            reason = str(error) or f"slower than {settings.l1_seconds} s"
            log.warning("L1 has no instinct for this message (%s); answering without", reason)
            return None


class Reasoning:
    """L2: a deep analysis that nobody waits for; the next answer has it."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def analyse(self, message: str, settings: AuraSettings = settings) -> Said:
        """Analyse a message."""
        asked = _messages("Analyse what this person needs, step by step.", message)
        return await windsock.aheal(settings, lambda s: self._models.chat("l2", s.l2_model, asked))


class Synthesis:
    """L3: the answer."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def answer(self, thought: Thought, settings: AuraSettings = settings) -> Said:
        """Answer from the instinct, the memories and the last analysis."""
        known = [
            f"Instinct: {thought.instinct}",
            f"Analysis: {thought.analysis}",
            *(f"Earlier: {text}" for text in thought.memories),
        ]
        asked = _messages("\n".join(["Answer this person.", *known]), thought.message)
        return await windsock.aheal(settings, lambda s: self._models.chat("l3", s.l3_model, asked))


class Embeddings:
    """Recalls what a user said before, and remembers what is said now."""

    def __init__(self, models: Models, memory: Memory) -> None:
        self._models, self._memory = models, memory

    async def recall(self, user_id: str, text: str, settings: AuraSettings = settings) -> list[str]:
        """Give the user's most similar texts, and remember this one.

        Raises:
            MismatchError: Neither these settings nor those below them fit the stored vectors.
        """

        async def attempt(s: AuraSettings) -> list[str]:
            self._memory.check(s.embeddings_model, s.embeddings_dimension)
            vector = await self._models.embed(s.embeddings_model, s.embeddings_dimension, text)
            if len(vector) != s.embeddings_dimension:
                raise MismatchError(
                    "embeddings_dimension",
                    f"{s.embeddings_model} gives {len(vector)} dimensions, not {s.embeddings_dimension}: "
                    f"set embeddings_dimension to {len(vector)}",
                )
            recalled = self._memory.nearest(user_id, vector)
            self._memory.add(user_id, text, s.embeddings_model, vector)
            return recalled

        return await windsock.aheal(settings, attempt)


def _messages(instruction: str, message: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": instruction}, {"role": "user", "content": message}]
