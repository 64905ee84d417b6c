"""How a flagd server is reached: the options, and the ``FLAGD_*`` variables they are read from."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

from windsock.backoff import Backoff
from windsock.errors import ConfigurationError

T = TypeVar("T")

Protocol: TypeAlias = Literal["rpc", "in-process"]
"""What is asked of the server: an evaluation each time, or its flags."""

PORTS: Final[Mapping[Protocol, int]] = {"rpc": 8013, "in-process": 8015}

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Largest set taken by default; gRPC's own 4 MiB are too few for flags that list their users."""

GRACE_PERIOD: Final = 5.0
"""Seconds for which a source may be away before the status goes from STALE to ERROR, by default."""


@dataclass(frozen=True, slots=True)
class FlagdOptions:
    """How to reach a flagd server; durations are seconds.

    Attributes:
        host: Host name or address.
        port: 8015 sends flags, 8013 evaluates them.
        target_uri: A gRPC target that replaces host and port, such as ``dns:///flagd.internal:8015``.
            ``envoy://host:port/name`` means that proxy, and the name as the authority.
        socket_path: A Unix socket that replaces host and port.
        tls: Whether the connection is encrypted.
        certificate: File with the certificates to trust; empty for the system's.
        authority: HTTP/2 authority to send instead of the target's.
        selector: Which of the server's flags: ``flagSetId=…`` or ``source=…``.
        provider_id: A name for this client that the server may want.
        deadline: Longest wait at the start, and for one answer.
        stream_deadline: Life of one stream, after which it is opened again; it bounds how long a connection
            that died in silence goes unnoticed. 0 for no end.
        backoff: First wait before connecting again; it doubles, with jitter.
        backoff_max: Longest wait before connecting again.
        grace_period: Seconds without a connection until the provider's status goes from STALE to ERROR.
        keep_alive: Seconds between HTTP/2 pings, 0 for none. Servers refuse frequent ones.
        fatal_codes: gRPC status names, such as ``UNAUTHENTICATED``, after which a start is not tried again.
        max_message_bytes: Largest set that is taken.
    """

    host: str = "localhost"
    port: int = 8015
    target_uri: str = ""
    socket_path: str = ""
    tls: bool = False
    certificate: str = ""
    authority: str = ""
    selector: str = ""
    provider_id: str = ""
    deadline: float = 2.0
    stream_deadline: float = 600.0
    backoff: float = 1.0
    backoff_max: float = 12.0
    grace_period: float = GRACE_PERIOD
    keep_alive: float = 0.0
    fatal_codes: frozenset[str] = frozenset()
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def target(self) -> str:
        """The gRPC target."""
        if self.target_uri:
            return self.target_uri
        return f"unix:{self.socket_path}" if self.socket_path else f"{self.host}:{self.port}"

    def retry_delay(self, attempt: int) -> float:
        """Seconds before another attempt; half of it is jitter, so that many clients do not come at once."""
        return Backoff(self.backoff, self.backoff_max, jitter=0.5).pause(attempt + 1)

    @classmethod
    def from_environment(cls, protocol: Protocol) -> "FlagdOptions":
        """Read ``FLAGD_*`` as flagd's own providers do; an empty variable counts as unset.

        Raises:
            ConfigurationError: A variable cannot be used.
        """
        plain = cls()
        return cls(
            host=_read("FLAGD_HOST", str, plain.host),
            port=_port(protocol),
            target_uri=_read("FLAGD_TARGET_URI", str, ""),
            socket_path=_read("FLAGD_SOCKET_PATH", str, ""),
            tls=_read("FLAGD_TLS", _boolean, plain.tls),
            certificate=_read("FLAGD_SERVER_CERT_PATH", str, ""),
            authority=_read("FLAGD_DEFAULT_AUTHORITY", str, ""),
            selector=_read("FLAGD_SOURCE_SELECTOR", str, ""),
            provider_id=_read("FLAGD_PROVIDER_ID", str, ""),
            # an evaluation waits for it inside a request; a set of tens of megabytes needs more
            deadline=_read("FLAGD_DEADLINE_MS", _milliseconds, 0.5 if protocol == "rpc" else plain.deadline),
            stream_deadline=_read("FLAGD_STREAM_DEADLINE_MS", _milliseconds, plain.stream_deadline),
            backoff=_read("FLAGD_RETRY_BACKOFF_MS", _milliseconds, plain.backoff),
            backoff_max=_read("FLAGD_RETRY_BACKOFF_MAX_MS", _milliseconds, plain.backoff_max),
            grace_period=grace_period(),
            keep_alive=_read("FLAGD_KEEP_ALIVE_TIME_MS", _milliseconds, plain.keep_alive),
            fatal_codes=_read("FLAGD_FATAL_STATUS_CODES", _names, plain.fatal_codes),
            max_message_bytes=_read("FLAGD_MAX_MESSAGE_BYTES", _positive, plain.max_message_bytes),
        )


def grace_period() -> float:
    """Read the one of ``FLAGD_*`` that also files have a use for.

    Raises:
        ConfigurationError: It cannot be used.
    """
    return _read("FLAGD_RETRY_GRACE_PERIOD", _seconds, GRACE_PERIOD)


def _port(protocol: Protocol) -> int:
    """Give the sync stream's own variable first, then the one that both protocols read."""
    default = _read("FLAGD_PORT", _port_number, PORTS[protocol])
    return default if protocol == "rpc" else _read("FLAGD_SYNC_PORT", _port_number, default)


def _read(variable: str, parse: Callable[[str], T], default: T) -> T:
    raw = os.environ.get(variable, "").strip()
    if not raw:
        return default
    try:
        return parse(raw)
    except ValueError as error:
        raise ConfigurationError(f"{variable}={raw!r}: {error}") from None


def _port_number(raw: str) -> int:
    if "://" in raw:
        raise ValueError(
            "this is no port number; Kubernetes sets it so for a service named flagd: rename the service, or"
            " set enableServiceLinks: false in the pod, or set the variable yourself"
        )
    if not raw.isdecimal() or not 0 < int(raw) < 65536:
        raise ValueError("give a port number from 1 to 65535")
    return int(raw)


def _boolean(raw: str) -> bool:
    if raw.lower() not in {"true", "false"}:
        raise ValueError("give true or false")
    return raw.lower() == "true"


def _milliseconds(raw: str) -> float:
    return _whole(raw, "a whole number of milliseconds") / 1000


def _seconds(raw: str) -> float:
    return float(_whole(raw, "a whole number of seconds"))


def _positive(raw: str) -> int:
    number = _whole(raw, "a number of bytes, such as 67108864")
    if not 0 < number < 2**31:
        raise ValueError("give a number of bytes from 1 to 2147483647")
    return number


def _whole(raw: str, wanted: str) -> int:
    if not raw.isdecimal():
        raise ValueError(f"give {wanted}")
    return int(raw)


def _names(raw: str) -> frozenset[str]:
    return frozenset(name.strip().upper() for name in raw.split(",") if name.strip())
