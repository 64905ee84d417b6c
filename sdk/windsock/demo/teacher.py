"""The demo's own service: an AI teacher in the demo's process, built from its settings and a model."""

import statistics
import time
from collections.abc import Mapping, Sequence

from pydantic import Field

import windsock
from windsock.demo.stage import Stage
from windsock.demo.story import Message

PASSAGES = [f"passage {number}" for number in range(1, 201)]


class Teacher(windsock.Settings, flag="teacher"):
    """The settings of the demo's service: an AI teacher that searches, ranks and asks a model."""

    retrieval_top_k: int = Field(10, ge=1, le=200)
    rerank_top_n: int = Field(3, ge=1)
    reasoning_model: str = Field("gpt-4o-mini", validation_alias="OPENAI_CHAT_MODEL")
    temperature: float = Field(0.7, ge=0, le=2)


class OwnTeaching:
    """Answers in the demo's process, from passages without content."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def ask(self, user: str) -> Message:
        """Answer one message, as a service would."""
        began = time.perf_counter()
        with windsock.request(user_id=user) as request:
            teacher = Teacher.for_user(user)
            found = PASSAGES[: teacher.retrieval_top_k]
            best = found[: teacher.rerank_top_n]
            question = f"why is the sky blue? (from {len(best)} of {len(found)} passages)"
            reply = windsock.heal(
                teacher,
                lambda settings: self._stage.client.chat.completions.create(
                    model=settings.reasoning_model,
                    temperature=settings.temperature,
                    messages=[{"role": "user", "content": question}],
                ),
            )
            if reply.usage is not None:
                request.tokens(input=reply.usage.prompt_tokens, output=reply.usage.completion_tokens)
        milliseconds = (time.perf_counter() - began) * 1000
        return Message(
            teacher.model_dump(),
            reply.model,
            reply.choices[0].message.content or "",
            str(windsock.explain(teacher)),
            milliseconds,
        )

    def value(self, user: str, name: str) -> object:
        """The value that the user's next message would use."""
        return getattr(Teacher.for_user(user), name)

    def log(self) -> Sequence[str]:
        """Windsock's log so far."""
        return self._stage.log

    def reading(self, user: str) -> Mapping[str, float]:
        """Milliseconds to read a user's settings."""
        return {"of which reading her settings": _reading_milliseconds(user)}


def _reading_milliseconds(user: str) -> float:
    """The median time of many reads of a user's settings, all four fields."""
    taken = []
    for _ in range(10_000):
        began = time.perf_counter_ns()
        teacher = Teacher.for_user(user)
        _ = teacher.retrieval_top_k, teacher.rerank_top_n, teacher.reasoning_model, teacher.temperature
        taken.append(time.perf_counter_ns() - began)
    return statistics.median(taken) / 1e6
