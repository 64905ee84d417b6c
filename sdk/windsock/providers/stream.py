"""Flags from a flagd server's sync stream, evaluated here; the last good set stays in use through any fault.

The server pushes complete sets over ``flagd.sync.v1``. If a set can't be read, a connection ends, or the
server is down at the start, the previous values stay in use: the last set, its copy on disk, or the code
defaults. The provider reports it (STALE, then ERROR after the grace period) and keeps trying.
"""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.provider import ProviderStatus

from windsock.errors import FlagFileError, MissingExtraError
from windsock.flags import merge, read_document
from windsock.logs import get_logger
from windsock.providers import forking
from windsock.providers.compiled import CompiledProvider
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.offline_copy import OfflineCopy
from windsock.threads import BackgroundThread
from windsock.variables import data_folder

try:
    from windsock.providers.sync_connection import LostError, Push, SyncConnection
except ImportError as missing:
    raise MissingExtraError("flagd's sync stream", "flagd") from missing

logger = get_logger("windsock.flags")

_FIRST_RETRY: Final = 0.1
"""Seconds between attempts while the start waits for the first set."""

_JOIN_SECONDS: Final = 30.0
"""Maximum wait for the thread to end: it may be reading a set of tens of megabytes."""


class StreamProvider(CompiledProvider):
    """An OpenFeature provider over a flagd server's sync stream.

    Args:
        options: How to reach the server. Read from ``FLAGD_*`` if omitted.
        context: Attributes laid below every evaluation context, and above those that the server sends.
        copy_folder: Folder for the offline copy, or None for no copy. Default: ``stream`` in `data_folder`.
    """

    def __init__(
        self,
        options: FlagdOptions | None = None,
        context: Mapping[str, EvaluationContextAttribute] | None = None,
        copy_folder: str | os.PathLike[str] | None = "",
    ) -> None:
        self._options = options or FlagdOptions.from_environment("in-process")
        super().__init__("windsock-stream", self._options.target, context or {})
        self._copy = (
            None
            if copy_folder is None
            else OfflineCopy(
                Path(copy_folder or data_folder() / "stream"), self._options.target, self._options.selector
            )
        )
        self._follower: _Follower | None = None
        self._first = threading.Event()
        self._changing = threading.Lock()
        self._wanted = False
        self._fatal = ""
        self._lost_at: float | None = None
        self._paused = False
        forking.register(self, grpc=True)

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - OpenFeature's signature
        """Connect, and wait for the first set for at most the options' ``deadline``.

        Raises:
            ProviderNotReadyError: No set with flags has arrived and there's no offline copy; attempts go on.
            ProviderFatalError: The server refused with a code that the options list as fatal.
        """
        self.shutdown()
        self._wanted = True
        self._begin_start()
        if not self.serving.revision:
            self._load_copy()
        self._fatal, self._lost_at = "", None
        with self._changing:
            if self._wanted:
                self._follower = _Follower(self)
        self._first.wait(self._options.deadline if self._follower else 0.0)
        self._end_start()
        if self._fatal:
            raise ProviderFatalError(self._fatal)
        if not self.ready():
            reason = self.serving.stale or f"no set within {self._options.deadline:g} s"
            self.serving = replace(self.serving, stale=reason)
            raise ProviderNotReadyError(f"flagd at {self.serving.source}: {reason}")

    def shutdown(self) -> None:
        """Close the connection and wait for its thread to end; the last set stays in use."""
        with self._changing:
            self._wanted = False
            follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()
        self._first.set()  # a start that's waiting can stop
        self._join_teller()
        self._first.clear()

    def before_fork(self) -> None:
        """Close the connection: gRPC must not be in use when the process forks."""
        self._paused = self._follower is not None
        if self._follower is not None:
            self._follower.stop()
        self._join_teller()

    def after_fork(self, *, in_child: bool) -> None:
        """Reconnect."""
        if in_child:
            self._first = threading.Event()
            self._changing = threading.Lock()
        if self._paused and self._follower is not None:
            self._follower = _Follower(self)

    def take(self, push: Push) -> None:
        """Serve a set from the server, unless it's unusable."""
        try:
            document = read_document(push.flags.encode(errors="surrogatepass"), self.serving.source)
        except FlagFileError as error:
            self._refuse(f"the server sent a set that cannot be read: {error}")
            return
        if not document.flags:
            reason = str(document.problems[0]) if document.problems else self._what_empty_means()
            self._refuse(f"the server sent a set without any flag that can be used; {reason}")
            return
        before, problems = (self.serving.revision, self._below), set(self.serving.problems)
        self._tell_reconnected()
        self._serve(merge([document]), below=push.context)
        self._first.set()
        for problem in self.serving.problems:
            if problem not in problems:
                logger.error("%s", problem)
        if self._copy is not None and before != (self.serving.revision, push.context):
            self._copy.save(push.flags, push.context)

    def lost(self, error: LostError) -> bool:
        """Handle a failed attempt or an ended connection; return whether to retry."""
        source, now = self.serving.source, time.monotonic()
        if error.code in self._options.fatal_codes and self._starting:
            self._fatal = (
                f"flagd at {source} refuses: {error}; FLAGD_FATAL_STATUS_CODES says not to try again"
            )
            self._first.set()
            return False
        if self._lost_at is None:
            self._lost_at = now
            logger.warning("flagd at %s: %s. %s; trying again.", source, error, self._what_serves())
        self._set_stale(str(error))
        return True

    def grace(self) -> float:
        """Seconds until the status becomes ERROR; infinite if that isn't pending or has happened."""
        if self._lost_at is None or self._status() is not ProviderStatus.STALE:
            return float("inf")
        return max(0.0, self._lost_at + self._options.grace_period - time.monotonic())

    def fail(self) -> None:
        """Report that the server has been down for longer than the grace period."""
        message = f"no connection to flagd for {self._options.grace_period:g} s: {self.serving.stale}"
        self.emit_provider_error(ProviderEventDetails(message=message, error_code=ErrorCode.GENERAL))

    def delay(self, attempt: int) -> float:
        """Seconds before the next attempt."""
        return _FIRST_RETRY if self._starting else self._options.retry_delay(attempt)

    def connection(self) -> SyncConnection:
        """A new connection to the server."""
        return SyncConnection(self._options)

    def _refuse(self, why: str) -> None:
        if self.serving.stale != why:
            logger.error("flagd at %s: %s. %s.", self.serving.source, why, self._what_serves())
        self._tell_reconnected()
        self._set_stale(why)

    def _tell_reconnected(self) -> None:
        if self._lost_at is not None:
            seconds = time.monotonic() - self._lost_at
            logger.info("flagd at %s: connected again after %.1f s", self.serving.source, seconds)
        self._lost_at = None

    def _what_empty_means(self) -> str:
        if self.serving.revision:
            return "restart this process if that is intended"
        return "it hasn't read its files yet, or they define no flag: define one"

    def _what_serves(self) -> str:
        if not self.serving.revision:
            return "Code defaults serve"
        return f"The last good set serves, {self.serving.age:.0f} s old"

    def _load_copy(self) -> None:
        saved = None if self._copy is None else self._copy.load()
        if saved is None or self._copy is None:
            return
        try:
            document = read_document(saved.flags.encode(errors="surrogatepass"), str(self._copy.path))
        except FlagFileError as error:
            logger.warning("%s: the offline copy cannot be used: %s", self._copy.path, error)
            return
        self._serve(
            merge([document]), f"the offline copy {self._copy.path} serves",
            below=saved.context, loaded_at=saved.saved_at,
        )  # fmt: skip


class _Follower:
    """The thread that follows the server, one connection after another, until it's stopped.

    Args:
        provider: Handles the sets and the lost connections.
    """

    def __init__(self, provider: StreamProvider) -> None:
        self._provider = provider
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._connection: SyncConnection | None = None
        self._thread = BackgroundThread(self._run, "windsock-stream")
        self._thread.begin()

    def stop(self) -> None:
        """Close the connection and join the thread."""
        with self._lock:
            self._stop.set()
            if self._connection is not None:
                self._connection.close()
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        attempt = 0
        while self._connect():
            received, error = self._follow()
            if self._stop.is_set():
                return
            attempt = 0 if received else attempt + 1
            if received and error.code == "DEADLINE_EXCEEDED":
                continue  # the stream reached its deadline; nothing is wrong
            if not self._provider.lost(error):
                return
            self._wait(self._provider.delay(attempt))

    def _connect(self) -> bool:
        with self._lock:
            if not self._stop.is_set():
                self._connection = self._provider.connection()
            return not self._stop.is_set()

    def _follow(self) -> tuple[bool, LostError]:
        """Read one connection to its end; return whether a set arrived, and how it ended."""
        received = False
        connection = self._connection
        try:
            for push in connection.pushes() if connection else ():
                received = True
                self._provider.take(push)
        except LostError as error:
            return received, error
        except Exception as error:  # a dead thread would silently serve old flags forever
            logger.exception("flagd: a set could not be taken; the last good one keeps serving")
            return received, LostError(f"{type(error).__name__}: {error}")
        return received, LostError("the server ended the stream")

    def _wait(self, seconds: float) -> None:
        """Wait before the next attempt, and report ERROR when the grace period ends during the wait."""
        grace = self._provider.grace()
        if grace < seconds:
            self._stop.wait(grace)
            if not self._stop.is_set():
                self._provider.fail()
            seconds -= grace
        self._stop.wait(seconds)
