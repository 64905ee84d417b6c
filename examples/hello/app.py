"""A small service that shows what windsock decides: for one user, and for the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Path, Response, status
from pydantic import Field

import windsock


class Teacher(windsock.Settings, flag="teacher"):
    """Tuned per user by profiles, and for everyone by `flagd/teacher.flagd.json`."""

    retrieval_top_k: int = Field(10, ge=1, le=200)
    rerank_top_n: int = Field(3, ge=1)
    reasoning_model: str = Field("gpt-4o-mini", validation_alias="OPENAI_CHAT_MODEL")
    temperature: float = Field(0.7, ge=0, le=2)


class Aura(windsock.Settings, flag="aura"):
    """Swapped by the environment: `AURA_L1_MODEL=google/gemma-7b-it docker compose up`."""

    l1_model: str = Field("mistralai/mistral-7b-instruct", validation_alias="AURA_L1_MODEL")
    l2_model: str = Field("anthropic/claude-3.5-sonnet", validation_alias="AURA_L2_MODEL")
    l3_model: str = Field("deepseek/deepseek-chat", validation_alias="AURA_L3_MODEL")
    embeddings_model: str = Field("openai/text-embedding-3-small", validation_alias="AURA_EMBEDDING_MODEL")
    embeddings_dimension: int = Field(1536, ge=1, validation_alias="AURA_EMBEDDING_DIMENSION")


aura = Aura.live()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Serve flags for as long as the application runs."""
    windsock.start()
    yield
    windsock.stop()


app = FastAPI(title="hello, windsock", lifespan=lifespan)


@app.get("/users/{user_id}")
def settings_of(user_id: Annotated[str, Path(max_length=256)]) -> dict[str, object]:
    """Give a user's settings and, for each, where its value comes from."""
    return windsock.explain(Teacher.for_user(user_id)).to_dict()


@app.get("/health")
def health() -> dict[str, object]:
    """Tell that the process answers, and what it runs on; flags that cannot be had are no failure of it."""
    return {"status": "ok", "models": aura.model_dump(), "flags": windsock.health()}


@app.get("/ready")
def ready(response: Response) -> dict[str, object]:
    """Answer 503 until the sentinel, the flag `teacher`, has been evaluated; an open port is not enough."""
    reason = windsock.explain(Teacher.live()).reasons["teacher"]
    evaluated = not reason.startswith("ERROR")
    if not evaluated:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return {"ready": evaluated, "reason": reason}
