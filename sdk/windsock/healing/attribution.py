r"""Attribution: whether a variant's calls fail more often than the calls of others at the same time.

An e-process, valid at every moment it is looked at. Time is cut into windows. In a window the variant made
n of N calls, and F calls failed, k of them the variant's. If the variant makes no difference, every call of
the window is as likely to be among the failed ones, so given n, N and F, k is hypergeometric, whatever the
rate was: an outage that all share raises F and leaves the share alone. Were the odds of failing w times as
high, k would be Fisher's noncentral hypergeometric. The window's likelihood ratio

    C(n, k) C(N-n, F-k) w^k / sum over j of C(n, j) C(N-n, F-j) w^j   over   C(n, k) C(N-n, F-k) / C(N, F)

has the expectation 1 given the past, so the product over windows is a test martingale, and so is the mean
over several w. By Ville's inequality it ever reaches 1/alpha with a probability of at most alpha.

Sources: J. ter Schure, M. F. Pérez-Ortiz, A. Ly, P. Grünwald, "The safe logrank test" (arXiv:2011.06931),
whose risk set is our window; J. Ville, "Étude critique de la notion de collectif" (1939).
"""

from math import exp, inf, lgamma, log
from typing import NamedTuple

ODDS_RATIOS = (1.5, 2.5, 4.0, 8.0, 16.0, 32.0)
"""The alternatives that are mixed, all of them harm; equal weights."""

ALPHA = 0.05
"""The chance that a process ever accuses any variant that does nothing."""


class Window(NamedTuple):
    """What happened in one window.

    Attributes:
        calls: The variant's calls.
        faults: How many of them failed.
        other_calls: The calls of everybody else.
        other_faults: How many of those failed.
    """

    calls: int
    faults: int
    other_calls: int
    other_faults: int


class Evidence(NamedTuple):
    """The evidence against one variant; immutable, `after` gives the next.

    Attributes:
        logs: The log likelihood ratio of each of `ODDS_RATIOS` over all windows so far.
        calls: The variant's calls in windows that told something.
        faults: Its faults.
    """

    logs: tuple[float, ...] = (0.0,) * len(ODDS_RATIOS)
    calls: int = 0
    faults: int = 0

    @property
    def log_e(self) -> float:
        """The natural logarithm of the e-value: 0 says nothing, log(1/alpha) says it at level alpha."""
        highest = max(self.logs)
        return highest + log(sum(exp(each - highest) for each in self.logs) / len(self.logs))

    def after(self, window: Window) -> "Evidence":
        """Add a window. One without a fault, or without others to compare with, tells nothing."""
        if window.faults + window.other_faults == 0 or window.calls == 0 or window.other_calls == 0:
            return self
        logs = tuple(
            before + log_ratio(window, log(odds)) for before, odds in zip(self.logs, ODDS_RATIOS, strict=True)
        )
        return Evidence(logs, self.calls + window.calls, self.faults + window.faults)


def log_ratio(window: Window, log_odds: float) -> float:
    """The log likelihood ratio of one window: odds of failing e^`log_odds` times as high, over equal odds."""
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

    The levels alpha/(j(j+1)) add up to alpha, so however many variants come and go, the chance that any
    harmless one is ever accused stays below alpha.
    """
    return log(order * (order + 1) / ALPHA)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _log_sum(logs: list[float]) -> float:
    highest = max(logs, default=-inf)
    return highest + log(sum(exp(each - highest) for each in logs))
