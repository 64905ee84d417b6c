"""Each test starts from a process that has started nothing and read nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openfeature import api
from tests.flagfiles import write_flags

import windsock


@pytest.fixture(autouse=True)
def fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    windsock.reload()
    yield
    windsock.stop()
    api.shutdown()


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Path]:
    """Write flags into a folder and start on it: ``serve({"teacher": {...}}, environment="staging")``."""

    def serve(flags: dict[str, object], **options: object) -> Path:
        folder = tmp_path / "flagd"
        write_flags(folder / "test.flagd.json", flags)
        windsock.start(flags=folder, **options)
        return folder

    return serve


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def setenv(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Set a variable and have the process read it."""

    def setenv(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        windsock.reload()

    return setenv
