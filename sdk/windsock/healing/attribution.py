r"""Attribution: whether a variant's calls fail more often than other calls at the same time.

An e-process, valid whenever it's checked. Time is divided into windows. In a window, the variant made n of N
calls, and F calls failed, k of them the variant's. If the variant makes no difference, every call in the
window is equally likely to be among the failed ones, so given n, N and F, k is hypergeometric, whatever the
failure rate: a shared outage raises F but not the variant's share. If the odds of failing were w times as
high, k would follow Fisher's noncentral hypergeometric distribution. The window's likelihood ratio

    C(n, k) C(N-n, F-k) w^k / sum over j of C(n, j) C(N-n, F-j) w^j   over   C(n, k) C(N-n, F-k) / C(N, F)

has expectation 1 given the past, so the product over windows is a test martingale, and so is the mean over
several w. By Ville's inequality, the probability that it ever reaches 1/alpha is at most alpha.

Sources: J. ter Schure, M. F. Pérez-Ortiz, A. Ly, P. Grünwald, "The safe logrank test" (arXiv:2011.06931),
whose risk set is our window; J. Ville, "Étude critique de la notion de collectif" (1939).
"""

from math import exp, inf, lgamma, log
from typing import NamedTuple

ODDS_RATIOS = (1.5, 2.5, 4.0, 8.0, 16.0, 32.0)
"""The mixed alternatives, with equal weights; all of them mean harm."""

ALPHA = 0.05
"""The probability that a process ever accuses any harmless variant."""


class Window(NamedTuple):
    """The counts of one window.

    Attributes:
        calls: The variant's calls.
        faults: How many of them failed.
        other_calls: All other calls.
        other_faults: How many of those failed.
    """

    calls: int
    faults: int
    other_calls: int
    other_faults: int


class Evidence(NamedTuple):
    """The evidence against one variant; immutable, `after` returns the updated evidence.

    Attributes:
        logs: The log likelihood ratio of each of `ODDS_RATIOS` over all windows so far.
        calls: The variant's calls in informative windows.
        faults: Its faults.
    """

    logs: tuple[float, ...] = (0.0,) * len(ODDS_RATIOS)
    calls: int = 0
    faults: int = 0

    @property
    def log_e(self) -> float:
        """The natural logarithm of the e-value: 0 means no evidence, log(1/alpha) evidence at level alpha."""
        highest = max(self.logs)
        return highest + log(sum(exp(each - highest) for each in self.logs) / len(self.logs))

    def after(self, window: Window) -> "Evidence":
        """Add a window. Without faults, or without other calls to compare with, it's uninformative."""
        if window.faults + window.other_faults == 0 or window.calls == 0 or window.other_calls == 0:
            return self
        logs = tuple(
            before + log_ratio(window, log(odds)) for before, odds in zip(self.logs, ODDS_RATIOS, strict=True)
        )
        return Evidence(logs, self.calls + window.calls, self.faults + window.faults)


def log_ratio(window: Window, log_odds: float) -> float:
    """A window's log likelihood ratio: e^`log_odds` times the odds of failing, versus equal odds."""
    failed = window.faults + window.other_faults
    least = max(0, failed - window.other_calls)
    most = min(failed, window.calls)
    weights = [
        _log_choose(window.calls, j) + _log_choose(window.other_calls, failed - j)
        for j in range(least, most + 1)
    ]
    alternative = _log_sum([weight + log_odds * (least + at) for at, weight in enumerate(weights)])
    return window.faults * log_odds - alternative + _log_sum(weights)


def threshold(order: int) -> float:
    """The log e-value at which the `order`-th variant under test (from 1) is accused.

    The levels alpha/(j(j+1)) add up to alpha, so however many variants come and go, the probability that any
    harmless one is ever accused stays below alpha.
    """
    return log(order * (order + 1) / ALPHA)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _log_sum(logs: list[float]) -> float:
    highest = max(logs, default=-inf)
    return highest + log(sum(exp(each - highest) for each in logs))
