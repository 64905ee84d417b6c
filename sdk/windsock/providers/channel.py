"""The gRPC channel to a flagd server. Imported only by code that connects, because it loads gRPC."""

from pathlib import Path

import grpc

from windsock.plain_files import read_plain
from windsock.providers.flagd_options import FlagdOptions


def open_channel(options: FlagdOptions, *settings: tuple[str, str | int]) -> grpc.Channel:
    """Open a channel; it connects on first use.

    Args:
        options: The server's address and connection options.
        settings: Additional gRPC channel options.

    Raises:
        OSError: The certificate file can't be read.
    """
    target, authority = options.target, options.authority
    if target.startswith("envoy://"):
        target, _, authority = target.removeprefix("envoy://").partition("/")
    every = [
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.keepalive_time_ms", int(options.keep_alive * 1000) or 2**31 - 1),
        # A separate connection: another channel's failure must not make this one wait.
        ("grpc.use_local_subchannel_pool", 1),
        *settings,
    ]
    if authority:
        every.append(("grpc.default_authority", authority))
    if not options.tls:
        return grpc.insecure_channel(target, options=every)
    trusted = read_plain(Path(options.certificate)) if options.certificate else None
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(trusted), options=every)
