"""Each test starts from a process that has started nothing."""

from tests.settings.conftest import anyio_backend, fresh_process, serve

__all__ = ["anyio_backend", "fresh_process", "serve"]
