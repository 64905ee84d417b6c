"""The cognitive architecture: how the layers work together on one message."""

import asyncio
import logging
from dataclasses import dataclass

import openai

import windsock
from aura.config import AuraSettings
from aura.engines import Embeddings, Instinct, Reasoning, Synthesis, Thought
from aura.memory import Memory
from aura.models import Models, Said

log = logging.getLogger("aura")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user gets: the synthesis, and what it was made of."""

    said: Said
    instinct: Said | None
    memories: list[str]


class Mind:
    """Reacts, recalls and synthesises while the user waits; analyses afterwards, for the next answer."""

    def __init__(self, models: Models, memory: Memory) -> None:
        self._instinct, self._reasoning = Instinct(models), Reasoning(models)
        self._synthesis, self._embeddings = Synthesis(models), Embeddings(models, memory)
        self.analyses: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, user_id: str, message: str) -> Answer:
        """Answer one message of a user with that user's models.

        Raises:
            openai.OpenAIError: L3 has no model that answers.
            aura.memory.MismatchError: The embedding settings do not fit what is stored.
        """
        with windsock.request(user_id=user_id):
            mine = AuraSettings.for_user(user_id)
            memories = await self._recall(user_id, message, mine)
            instinct = await self._instinct.react(message, mine)
            analysis = self.analyses.get(user_id, "")
            thought = Thought(message, instinct.text if instinct else "", memories, analysis)
            said = await self._synthesis.answer(thought, mine)
        task = asyncio.create_task(self._analyse(user_id, message), name=f"aura-l2-{user_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Answer(said, instinct, memories)

    async def _recall(self, user_id: str, message: str, mine: AuraSettings) -> list[str]:
        """Recall, or answer without memories; a message of an outage is not remembered."""
        try:
            async with asyncio.timeout(mine.embeddings_seconds):
                return await self._embeddings.recall(user_id, message, mine)
        except (TimeoutError, openai.OpenAIError) as error:
            reason = str(error) or f"slower than {mine.embeddings_seconds} s"
            log.warning("there are no memories for this message (%s); answering without", reason)
            return []

    async def close(self) -> None:
        """Wait for the analyses under way."""
        await asyncio.gather(*self._tasks)

    async def _analyse(self, user_id: str, message: str) -> None:
        try:
            with windsock.request(user_id=user_id):
                said = await self._reasoning.analyse(message, AuraSettings.for_user(user_id))
        except openai.OpenAIError as error:
            log.warning("L2 has no analysis for user %s (%s); the last one stays", user_id, error)
        else:
            self.analyses[user_id] = said.text
