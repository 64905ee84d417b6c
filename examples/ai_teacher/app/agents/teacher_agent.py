"""The teacher: first who asks and with which settings, then the passages, then the answer."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID

from langgraph.graph import END, START, StateGraph

from app.core.config import Settings
from app.services.config_manager import ConfigManager, config_of
from app.services.llm import Answer, LLMService, Used
from app.services.retrieval_pipeline import RetrievalPipeline, Retrieved
from app.services.wallet import Wallets


class TeacherState(TypedDict, total=False):
    """What the steps hand on.

    One message is answered with one state of the settings: they are read once, by `initialize_session`, so a
    change in the database reaches the next message and never the middle of one.
    """

    user_id: UUID
    query: str
    tier: str | None
    settings: Settings
    config: dict[str, object]  # the profile merged over the defaults; empty for a user without a profile
    retrieved: Retrieved
    answer: Answer


@dataclass(frozen=True, slots=True)
class Services:
    """What the agent works with."""

    wallets: Wallets
    config_manager: ConfigManager
    retrieval: RetrievalPipeline
    llm: LLMService


class TeacherAgent:
    """The graph: `initialize_session`, then `retrieve` and `generate`; a refused user ends it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        graph = StateGraph(TeacherState)
        graph.add_node("initialize_session", self.initialize_session)
        graph.add_node("retrieve", self.retrieve)
        graph.add_node("generate", self.generate)
        graph.add_edge(START, "initialize_session")
        graph.add_edge("initialize_session", "retrieve")
        graph.add_edge("retrieve", "generate")
        graph.add_edge("generate", END)
        self._graph = graph.compile()

    def answer(self, user_id: UUID, query: str) -> TeacherState:
        """Answer one message.

        Raises:
            Refused: The wallet does not allow it.
            openai.OpenAIError: No model answered, the default one neither.
        """
        given: TeacherState = {"user_id": user_id, "query": query}
        state: TeacherState = self._graph.invoke(given)  # type: ignore[assignment]  # langgraph says dict
        return state

    def stream(self, user_id: UUID, query: str) -> Iterator[str | Used]:
        """Answer one message in parts, and say at the end what it used.

        The first part is there when this returns, so a model that fails before it is healed as in `answer`.

        Raises:
            Refused: The wallet does not allow it.
            openai.OpenAIError: No model answered, the default one neither.
        """
        state: TeacherState = {"user_id": user_id, "query": query}
        state |= self.initialize_session(state)
        state |= self.retrieve(state)
        with ExitStack() as stack:
            stack.enter_context(self._charged(state))
            parts = self._services.llm.stream_answer(query, state["retrieved"].best, state["settings"])
            return _until_the_end(stack.pop_all(), parts)

    def initialize_session(self, state: TeacherState) -> TeacherState:
        """Verify wallet and tier (this was `check_wallet`), and only then read the user's configuration."""
        tier = self._services.wallets.check(state["user_id"])
        user_settings = self._services.config_manager.load(str(state["user_id"]), tier=tier)
        return {"tier": tier, "settings": user_settings, "config": config_of(user_settings)}

    def retrieve(self, state: TeacherState) -> TeacherState:
        """Find what to answer from."""
        return {"retrieved": self._services.retrieval.retrieve(state["query"], state["settings"])}

    def generate(self, state: TeacherState) -> TeacherState:
        """Take the credits for an answer, and answer; without an answer they are given back."""
        with self._charged(state):
            answer = self._services.llm.generate_answer(
                state["query"], state["retrieved"].best, state["settings"]
            )
        return {"answer": answer}

    def _charged(self, state: TeacherState) -> AbstractContextManager[None]:
        tuned = state["settings"]
        return self._services.wallets.charged(
            state["user_id"], tuned.message_credits, tuned.answer_without_wallet
        )


def _until_the_end(stack: ExitStack, parts: Iterator[str | Used]) -> Iterator[str | Used]:
    with stack:
        yield from parts
