"""The HTTP face of the teacher. Who the caller is, is for the gateway before it to know."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Annotated
from uuid import UUID

import openai
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

import windsock
from app.agents.teacher_agent import Services, TeacherAgent
from app.core.config import Prices, WalletOptions, settings
from app.services.config_manager import ConfigManager, config_id_of
from app.services.llm import LLMService, Used
from app.services.retrieval_pipeline import RetrievalPipeline
from app.services.wallet import Refused, Wallets
from windsock.contrib.asgi import RequestMiddleware


class Message(BaseModel):
    """What a user asks."""

    user_id: UUID
    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Reply(BaseModel):
    """What the user gets, and what it was made with."""

    answer: str
    model: str = Field(description="The model that answered")
    passages_found: int
    passages_read: list[str]
    config_id: UUID | None
    config: dict[str, object] = Field(description="The profile over the defaults; empty without a profile")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Serve flags, wallets and the index for as long as the application runs."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    with (
        openai.OpenAI() as client,
        closing(RetrievalPipeline()) as retrieval,
        closing(Wallets(WalletOptions())) as wallets,
    ):
        llm = LLMService(client, Prices())
        windsock.start()
        wallets.open()
        services = app.state.services = Services(wallets, ConfigManager(), retrieval, llm)
        app.state.teacher = TeacherAgent(services)
        yield
        windsock.stop()


app = FastAPI(title="AI Teacher", lifespan=lifespan)
app.add_middleware(RequestMiddleware)  # each request is a row in usage_logs


@app.post("/chat")
def chat(message: Message, request: Request) -> Reply:
    """Answer one message. 402: the wallet is empty. 502: no model answered. 503: no wallet can be read."""
    with _problems():
        state = request.app.state.teacher.answer(message.user_id, message.message)
    answer, retrieved = state["answer"], state["retrieved"]
    _count(answer.used)
    return Reply(
        answer=answer.text,
        model=answer.model,
        passages_found=retrieved.found,
        passages_read=[passage.title for passage in retrieved.best],
        config_id=config_id_of(state["settings"]),
        config=state["config"],
    )


@app.post("/chat/stream")
def chat_stream(message: Message, request: Request) -> StreamingResponse:
    """Answer one message in parts, as text. Until the first part, errors are those of `/chat`."""
    with _problems():
        parts = request.app.state.teacher.stream(message.user_id, message.message)
    return StreamingResponse(_text_of(parts), media_type="text/plain; charset=utf-8")


@app.get("/users/{user_id}/settings")
def settings_of(user_id: UUID, request: Request) -> dict[str, object]:
    """Give what a user's next message would use and, for each setting, where its value comes from."""
    services: Services = request.app.state.services
    try:
        tier = services.wallets.check(user_id)
    except Refused as refused:
        tier = refused.tier
    return windsock.explain(services.config_manager.load(str(user_id), tier=tier)).to_dict()


@app.get("/health")
def health() -> dict[str, object]:
    """Tell that the process answers, with which defaults, and what serves its flags."""
    return {"status": "ok", "settings": settings.model_dump(), "flags": windsock.health()}


def _text_of(parts: Iterator[str | Used]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Used):
            _count(part)
        else:
            yield part


def _count(used: Used) -> None:
    """Note in the request's row of usage_logs what its answer took."""
    if request := windsock.current_request():
        request.tokens(input=used.input_tokens, output=used.output_tokens, cost=used.cost, model=used.model)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        if refused.later:
            raise HTTPException(503, str(refused), {"Retry-After": "5"}) from refused
        raise HTTPException(402, str(refused)) from refused
    except openai.OpenAIError as error:
        raise HTTPException(502, f"the language model did not answer: {error}") from error
