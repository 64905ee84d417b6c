"""When an ad is a winner; `migrations` holds the same rule for the database's trigger."""

import math

from windsock.experiments.statistics.e_processes import rate_evidence

from .settings import Learning, WinnerDetection


def is_winner(
    ctr: float, roas: float, hours_live: int, impressions: int, settings: Learning | None = None
) -> bool:
    """Tell whether an ad is a winner, by the thresholds in force.

    The document's rule takes the figures as they are. An ad is looked at every hour, so that one of 2.8 % is
    above 3 % at some hour in a quarter of all weeks (`bench/experiments_winners.py`). With `always_valid` the
    clicks must show it too, at every look. A ROAS has no counts behind it, so it shows nothing alone.

    Args:
        ctr: Clicks per impression; more than the threshold counts, as much does not.
        roas: Revenue per unit spent; likewise.
        hours_live: Whole hours since the ad began; the minimum itself suffices.
        impressions: Likewise.
        settings: Its campaign's, from `config_loader.for_campaign`. Default: those of the deployment.
    """
    settings = settings or Learning.live()
    if not settings.feature_flags.rag_auto_indexing:
        return False
    thresholds = settings.winner_detection
    if hours_live < thresholds.min_hours_live or impressions < thresholds.min_impressions:
        return False
    reached = (ctr > thresholds.ctr_threshold, roas > thresholds.roas_threshold)
    if not (all(reached) if thresholds.require_both else any(reached)):
        return False
    return not thresholds.always_valid or _is_shown(ctr, impressions, thresholds)


def _is_shown(ctr: float, impressions: int, thresholds: WinnerDetection) -> bool:
    """Whether the clicks show that the CTR is above its threshold, however often one looks."""
    if math.isnan(ctr) or not 0 <= ctr <= 1:
        return False
    evidence = rate_evidence(round(ctr * impressions), impressions, thresholds.ctr_threshold)
    return evidence * (1 - thresholds.confidence) >= 1 - 1e-9
