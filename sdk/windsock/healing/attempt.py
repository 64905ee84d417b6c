"""One healed call: the view passed to it, first with the user's values, then rung by rung lower."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from typing import Generic, TypeVar
from uuid import uuid4

from pydantic import BaseModel, SecretBytes, SecretStr

from windsock.counts import HEALS
from windsock.healing.classify import Blame, Classifier, Verdict, chain, describe
from windsock.healing.quarantine import Fault, quarantine
from windsock.healing.rungs import lowered
from windsock.healing.watch import watch_over
from windsock.logs import get_logger
from windsock.settings.place import ValueKey, fingerprint
from windsock.settings.process import process
from windsock.settings.resolution import Resolution, ServedResolution
from windsock.settings.settings import Settings, new_view
from windsock.settings.views import (
    ViewTrace,
    fallback_of,
    fields_read,
    key_of,
    served_of,
    set_fallback,
    set_healed,
)
from windsock.text import short
from windsock.usage.data import Healed, stored_user_id
from windsock.usage.request import current_request, installed, record
from windsock.variables import user_id_key

logger = get_logger("windsock.healing")

S = TypeVar("S", bound=Settings)
T = TypeVar("T")

NOT_HEALED = "not healed: the answer had begun"
"""The value of `Healed.fell_to` for a stream that failed after its first item."""

_MARK = "_windsock_exhausted"


class Attempt(Generic[S]):
    """One healed call. Its methods raise nothing except `KeyboardInterrupt`, which comes from the user.

    Args:
        settings: The settings passed to `heal`.
        classifier: Judges the errors.
        deadline: Seconds for all runs; None or infinity for no limit.

    Attributes:
        settings: The settings for the next run.
        error: The first run's exception, or None so far.
    """

    # Class-level defaults, so that a successful call sets only what it needs.
    error: Exception | None = None
    _last: Exception | None = None
    _end: float | None = None
    _served: ServedResolution | None = None
    _resolution: Resolution  # that of `_served`
    _key: str | None = None
    _fresh = True
    _healed: tuple[Healed, ...] = ()
    _fell: frozenset[str] = frozenset()
    _named_only = False
    _faults: tuple[Fault, ...] = ()
    _probe: ValueKey | None = None
    _traces: tuple[ViewTrace, ...] = ()

    def __init__(self, settings: S, classifier: Classifier, deadline: float | None) -> None:
        self.settings: S = settings
        self._caller = settings
        self._classifier = classifier
        if deadline is not None and deadline != math.inf:
            self._end = time.monotonic() + deadline
        served = served_of(settings)
        if served is None:
            return
        self._key = key_of(settings)
        self._request = current_request()
        fallback = fallback_of(settings)
        if fallback is None and process.withdrawn:
            served, self._probe = quarantine.probed(type(settings), served)
        self._first = served.resolution
        if fallback is not None:
            served, self._healed, self._fresh = fallback.replacement, fallback.unrecorded, False
        self._pass(served)

    def left(self) -> float | None:
        """Seconds until the deadline, 0.0 after it; None without one."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def lower(self, error: Exception) -> bool:
        """Move the fields that the call read one rung down; False if `error` should be raised."""
        try:
            return self._lower(error)
        except KeyboardInterrupt:
            raise
        except BaseException:
            logger.exception("healing failed itself; the call's own error is raised")
            return False

    def succeeded(self) -> None:
        """Report what was healed; outside a request, record the use here."""
        if self._served is None:
            return
        try:
            if self._healed:
                self._blame()
            elif self._fresh:
                self._went_well(self._resolution)
            if self._request is None and installed() is not None:
                record(ViewTrace(self.settings).use())
        except KeyboardInterrupt:
            raise
        except BaseException:
            logger.exception("a healed call could not be accounted for; its answer was returned")

    def failed_midway(self, error: Exception) -> None:
        """Report that a stream failed after its first item: it was already delivered, so nothing is rerun."""
        if self._served is None:
            return
        try:
            suspects = self._suspects(error)
            named = self._judge(error, suspects).fields or suspects
            healed = self._account(error, dict.fromkeys(named, NOT_HEALED))
            set_healed(self.settings, (*self._healed, *healed))
            logger.error(
                "%s: the answer failed after it had begun, so it is not healed: %s",
                type(self.settings).__name__, self._text(error),
            )  # fmt: skip
        except KeyboardInterrupt:
            raise
        except BaseException:
            logger.exception("a failed stream could not be accounted for")

    def _lower(self, error: Exception) -> bool:
        self._follow(error)
        if self._served is None:
            return False
        resolution = self._resolution
        resolver = type(self.settings).__windsock__
        first = self._last is error and self.error is error
        if first and self._fresh:
            watch_over(resolver).failed(resolution, self._key, fields_read(self.settings))
            quarantine.weigh(resolver, resolution)
        suspects = self._suspects(error)
        verdict = self._judge(error, suspects)
        if self._probe is not None and verdict.blame is not Blame.ELSEWHERE:
            quarantine.probe_failed(self._probe)
        worthwhile = first or self._named_only or verdict.blame is Blame.VALUE
        if not suspects or self.left() == 0 or not worthwhile:
            self._exhausted(error)
            return False
        # If the error names fields, the user keeps the others; if that isn't enough, the others follow.
        self._named_only = first and bool(verdict.fields) and verdict.blame is not Blame.ELSEWHERE
        falling = list(verdict.fields) if self._named_only else suspects
        last_good = quarantine.last_good.below(resolver, resolution, falling)
        below = lowered(resolver, resolution, falling, last_good)
        fell_to = {name: below.merged.origins[name].layer for name in falling}
        self._healed += self._account(error, fell_to)
        if verdict.blame is Blame.VALUE:
            self._faults += self._faults_of(error, resolution, verdict.fields or tuple(suspects))
        self._fell |= set(falling)
        served = ServedResolution(below, self._served.serving)
        set_fallback(self._caller, served, self._healed)
        self._pass(served)
        return True

    def _follow(self, error: Exception) -> None:
        """Keep the errors, each with the previous one as its context, as nested handlers do."""
        if self._last is not None and error is not self._last and error.__context__ is None:
            with contextlib.suppress(Exception, SystemExit):  # an error object may reject anything
                error.__context__ = self._last
        self.error = self.error or error
        self._last = error

    def _suspects(self, error: Exception) -> list[str]:
        """The tuned fields that the call read, except those already lowered by a heal inside it."""
        origins = self._resolution.merged.origins
        flag = type(self.settings).__windsock__.declaration.flag
        exhausted = {mark for each in chain(error) for mark in _marks(each)}
        return [
            name
            for name in fields_read(self.settings)
            if origins[name].layer != "default" and (flag, name) not in exhausted
        ]

    def _exhausted(self, error: Exception) -> None:
        """Nothing worked: the record keeps the user's assigned values, and an outer heal learns of it."""
        assigned = {each.field: self._first.values[each.field] for each in self._healed}
        for trace in self._traces:
            trace.instead = assigned
        flag = type(self.settings).__windsock__.declaration.flag
        with contextlib.suppress(Exception, SystemExit):  # an error object may reject anything
            setattr(error, _MARK, _marks(error) | {(flag, name) for name in self._fell})

    def _judge(self, error: Exception, suspects: list[str]) -> Verdict:
        """Ask the classifier; if it raises, returns something else or takes too long, blame is unknown."""
        secrets = type(self.settings).__windsock__.declaration.secrets
        values = {name: self._resolution.values[name] for name in suspects if name not in secrets}
        try:
            if self._end is None:
                verdict = self._classifier(error, values)
            else:
                (verdict,) = within(self.left(), lambda: self._classifier(error, values))
            fields = tuple(name for name in verdict.fields if name in suspects)
            return Verdict(Blame(verdict.blame), fields)
        except KeyboardInterrupt:
            raise
        except BaseException as complaint:  # noqa: BLE001 - whatever a classifier of the caller's raises
            logger.error("the classifier passed to heal failed: %s", describe(complaint))  # noqa: TRY400
            return Verdict(Blame.UNKNOWN)

    def _account(self, error: Exception, fell_to: dict[str, str]) -> tuple[Healed, ...]:
        """The record of this failure for a row of `usage_logs`."""
        declaration = type(self.settings).__windsock__.declaration
        text = self._text(error)
        shown = declaration.shown({name: self._resolution.values[name] for name in fell_to})
        return tuple(Healed(name, shown[name], text, layer) for name, layer in fell_to.items())

    def _text(self, error: Exception) -> str:
        secrets = type(self.settings).__windsock__.declaration.secrets
        return describe(error, _secrets_in([self._resolution.values[name] for name in secrets]))

    def _faults_of(
        self, error: Exception, resolution: Resolution, names: tuple[str, ...]
    ) -> tuple[Fault, ...]:
        resolver = type(self.settings).__windsock__
        request_id = uuid4().hex if self._request is None else self._request.request_id
        faults = []
        for name in names:
            key = resolver.place(resolution.merged.origins[name], name)
            if key is not None:
                value = resolution.raw_value(name)
                faults.append(
                    Fault(
                        *key, fingerprint(value), resolver.json_of(name, value), self._text(error), request_id
                    )
                )
        return tuple(faults)

    def _blame(self) -> None:
        """A lower rung worked: report it, and count faults caused by the values themselves."""
        set_healed(self.settings, self._healed)
        if self._served is not None:
            set_fallback(self._caller, self._served, ())  # reported once, even if the call is repeated
        user = None if self._key is None else stored_user_id(self._key, user_id_key())
        shown = type(self.settings).__windsock__.declaration.shown(
            {each.field: getattr(self.settings, each.field) for each in self._healed}
        )
        for each in self._healed:
            HEALS[type(self.settings).__windsock__.declaration.flag, each.field] += 1
            logger.error(
                "%s.%s=%s (%s) failed: %s; falling back to %s (%s), answered%s",
                type(self.settings).__name__, each.field, short(each.failed_value),
                self._first.merged.origins[each.field], each.error,
                short(shown[each.field]), each.fell_to, f" for user {user}" if user else "",
            )  # fmt: skip
        for fault in self._faults:
            quarantine.fault(fault)

    def _went_well(self, resolution: Resolution) -> None:
        tally = resolution.tally
        if tally.counts(self._key):
            tally.calls += 1
        if tally.period is None or tally.period.ends <= time.monotonic():
            quarantine.weigh(type(self.settings).__windsock__, resolution)
        read = self.settings.__dict__
        if not tally.proven.issuperset(read):
            quarantine.last_good.learn(
                type(self.settings).__windsock__, resolution, fields_read(self.settings)
            )
            tally.proven.update(read)
        if self._probe is not None and self._probe[2] in read:
            quarantine.probe_went_well(self._probe)

    def _pass(self, served: ServedResolution) -> None:
        """Create a separate view for the call, so that its reads are the call's reads."""
        self._served, self._resolution = served, served.resolution
        self.settings = new_view(type(self.settings), served, self._key)
        if self._request is not None:
            trace = ViewTrace(self.settings)
            self._traces = (*self._traces, trace)
            self._request.record(trace)


def _marks(error: BaseException) -> frozenset[tuple[str, str]]:
    """The fields, by flag, whose lower values a heal inside this one has already tried."""
    try:
        marks: object = getattr(error, _MARK, None)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - hostile by assumption
        marks = None
    return marks if isinstance(marks, frozenset) else frozenset()


def _secrets_in(value: object) -> Iterator[str]:
    """The secrets in a value as plain text, at any depth."""
    if isinstance(value, SecretStr):
        yield from filter(None, [value.get_secret_value()])
    elif isinstance(value, SecretBytes):
        yield from filter(None, [value.get_secret_value().decode(errors="replace")])
    elif isinstance(value, BaseModel):
        yield from _secrets_in(value.__dict__)
    elif isinstance(value, Mapping):
        yield from _secrets_in(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _secrets_in(each)


def within(seconds: float | None, function: Callable[[], T]) -> list[T]:
    """Call `function` in a thread, which is abandoned on timeout, since threads can't be stopped.

    Args:
        seconds: How long to wait; None for no limit.
        function: Runs in a copy of the caller's context. Unless it's abandoned, the caller gets what it set.

    Returns:
        Its result in a list; an empty list if it didn't return in time or no thread could be started.

    Raises:
        BaseException: Whatever it raised.
    """
    answers: list[T] = []
    errors: list[BaseException] = []
    context = copy_context()

    def run() -> None:
        try:
            answers.append(context.run(function))
        except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
            errors.append(error)

    thread = threading.Thread(target=run, name="windsock-heal", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the process can't start another thread: treat as a timeout
        return []
    thread.join(None if seconds is None else min(seconds, threading.TIMEOUT_MAX))
    for variable, value in context.items() if answers or errors else ():
        variable.set(value)
    if errors:
        raise errors[0]
    return answers
