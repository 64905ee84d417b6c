"""The seven learning loops: each reads and writes the system's tables, with the settings in force."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict

from .ad_platform import AdPlatform
from .config_loader import is_feature_enabled
from .indexing import index_winners
from .queries import QUERIES, Connection, Result, Run
from .settings import Learning


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


def _promotion() -> dict[str, object]:
    return Learning.live().auto_promoter.model_dump()


def _smoothing() -> dict[str, object]:
    return Learning.live().campaign_learning.model_dump()


_promote = _by_query("auto_promoter", _promotion)


async def _promote_winners(connection: Connection) -> Result:
    if not is_feature_enabled("auto_promoter"):
        return {"status": "disabled", "reason": "Feature flag disabled"}
    return await _promote(connection)


LOOPS: Mapping[str, Run] = {
    "actuals_fetcher": _fetch_actuals,
    "creative_dna": _by_query("creative_dna"),
    "compound_learner": _by_query("compound_learner", _smoothing),
    "winner_detection": _by_query("winner_detection"),
    "rag_indexing": index_winners,
    "model_evaluation": _by_query(
        "model_evaluation", lambda: {"min_samples": Learning.live().model_evaluation.min_samples}
    ),
    "auto_promoter": _promote_winners,
}
