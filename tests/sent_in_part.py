"""A request whose body begins, straight into an application: what it answers when the rest is late, or never comes."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.types import ASGIApp, Message


async def status_of(
    app: ASGIApp, method: str, path: str, headers: Mapping[str, str], then: Callable[[], Awaitable[Message]]
) -> int:
    """The status; `then` is awaited for the rest of the body."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in {"host": "x", **headers}.items()
        ],
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "client": None,
        "server": ("x", 80),
    }
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}])
    answers: list[Message] = []

    async def receive() -> Message:
        return next(parts, None) or await then()

    async def send(message: Message) -> None:
        answers.append(message)

    await app(scope, receive, send)
    status: int = answers[0]["status"]
    return status


async def left() -> Message:
    """The caller has left."""
    return {"type": "http.disconnect"}
