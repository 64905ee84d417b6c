"""Goals by segment: exploratory, and corrected for the number of comparisons."""

from dataclasses import dataclass, replace

from windsock.experiments.analysis import Analysis, publishable
from windsock.experiments.comparing import Comparing
from windsock.experiments.comparison import Comparison
from windsock.experiments.data.segment_sums import SegmentSums


@dataclass(frozen=True, slots=True)
class Segment:
    """A goal of one arm among the units that have one value of an attribute.

    Attributes:
        attribute: The attribute, declared in `segments`.
        value: Its value as text.
        comparison: The effect there. The interval holds for all segments at once (Bonferroni); the p-value is
            adjusted for all of them by Holm's method.
    """

    attribute: str
    value: str
    comparison: Comparison


def segments(analysis: Analysis) -> tuple[Segment, ...]:
    """Compare the goals in each declared segment; exploratory, without effect on the decision.

    Args:
        analysis: From `analyse`.
    """
    parts = analysis.collected.segments
    found = [
        Segment(part.attribute, part.value, each)
        for part in parts
        for each in _goals(analysis, part, len(parts))
    ]
    together = Comparing(analysis.declared, analysis.collected, len(parts))
    corrected = together.corrected([each.comparison for each in found])
    published = publishable(corrected, analysis.collected)
    return tuple(replace(each, comparison=new) for each, new in zip(found, published, strict=True))


def _goals(analysis: Analysis, part: SegmentSums, parts: int) -> list[Comparison]:
    """The goals among the units of one segment, each on its own."""
    collected = analysis.collected
    counted: dict[str, int] = {}
    for arms in part.metrics.values():
        counted |= {arm: max(counted.get(arm, 0), sums.sums.units) for arm, sums in arms.items()}
    within = replace(collected, metrics=part.metrics, exposed=replace(collected.exposed, counted=counted))
    return Comparing(analysis.declared, within, parts, collected).each_goal()
