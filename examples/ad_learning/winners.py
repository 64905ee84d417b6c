"""When an ad is a winner; `migrations` holds the same rule for the database's trigger."""

from .config_loader import is_feature_enabled
from .settings import Learning


def is_winner(ctr: float, roas: float, hours_live: int, impressions: int) -> bool:
    """Tell whether an ad is a winner, by the thresholds in force.

    Args:
        ctr: Clicks per impression; more than the threshold counts, as much does not.
        roas: Revenue per unit spent; likewise.
        hours_live: Whole hours since the ad began; the minimum itself suffices.
        impressions: Likewise.
    """
    if not is_feature_enabled("rag_auto_indexing"):
        return False
    thresholds = Learning.live().winner_detection
    if hours_live < thresholds.min_hours_live or impressions < thresholds.min_impressions:
        return False
    reached = (ctr > thresholds.ctr_threshold, roas > thresholds.roas_threshold)
    return all(reached) if thresholds.require_both else any(reached)
