"""How to reach a flagd server: the options, and the ``FLAGD_*`` variables that set them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from windsock.backoff import Backoff
from windsock.errors import ConfigurationError
from windsock.providers.base import GRACE_PERIOD

Protocol: TypeAlias = Literal["rpc", "in-process"]
"""What to request from the server: individual evaluations, or its flags."""

Reader: TypeAlias = Literal["file", "rpc", "in-process"]
"""The resolvers, by their ``FLAGD_RESOLVER`` names."""

PORTS: Final[Mapping[Protocol, int]] = {"rpc": 8013, "in-process": 8015}

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Default maximum size of a set; gRPC's default of 4 MiB is too small for flags that list their users."""


@dataclass(frozen=True, slots=True)
class FlagdOptions:
    """How to reach a flagd server; durations are in seconds.

    Attributes:
        host: Host name or address.
        port: 8015 sends flags, 8013 evaluates them.
        target_uri: A gRPC target that replaces host and port, such as ``dns:///flagd.internal:8015``.
            ``envoy://host:port/name`` connects to that proxy, with the name as the authority.
        socket_path: A Unix socket that replaces host and port.
        tls: Whether the connection is encrypted.
        certificate: File with the trusted certificates; empty for the system's.
        authority: HTTP/2 authority to send instead of the target's.
        selector: Selects a subset of the server's flags: ``flagSetId=…`` or ``source=…``.
        provider_id: A name for this client, which the server may require.
        deadline: Maximum wait at the start, and for one answer.
        stream_deadline: Lifetime of a stream before it's reopened, which bounds how long a silently dead
            connection goes unnoticed. 0 for no limit.
        backoff: Initial wait before reconnecting; it doubles, with jitter.
        backoff_max: Maximum wait before reconnecting.
        grace_period: Seconds without a connection before the provider's status goes from STALE to ERROR.
        keep_alive: Seconds between HTTP/2 pings, 0 for none. Servers reject frequent pings.
        fatal_codes: gRPC status names, such as ``UNAUTHENTICATED``, after which the start isn't retried.
        max_message_bytes: Maximum size of a set.
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
        """Seconds before the next attempt; half of it is jitter, so that clients don't all come at once."""
        return Backoff(self.backoff, self.backoff_max, jitter=0.5).pause(attempt + 1)

    @classmethod
    def from_environment(cls, protocol: Protocol) -> "FlagdOptions":
        """Read ``FLAGD_*`` as flagd's own providers do; an empty variable counts as unset.

        Raises:
            ConfigurationError: A variable is invalid.
        """
        usual: dict[str, Any] = {"port": PORTS[protocol]}
        if protocol == "rpc":  # a request waits for an evaluation; a set of tens of megabytes needs more
            usual["deadline"] = 0.5
        return cls(**usual | _read(protocol))


def grace_period() -> float:
    """Read the only ``FLAGD_*`` variable that the files provider uses, too.

    Raises:
        ConfigurationError: It's invalid.
    """
    return float(_read("file").get("grace_period", GRACE_PERIOD))


def _read(reader: Reader) -> dict[str, Any]:
    """The options set by the environment; later variables in the table win.

    With a server, every invalid variable is reported, even if only the other resolver reads it.
    """
    found = {}
    for name, variable in VARIABLES.items():
        raw = os.environ.get(name, "").strip()
        if not raw or (reader == "file" and reader not in variable.readers):
            continue
        try:
            value = variable.parse(raw)
        except ValueError as error:
            raise ConfigurationError(f"{name}={raw!r}: {error}") from None
        if reader in variable.readers:
            found[variable.option] = value
    return found


def _port_number(raw: str) -> int:
    if "://" in raw:
        raise ValueError(
            "this isn't a port number; Kubernetes sets it so for a service named flagd: rename the"
            " service, or set enableServiceLinks: false in the pod, or set the variable yourself"
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


class Variable(NamedTuple):
    """An environment variable that flagd's own providers also use.

    Attributes:
        option: The field of `FlagdOptions` that it sets.
        parse: Parses its text, or raises a ValueError that says what to write.
        readers: The resolvers that read it.
    """

    option: str
    parse: Callable[[str], object]
    readers: frozenset[Reader]


_ALL: Final = frozenset[Reader]({"file", "rpc", "in-process"})
_SERVER: Final = frozenset[Reader]({"rpc", "in-process"})
_STREAM: Final = frozenset[Reader]({"in-process"})

VARIABLES: Final[Mapping[str, Variable]] = {
    "FLAGD_HOST": Variable("host", str, _SERVER),
    "FLAGD_PORT": Variable("port", _port_number, _SERVER),
    "FLAGD_SYNC_PORT": Variable("port", _port_number, _STREAM),
    "FLAGD_TARGET_URI": Variable("target_uri", str, _SERVER),
    "FLAGD_SOCKET_PATH": Variable("socket_path", str, _SERVER),
    "FLAGD_TLS": Variable("tls", _boolean, _SERVER),
    "FLAGD_SERVER_CERT_PATH": Variable("certificate", str, _SERVER),
    "FLAGD_DEFAULT_AUTHORITY": Variable("authority", str, _SERVER),
    "FLAGD_SOURCE_SELECTOR": Variable("selector", str, _SERVER),
    "FLAGD_PROVIDER_ID": Variable("provider_id", str, _STREAM),
    "FLAGD_DEADLINE_MS": Variable("deadline", _milliseconds, _SERVER),
    "FLAGD_STREAM_DEADLINE_MS": Variable("stream_deadline", _milliseconds, _SERVER),
    "FLAGD_RETRY_BACKOFF_MS": Variable("backoff", _milliseconds, _SERVER),
    "FLAGD_RETRY_BACKOFF_MAX_MS": Variable("backoff_max", _milliseconds, _SERVER),
    "FLAGD_RETRY_GRACE_PERIOD": Variable("grace_period", _seconds, _ALL),
    "FLAGD_KEEP_ALIVE_TIME_MS": Variable("keep_alive", _milliseconds, _SERVER),
    "FLAGD_FATAL_STATUS_CODES": Variable("fatal_codes", _names, _SERVER),
    "FLAGD_MAX_MESSAGE_BYTES": Variable("max_message_bytes", _positive, _STREAM),
}
"""All ``FLAGD_*`` variables about a server, except the two with which `choose` selects one.

pydantic-settings could read them, but couldn't express which resolver reads which, or the port value that
Kubernetes may set.
"""
