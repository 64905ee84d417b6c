"""An embedding model gives winners places, like ads near each other, and they are found by likeness."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import openai
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

import windsock
from windsock.errors import ConfigurationError

from .config_loader import is_feature_enabled
from .queries import QUERIES, Connection, Result
from .settings import Learning

logger = logging.getLogger("ad_learning")


@dataclass(frozen=True, slots=True)
class Places:
    """Where texts lie, by one model; another model's places cannot be compared with them."""

    model: str
    vectors: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class SimilarWinner:
    """A winner that was found by its likeness.

    Attributes:
        likeness: Cosine of the angle between the two places, from -1 to 1; None where a place has no length.
    """

    ad_id: str
    likeness: float | None
    ctr: float | None
    roas: float | None


@dataclass(frozen=True, slots=True)
class _Winner:
    """An ad to index, and the job that asks for it, if one does."""

    job: int | None
    attempts: int
    ad_id: str | None
    campaign_id: str
    video_id: str | None
    attributes: object

    @property
    def text(self) -> str:
        words = self.attributes if isinstance(self.attributes, list) else []
        return " ".join(str(word) for word in [self.campaign_id, self.video_id or "", *words] if word)


class _Provider(BaseSettings):
    """Where the embedding model is: for the deployment to say, never a flag."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    openai_base_url: str = "https://api.openai.com/v1"
    openai_api_key: SecretStr = SecretStr("")


async def index_winners(connection: Connection) -> Result:
    """Index the winners that wait, then those that another model placed; as many as are taken at once."""
    if not is_feature_enabled("rag_auto_indexing"):
        return {"status": "disabled", "reason": "Feature flag disabled", "rows": 0}
    settings = Learning.live().rag_indexing
    async with connection.transaction():
        cursor = await connection.execute(QUERIES["take_index_jobs"], {"limit": settings.batch_size})
        rows = await cursor.fetchall()
        wanted = {
            "model": settings.embedding_model,
            "dimension": settings.embedding_dimension,
            "limit": settings.batch_size - len(rows),
        }
        rows += await (await connection.execute(QUERIES["take_stale_winners"], wanted)).fetchall()
        winners = [_Winner(*row) for row in rows]
        gone = [winner for winner in winners if winner.ad_id is None]
        for winner in gone:
            await _end(connection, winner, "failed", "the ad is gone")
        known = [winner for winner in winners if winner.ad_id is not None]
        done = await _index(connection, known) if known else 0
    return {"status": "completed", "rows": done, "failed": len(winners) - done}


async def find_similar(connection: Connection, text: str) -> list[SimilarWinner]:
    """Find the indexed winners that are most like a text: a campaign, a video, attributes."""
    places = await embed([text], Learning.live().workers.request_seconds)
    values = {
        "place": list(places.vectors[0]),
        "model": places.model,
        "limit": Learning.live().rag_indexing.similar_winners,
    }
    cursor = await connection.execute(QUERIES["nearest_winners"], values)
    return [SimilarWinner(*row) for row in await cursor.fetchall()]


async def embed(texts: Sequence[str], seconds: float | None = None) -> Places:
    """Ask the embedding model where texts lie; ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` say where it is.

    A model or a dimension that does not work is answered with the value of the layer below it.

    Args:
        texts: The texts.
        seconds: How long somebody waits for the answer, which isn't asked for again. Default: as long and as
            often as the indexing allows.

    Raises:
        ConfigurationError: There is no key.
        openai.OpenAIError: The endpoint does not answer, or not to these texts.
    """
    provider = _Provider()
    if not (key := provider.openai_api_key.get_secret_value()):
        raise ConfigurationError("OPENAI_API_KEY is not set; the embedding model is not asked without it")
    limits = Learning.live().rag_indexing
    async with openai.AsyncOpenAI(
        api_key=key,
        base_url=provider.openai_base_url,
        timeout=seconds or limits.model_seconds,
        max_retries=0 if seconds else limits.model_retries,  # somebody waits
    ) as client:

        async def attempt(settings: Learning) -> Places:
            model = settings.rag_indexing.embedding_model
            size = settings.rag_indexing.embedding_dimension
            answer = await client.embeddings.create(model=model, input=list(texts), dimensions=size)
            vectors = [each.embedding for each in answer.data]
            if any(len(vector) != size for vector in vectors):
                raise ValueError(f"embedding_dimension {size}: {model} gives {len(vectors[0])} dimensions")
            return Places(model, vectors)

        return await windsock.aheal(Learning.live(), attempt)


async def _index(connection: Connection, winners: Sequence[_Winner]) -> int:
    """Index winners with one call; where the model refuses a text, each of them with one of its own."""
    try:
        places = await embed([winner.text for winner in winners])
    except openai.BadRequestError as error:
        if error.param in {"model", "dimensions"}:  # not the texts' fault
            raise
        if len(winners) > 1:
            return sum([await _index(connection, [winner]) for winner in winners])
        await _refuse(connection, winners[0], error.message)
        return 0
    for winner, vector in zip(winners, places.vectors, strict=True):
        values = {
            "ad_id": winner.ad_id, "model": places.model, "dimension": len(vector), "embedding": list(vector)
        }  # fmt: skip
        await connection.execute(QUERIES["store_index"], values)
        await _end(connection, winner, "done", None)
    return len(winners)


async def _refuse(connection: Connection, winner: _Winner, reason: str) -> None:
    logger.error("winner %s cannot be indexed: %s", winner.ad_id, reason)
    last = winner.attempts + 1 >= Learning.live().rag_indexing.max_attempts
    await _end(connection, winner, "failed" if last else "pending", reason)


async def _end(connection: Connection, winner: _Winner, status: str, error: str | None) -> None:
    if winner.job is not None:
        values = {"id": winner.job, "status": status, "error": error}
        await connection.execute(QUERIES["end_index_attempt"], values)
