"""The teacher: first who asks and with which settings, then the passages, then the answer."""

from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID

from langgraph.graph import END, START, StateGraph

from app.core.config import Settings
from app.services.config_manager import ConfigManager, config_of
from app.services.llm import Answer, LLMService
from app.services.retrieval_pipeline import RetrievalPipeline, Retrieved
from app.services.wallet import Wallets


class TeacherState(TypedDict, total=False):
    """What the steps hand on.

    One message is answered with one state of the settings: they are read once, by `initialize_session`, so a
    change in the database reaches the next message and never the middle of one.
    """

    user_id: UUID
    query: str
    refusal: str
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
    """The graph: `initialize_session`, then `retrieve` and `generate`, or the end for a refused user."""

    def __init__(self, services: Services) -> None:
        self._services = services
        graph = StateGraph(TeacherState)
        graph.add_node("initialize_session", self.initialize_session)
        graph.add_node("retrieve", self.retrieve)
        graph.add_node("generate", self.generate)
        graph.add_edge(START, "initialize_session")
        graph.add_conditional_edges(
            "initialize_session", lambda state: END if state["refusal"] else "retrieve", ["retrieve", END]
        )
        graph.add_edge("retrieve", "generate")
        graph.add_edge("generate", END)
        self._graph = graph.compile()

    def answer(self, user_id: UUID, query: str) -> TeacherState:
        """Answer one message; `refusal` says why there is no answer.

        Raises:
            openai.OpenAIError: No model answered, the default one neither.
        """
        given: TeacherState = {"user_id": user_id, "query": query}
        state: TeacherState = self._graph.invoke(given)  # type: ignore[assignment]  # langgraph says dict
        return state

    def initialize_session(self, state: TeacherState) -> TeacherState:
        """Verify wallet and tier (this was `check_wallet`), and only then read the user's configuration."""
        standing = self._services.wallets.check(state["user_id"])
        if standing.refusal:
            return {"refusal": standing.refusal}
        user_settings = self._services.config_manager.load(str(state["user_id"]), tier=standing.tier)
        return {
            "refusal": "",
            "tier": standing.tier,
            "settings": user_settings,
            "config": config_of(user_settings),
        }

    def retrieve(self, state: TeacherState) -> TeacherState:
        """Find what to answer from."""
        return {"retrieved": self._services.retrieval.retrieve(state["query"], state["settings"])}

    def generate(self, state: TeacherState) -> TeacherState:
        """Answer, and take the credits for it."""
        answer = self._services.llm.generate_answer(
            state["query"], state["retrieved"].best, state["settings"]
        )
        if state["tier"] is not None:  # a wallet that could not be read is not charged
            self._services.wallets.charge(state["user_id"], state["settings"].message_credits)
        return {"answer": answer}
