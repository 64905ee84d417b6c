"""A provider's state: the flag set in use, whether it's verified, and the events that report it.

Kept apart from the other providers, which only `windsock.start` loads.
"""

import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.provider import AbstractProvider, ProviderStatus
from openfeature.track import TrackingEventDetails

from windsock.client.internals import status_of
from windsock.evaluator.outcome import Rule
from windsock.threads import BackgroundThread
from windsock.usage.tracking import track_event

if TYPE_CHECKING:
    from windsock.flags import Problem


_SETTLE_SECONDS: Final = 1.0
"""Maximum wait for OpenFeature to record the result of the start."""

GRACE_PERIOD: Final = 5.0
"""Default seconds for which a source may be unreachable before the status goes from STALE to ERROR."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The flag set in use.

    Attributes:
        source: Where it came from: a folder or an address.
        revision: Content hash of the set; empty if there's no set, or if only the server knows the hash.
        loaded_at: Unix time at which it came into use, in seconds; 0.0 before the first set.
        stale: Why there's no set, or why a newer one couldn't be loaded; empty if all is well.
        problems: Flags that were turned off because of errors, and overlaps between files.
    """

    source: str
    revision: str = ""
    loaded_at: float = 0.0
    stale: str = ""
    problems: "tuple[Problem, ...]" = ()

    @property
    def age(self) -> float:
        """Seconds since this set came into use."""
        return max(0.0, time.time() - self.loaded_at) if self.loaded_at else 0.0


class ServingProvider(AbstractProvider):
    """An OpenFeature provider that reports what it serves; ready once evaluating `SENTINEL` succeeds.

    Args:
        source: Where flags come from.

    Attributes:
        serving: What's known about the set in use.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.serving = Serving(source)
        self._starting = False
        self._teller: BackgroundThread | None = None

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Record an event for metrics, for OpenFeature's `client.track()`."""
        track_event(tracking_event_name, evaluation_context, tracking_event_details)

    @abstractmethod
    def ready(self) -> bool:
        """Whether a set is loaded, according to an evaluation of `SENTINEL`."""

    def _begin_start(self) -> None:
        self._starting = True

    def _end_start(self) -> None:
        """Report existing staleness after OpenFeature's own READY, which would otherwise overwrite it."""
        self._starting = False
        if self.serving.stale and self.ready():
            self._teller = BackgroundThread(self._tell, "windsock-stale")
            self._teller.begin()

    def _join_teller(self) -> None:
        teller, self._teller = self._teller, None
        if teller is not None:
            teller.join()

    def _tell(self) -> None:
        """Emit the event that brings OpenFeature's status up to date; do nothing while starting."""
        status, reason = self._settled_status(), self.serving.stale
        if status is ProviderStatus.NOT_READY:
            return
        if not self.ready():
            if status is not ProviderStatus.ERROR:
                self.emit_provider_error(ProviderEventDetails(message=reason, error_code=ErrorCode.GENERAL))
            return
        if status is ProviderStatus.ERROR or (status is ProviderStatus.STALE and not reason):
            self.emit_provider_ready(ProviderEventDetails(message=f"{self.serving.source} serves"))
            status = ProviderStatus.READY
        if reason and status is ProviderStatus.READY:
            self.emit_provider_stale(ProviderEventDetails(message=reason))

    def _set_stale(self, why: str) -> None:
        """Record why a newer set couldn't be loaded, and emit STALE if the status is READY."""
        self.serving = replace(self.serving, stale=why)
        if self._status() is ProviderStatus.READY:
            self.emit_provider_stale(ProviderEventDetails(message=why))

    def _status(self) -> ProviderStatus:
        known = status_of(self)
        if known is None:
            return ProviderStatus.READY if self.ready() else ProviderStatus.NOT_READY
        return known

    def _settled_status(self) -> ProviderStatus:
        """The status once OpenFeature has recorded the result of the start, which may be imminent."""
        until = time.monotonic() + _SETTLE_SECONDS
        while (
            self._status() is ProviderStatus.NOT_READY
            and not self._starting
            and hasattr(self, "_on_emit")  # an OpenFeature client uses this provider
            and time.monotonic() < until
        ):
            time.sleep(0.01)
        return self._status()


class RuleProvider(ServingProvider):
    """A provider whose rules can be called in this process, bypassing OpenFeature's client.

    Attributes:
        compiled: The flags in use by key, including `SENTINEL`; replaced as a whole after each change, never
            changed in place.
        current: A copy of the provider, pinned to its current set.
        origin: The provider that `current` was copied from; itself if it isn't such a copy.
    """

    compiled: Mapping[str, Rule]

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.origin: RuleProvider = self
        self.current: RuleProvider = self
