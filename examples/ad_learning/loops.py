"""The seven learning loops: each reads and writes the system's tables, with the settings in force."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict

from .ad_platform import AdPlatform
from .config_loader import for_campaign, is_feature_enabled
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
    if platform.account_id:
        reports = await asyncio.to_thread(lambda: list(platform.reports()))
        for report in reports:
            fetched += (await connection.execute(QUERIES["store_report"], asdict(report))).rowcount
        seen = {"account": platform.account_id, "ads": [report.ad_id for report in reports]}
        await connection.execute(QUERIES["know_account"], seen)
    return await _apply_reports(connection) | {"fetched": fetched}


_find_winners = _by_query("winner_detection")


async def _detect_winners(connection: Connection) -> Result:
    """Look at every ad by the rule in SQL; the campaigns whose thresholds are read here count as exposed."""
    rows = await (await connection.execute(QUERIES["watched_campaigns"])).fetchall()
    watched = [for_campaign(campaign, account).winner_detection for campaign, account in rows]
    return await _find_winners(connection) | {"campaigns": len(watched)}


def _smoothing() -> dict[str, object]:
    return Learning.live().campaign_learning.model_dump()


async def _promote_winners(connection: Connection) -> Result:
    """Ask for more budget for winners, each by the settings of its campaign."""
    rows = await (await connection.execute(QUERIES["winners_campaigns"])).fetchall()
    campaigns = {campaign: for_campaign(campaign, account) for campaign, account in rows}
    enabled = {key: each.auto_promoter for key, each in campaigns.items() if each.feature_flags.auto_promoter}
    if not enabled and not is_feature_enabled("auto_promoter"):
        return {"status": "disabled", "reason": "Feature flag disabled"}
    values = {
        "campaigns": list(enabled),
        "increases": [each.budget_increase_pct for each in enabled.values()],
        "hours": [each.min_hours_between_promotions for each in enabled.values()],
        "limit": Learning.live().auto_promoter.max_promotions_per_cycle,
    }
    cursor = await connection.execute(QUERIES["auto_promoter"], values)
    return {"status": "completed", "rows": cursor.rowcount}


LOOPS: Mapping[str, Run] = {
    "actuals_fetcher": _fetch_actuals,
    "creative_dna": _by_query("creative_dna"),
    "compound_learner": _by_query("compound_learner", _smoothing),
    "winner_detection": _detect_winners,
    "rag_indexing": index_winners,
    "model_evaluation": _by_query(
        "model_evaluation", lambda: {"min_samples": Learning.live().model_evaluation.min_samples}
    ),
    "auto_promoter": _promote_winners,
}
