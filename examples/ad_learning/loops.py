"""The seven learning loops: each reads and writes the system's tables, with the settings in force."""

import asyncio
import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any, TypeAlias

import psycopg

from .ad_platform import AdPlatform
from .config_loader import is_feature_enabled
from .settings import Learning

Result: TypeAlias = dict[str, object]
Connection: TypeAlias = "psycopg.AsyncConnection[Any]"
Run: TypeAlias = Callable[[Connection], Awaitable[Result]]


def _read_queries() -> Mapping[str, bytes]:
    """The queries of `queries.sql` by the name in the line above each."""
    _, *parts = files(__package__).joinpath("queries.sql").read_text(encoding="utf-8").split("-- name: ")
    named = (part.split("\n", 1) for part in parts)
    return {name.strip(): text.strip().encode() for name, text in named}


QUERIES = _read_queries()


def _by_query(name: str, parameters: Callable[[], Mapping[str, object]] = dict) -> Run:
    """A loop that is one statement; it tells how many rows it wrote."""

    async def run(connection: Connection) -> Result:
        cursor = await connection.execute(QUERIES[name], parameters() or None)
        return {"status": "completed", "rows": cursor.rowcount}

    return run


_apply_reports = _by_query("actuals_fetcher")


async def _fetch_actuals(connection: Connection) -> Result:
    """Read the platform's reports, where an account is named, and bring the ads up to date."""
    platform = AdPlatform()
    fetched = 0
    if platform.has_account:
        for report in await asyncio.to_thread(lambda: list(platform.reports())):
            fetched += (await connection.execute(QUERIES["store_report"], asdict(report))).rowcount
    return await _apply_reports(connection) | {"fetched": fetched}


async def _index_winners(connection: Connection) -> Result:
    """Give winners their place in the index; a job whose ad is gone has failed for good."""
    settings = Learning.live().rag_indexing
    done = failed = 0
    async with connection.transaction():
        cursor = await connection.execute(QUERIES["take_index_jobs"], {"limit": settings.batch_size})
        for job, _, ad_id, campaign_id, video_id, attributes in await cursor.fetchall():
            if ad_id is None:
                outcome = {"id": job, "status": "failed", "error": "the ad is gone"}
                failed += 1
            else:
                words = [campaign_id, video_id or "", *(attributes or [])]
                embedding = embed(words, settings.embedding_dimension)
                await connection.execute(QUERIES["store_index"], {"ad_id": ad_id, "embedding": embedding})
                outcome = {"id": job, "status": "done", "error": None}
                done += 1
            await connection.execute(QUERIES["finish_job"], outcome)
    return {"status": "completed", "rows": done, "failed": failed}


def embed(words: Sequence[object], dimension: int) -> list[float]:
    """Place words in a space by feature hashing: like ads get like places, and no model is asked.

    Args:
        words: What an ad has: campaign, video, attributes.
        dimension: Length of the vector, which is scaled to 1.
    """
    vector = [0.0] * dimension
    for word in words:
        digest = hashlib.sha256(str(word).encode()).digest()
        vector[int.from_bytes(digest[:8]) % dimension] += 1.0 if digest[8] % 2 else -1.0
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]


def _promotion() -> dict[str, object]:
    return Learning.live().auto_promoter.model_dump()


_promote = _by_query("auto_promoter", _promotion)


async def _promote_winners(connection: Connection) -> Result:
    if not is_feature_enabled("auto_promoter"):
        return {"status": "disabled", "reason": "Feature flag disabled"}
    return await _promote(connection)


LOOPS: Mapping[str, Run] = {
    "actuals_fetcher": _fetch_actuals,
    "creative_dna": _by_query("creative_dna"),
    "compound_learner": _by_query("compound_learner"),
    "winner_detection": _by_query("winner_detection"),
    "rag_indexing": _index_winners,
    "model_evaluation": _by_query(
        "model_evaluation", lambda: {"min_samples": Learning.live().model_evaluation.min_samples}
    ),
    "auto_promoter": _promote_winners,
}
