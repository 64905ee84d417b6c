"""The quarantine: values that failed in use aren't served until they expire, change or are lifted."""

import itertools
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from dataclasses import field as default
from typing import NamedTuple
from uuid import UUID, uuid4

from windsock import threads
from windsock.counts import WITHDRAWALS
from windsock.healing import watch
from windsock.healing.last_good import LastGood
from windsock.healing.rungs import on_probation
from windsock.healing.watch import watch_over
from windsock.logs import get_logger
from windsock.settings.place import ValueKey, fingerprint
from windsock.settings.process import process
from windsock.settings.resolution import Resolution, ServedResolution
from windsock.settings.resolver import Resolver

logger = get_logger("windsock.healing")

FAULTS = 5
"""How many distinct requests a value must fail in, by its own fault, before it's withdrawn."""

MEMORY = 3600.0
"""Seconds within which those requests must occur."""

EXPIRY = 3600.0
"""Seconds after which a withdrawn value is tried again for everyone."""

PROBE_EVERY = 100
"""One in this many healed calls tries a withdrawn value again."""

PROBES = 3
"""Consecutive successful probes before a withdrawal is lifted."""

_PLACES_MAX = 1_000
_OUTBOX_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that failed by its own fault in a request that then succeeded without it.

    Attributes:
        flag: Key of the flag; for a sharded flag, without the shard.
        variant: The variant that holds the value.
        field: The settings field.
        fingerprint: Distinguishes the value from others at the same place.
        value: The variant's value as JSON text; None if it's secret or too long.
        error: The call's error message.
        request_id: The request.
        id: Makes repeated reports harmless.
    """

    flag: str
    variant: str
    field: str
    fingerprint: str
    value: str | None
    error: str
    request_id: str
    id: UUID = default(default_factory=uuid4)

    @property
    def key(self) -> ValueKey:
        """Where the value is: flag, variant and field."""
        return self.flag, self.variant, self.field


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A value that isn't served.

    Attributes:
        flag: Key of the flag.
        variant: The variant that holds the value.
        field: The settings field.
        fingerprint: Distinguishes the value from others at the same place; other values there are served.
        value: The value as JSON text; None if it's secret or too long.
        reason: Why it was withdrawn.
        left: Seconds until it expires, as of this object's creation.
    """

    flag: str
    variant: str
    field: str
    fingerprint: str
    value: str | None
    reason: str
    left: float = EXPIRY

    @property
    def key(self) -> ValueKey:
        """Where the value is: flag, variant and field."""
        return self.flag, self.variant, self.field


@dataclass(slots=True)
class _Held:
    """A value being held back.

    Attributes:
        withdrawal: The withdrawn value.
        until: When it expires, in monotonic time.
        probes: Consecutive successful probes.
        tried: The turn of its last probe; 0 before the first.
    """

    withdrawal: Withdrawal
    until: float
    probes: int = 0
    tried: int = 0


class Outbox(NamedTuple):
    """What hasn't been sent to a board yet."""

    faults: tuple[Fault, ...] = ()
    withdrawn: tuple[Withdrawal, ...] = ()
    lifted: tuple[Withdrawal, ...] = ()


class Quarantine:
    """The values withdrawn in this process, because of its own findings or another process's.

    Attributes:
        last_good: The first fallbacks for failing values.
        news: Set while there's something left to send to a board.
        mirrored: Whether withdrawn values are removed from profiles, and restored when lifted.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        # each value's faulty requests and their monotonic times
        self._counts: dict[tuple[ValueKey, str], dict[str, float]] = {}
        self._held: dict[ValueKey, _Held] = {}
        # withdrawn values that this process itself loaded, as JSON: only those are ever tried again
        self._loaded: dict[tuple[ValueKey, str], str] = {}
        self._places: dict[tuple[str, str | None], list[ValueKey]] = {}
        self._outbox = Outbox()
        self._turn = itertools.count(1)
        self.last_good = LastGood()
        self.news = threading.Event()
        self.mirrored = False

    def fault(self, fault: Fault) -> None:
        """Count a value's own fault; at the fifth request within an hour, the value is withdrawn."""
        now = time.monotonic()
        with self._lock:
            key = (fault.key, fault.fingerprint)
            requests = {**self._counts.pop(key, {}), fault.request_id: now}
            requests = {request: at for request, at in requests.items() if now - at < MEMORY}
            self._counts[key] = requests
            while len(self._counts) > _PLACES_MAX:
                del self._counts[next(iter(self._counts))]
            self._send(self._outbox._replace(faults=(*self._outbox.faults, fault)[-_OUTBOX_MAX:]))
            self._failed_again(fault)
            if len(requests) >= FAULTS:
                del self._counts[key]
                self.withdraw([_withdrawal(fault, f"failed in {FAULTS} requests: {fault.error}")])

    def withdraw(self, withdrawals: Iterable[Withdrawal]) -> None:
        """Stop serving values immediately."""
        with self._lock:
            for each in withdrawals:
                if self._is_held(each):
                    continue
                self._remember(each)
                self._held[each.key] = _Held(each, time.monotonic() + min(each.left, EXPIRY))
                self._send(self._outbox._replace(withdrawn=(*self._outbox.withdrawn, each)[-_OUTBOX_MAX:]))
                WITHDRAWALS[each.flag, each.field] += 1
                logger.error(
                    "withdrawn: %s of flag %r variant %r is not served for %.0f minutes (%s);"
                    " see `windsock quarantine list`",
                    each.field, each.flag, each.variant, each.left / 60, each.reason,
                )  # fmt: skip
            self._apply()

    def lift(self, withdrawals: Iterable[Withdrawal], why: str) -> None:
        """Serve values again."""
        with self._lock:
            for each in withdrawals:
                if self._is_held(each):
                    del self._held[each.key]
                    self._send(self._outbox._replace(lifted=(*self._outbox.lifted, each)[-_OUTBOX_MAX:]))
                    logger.warning(
                        "lifted: %s of flag %r variant %r is served again: %s",
                        each.field, each.flag, each.variant, why,
                    )  # fmt: skip
            self._apply()

    def in_force(self) -> tuple[Withdrawal, ...]:
        """The current withdrawals, with the seconds left."""
        now = time.monotonic()
        with self._lock:
            return tuple(replace(held.withdrawal, left=held.until - now) for held in self._held.values())

    def expire(self) -> None:
        """End withdrawals that have expired."""
        now = time.monotonic()
        with self._lock:
            for key, held in list(self._held.items()):
                if held.until <= now:
                    del self._held[key]
                    each = held.withdrawal
                    logger.warning(
                        "expired: %s of flag %r variant %r is served again",
                        each.field,
                        each.flag,
                        each.variant,
                    )
            self._apply()

    def take_outbox(self) -> Outbox:
        """Take what needs to be sent to a board."""
        with self._lock:
            taken, self._outbox = self._outbox, Outbox()
            self.news.clear()
            return taken

    def put_back(self, outbox: Outbox) -> None:
        """Keep what couldn't be sent to a board."""
        with self._lock:
            later = self._outbox
            self._outbox = Outbox(
                (*outbox.faults, *later.faults)[-_OUTBOX_MAX:],
                (*outbox.withdrawn, *later.withdrawn)[-_OUTBOX_MAX:],
                (*outbox.lifted, *later.lifted)[-_OUTBOX_MAX:],
            )

    def shared(self, withdrawals: Iterable[Withdrawal]) -> None:
        """Adopt the board's withdrawals; those that this process hasn't sent yet stay in force."""
        now = time.monotonic()
        with self._lock:
            untold = {each.key for each in self._outbox.withdrawn}
            lifted = {(each.key, each.fingerprint) for each in self._outbox.lifted}
            held = {key: each for key, each in self._held.items() if key in untold}
            for each in withdrawals:
                if (each.key, each.fingerprint) in lifted:
                    continue
                until = now + min(max(each.left, 0.0), EXPIRY)
                known = self._held[each.key] if self._is_held(each) else _Held(each, until)
                held.setdefault(each.key, replace(known, withdrawal=each, until=until))
            self._held = held
            self._apply()

    def probed(
        self, settings_class: type, served: ServedResolution
    ) -> tuple[ServedResolution, ValueKey | None]:
        """Let one call in a hundred try one of its withdrawn values, and return which one.

        Only one value is tried at a time, the least recently probed, so that of several values withdrawn
        together, the innocent ones come back. A value that the mirror has removed from the flag is tried if
        this process had loaded it before.
        """
        resolution = served.resolution
        resolver: Resolver = settings_class.__windsock__  # type: ignore[attr-defined]  # a Settings class
        keys = [
            key
            for flag, outcome in zip(resolver.flags, resolution.outcomes, strict=True)
            for key in self._places.get((flag, outcome.variant), ())
        ]
        if not keys or (turn := next(self._turn)) % PROBE_EVERY:
            return served, None
        self.expire()
        with self._lock:
            held = min((self._held[key] for key in keys if key in self._held), key=_last_tried, default=None)
            if held is None:
                return served, None
            held.tried = turn
        value = self._value_of(held.withdrawal, resolver, resolution)
        if value is None:
            return served, None
        key = held.withdrawal.key
        return ServedResolution(on_probation(resolver, resolution, key, value), served.serving), key

    def probe_went_well(self, key: ValueKey) -> None:
        """Count a successful probe; the third in a row lifts the withdrawal."""
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                held.probes += 1
                if held.probes >= PROBES:
                    self.lift([held.withdrawal], f"it went well in {PROBES} probes")

    def probe_failed(self, key: ValueKey) -> None:
        """Restart the count from zero."""
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                held.probes = 0

    def weigh(self, resolver: Resolver, resolution: Resolution) -> None:
        """End a settings class's window, and withdraw the values that the evidence accuses."""
        watching = watch_over(resolver)
        watching.meet(resolution)
        for (flag, variant), (evidence, values) in watching.close().items():
            reason = (
                f"{evidence.faults} of {evidence.calls} calls failed, more than those of others at the same"
                f" time (e-value {min(evidence.log_e, 99):.1f} nats)"
            )
            logger.error("flag %r variant %r: %s", flag, variant, reason)
            self.withdraw(
                Withdrawal(*key, fingerprint(value), resolver.json_of(key[2], value), reason)
                for key, value in values.items()
            )

    def reset(self) -> None:
        """Forget everything, including all withdrawals."""
        with self._lock:
            self._counts.clear()
            self._held.clear()
            self._loaded.clear()
            self._outbox = Outbox()
            self.news.clear()
            self.last_good.clear()
            self._turn = itertools.count(1)
            watch.reset()
            self._apply()

    def after_fork(self) -> None:
        """Replace the lock in a forked child: another thread of the parent may have held it."""
        self._lock = threading.RLock()
        self.news = threading.Event()

    def _failed_again(self, fault: Fault) -> None:
        """Handle a failed probe: the value stays withdrawn for another hour."""
        held = self._held.get(fault.key)
        if held is not None and held.withdrawal.fingerprint == fault.fingerprint:
            held.probes, held.until = 0, time.monotonic() + EXPIRY

    def _value_of(self, withdrawal: Withdrawal, resolver: Resolver, resolution: Resolution) -> object:
        """The withdrawn value, from its layer or as saved; None if it's no longer available."""
        name = withdrawal.field
        for layer in resolution.layers:
            if resolver.place(layer.origin, name) != withdrawal.key:
                continue
            if name in layer.values:
                value = layer.values[name]
                return value if fingerprint(value) == withdrawal.fingerprint else None
            # the board's copy of the value comes from another process, so it isn't served
            loaded = self._loaded.get((withdrawal.key, withdrawal.fingerprint))
            if self.mirrored and layer.origin.layer == "profile" and loaded is not None:
                kept: object = json.loads(loaded)
                return kept
        return None

    def _remember(self, own: Withdrawal) -> None:
        if own.value is not None:
            self._loaded[own.key, own.fingerprint] = own.value
            while len(self._loaded) > _PLACES_MAX:
                del self._loaded[next(iter(self._loaded))]

    def _is_held(self, withdrawal: Withdrawal) -> bool:
        held = self._held.get(withdrawal.key)
        return held is not None and held.withdrawal.fingerprint == withdrawal.fingerprint

    def _send(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.news.set()
        threads.begin_waiting()  # the sharing thread may be among them

    def _apply(self) -> None:
        self._places = _by_place(self._held)
        wanted = {key: held.withdrawal.fingerprint for key, held in self._held.items()}
        if wanted != process.withdrawn:
            process.withdraw(wanted)


def _last_tried(held: _Held) -> int:
    return held.tried


def _withdrawal(fault: Fault, reason: str) -> Withdrawal:
    return Withdrawal(fault.flag, fault.variant, fault.field, fault.fingerprint, fault.value, reason)


def _by_place(keys: Iterable[ValueKey]) -> dict[tuple[str, str | None], list[ValueKey]]:
    places: dict[tuple[str, str | None], list[ValueKey]] = defaultdict(list)
    for key in keys:
        places[key[:2]].append(key)
    return dict(places)


quarantine = Quarantine()
