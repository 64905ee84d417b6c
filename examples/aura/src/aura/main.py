"""The HTTP face of Aura. Who the caller is, is for the gateway before it to know."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Annotated

import openai
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, StringConstraints

import windsock
from aura.config import Providers, settings
from aura.memory import Memory, MismatchError
from aura.mind import Mind
from aura.models import Models

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Message(BaseModel):
    """What a user says."""

    user_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    message: Text


class Reply(BaseModel):
    """What the user gets."""

    answer: str
    model: str = Field(description="The model of L3 that answered")
    instinct: str | None
    memories: list[str] = Field(description="What the user said before that is most like this")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Serve flags, models and memory for as long as the application runs."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    providers = Providers()
    with closing(Memory(providers.aura_memory_path)) as memory:
        async with Models(providers) as models:
            windsock.start()
            _log_models()
            app.state.memory, app.state.mind = memory, Mind(models, memory)
            yield
            await app.state.mind.close()
            windsock.stop()


app = FastAPI(title="Aura", lifespan=lifespan)


@app.post("/chat")
async def chat(message: Message, request: Request) -> Reply:
    """Answer a message. 409: the embedding settings do not fit the memory. 502: no model answered."""
    try:
        answer = await request.app.state.mind.answer(message.user_id, message.message)
    except MismatchError as error:
        raise HTTPException(409, str(error)) from error
    except openai.OpenAIError as error:
        raise HTTPException(502, f"no model answered: {error}") from error
    return Reply(
        answer=answer.said.text,
        model=answer.said.model,
        instinct=answer.instinct.text if answer.instinct else None,
        memories=answer.memories,
    )


@app.get("/users/{user_id}/analysis")
async def analysis(user_id: str, request: Request) -> dict[str, str]:
    """Give what L2 made of the user's last message; empty while it thinks."""
    return {"analysis": request.app.state.mind.analyses.get(user_id, "")}


@app.get("/health")
async def health(request: Request) -> dict[str, object]:
    """Tell the model configuration in force, where each value comes from, and whether the memory fits it."""
    configuration = {
        field.field: {
            "value": field.value,
            "from": field.variable or field.variant or "code",
            "layer": field.layer,
        }
        for field in windsock.explain(settings).fields
    }
    refused = ""
    try:
        request.app.state.memory.check(settings.embeddings_model, settings.embeddings_dimension)
    except MismatchError as error:
        refused = str(error)
    return {"status": "ok", "models": configuration, "memory_refuses": refused, "flags": windsock.health()}


def _log_models() -> None:
    """Say at the start which model each part uses, as every call does."""
    used = {
        "l1": settings.l1_model,
        "l2": settings.l2_model,
        "l3": settings.l3_model,
        "embeddings": settings.embeddings_model,
    }
    for part, model in used.items():
        logging.getLogger(f"aura.{part}").info("Using model: %s", model)
