"""The implementation of `wait_for`, loaded on first use."""

import time
from typing import Final

from windsock.errors import ConfigurationError
from windsock.providers.files import FilesProvider
from windsock.settings.process import process

_LOOK_SECONDS: Final = 0.005


def wait(revision: str, timeout: float) -> bool:
    """Wait until this process has served a revision; return whether it has.

    Args:
        revision: The flag files' revision.
        timeout: Seconds to wait.

    Raises:
        ConfigurationError: This process reads no flag files.
    """
    provider = process.evaluating().client.provider
    if not isinstance(provider, FilesProvider):
        name = provider.get_metadata().name
        raise ConfigurationError(
            f"{name} reads no flag files, and a flagd server passes on no file's revision: wait until the "
            "value itself is there, or have this process read the files (FLAGD_RESOLVER=file)"
        )
    until = time.monotonic() + timeout
    provider.refresh()
    while revision not in provider.served_revisions:
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
