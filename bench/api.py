"""What the API's callers can do to `/health`, which answers beside it.

    python -m bench.api [--seconds 8] [--out bench/results/api.md]

`windsock serve` answers as a process of its own, over HTTP on loopback, and so does the control: a FastAPI
application with two routes, asked right after it. The callers are another process, at a low priority, so that
they don't hold up the one that asks for `/health` every 50 ms and takes the time. Needs the extras `api`,
`embedded` and `cli`.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import os
import platform
import secrets
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import uvicorn
from bench.console import console
from fastapi import FastAPI, HTTPException

from windsock.api import Role, create_token
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

PATH = "/api/config/teacher"
PAUSE = 0.05
"""Seconds from one question for `/health` to the next."""

FORM = b"a=" + b"%E2%80%AE" * 28_000
"""A form of 252 kB, each letter of it quoted."""


@dataclass(frozen=True)
class Callers:
    """What they ask for; the token "wrong" is another one each time."""

    number: int = 200
    token: str | None = None
    path: str = PATH
    form: bool = False

    def request(self) -> bytes:
        body = FORM if self.form else b""
        token = secrets.token_urlsafe() if self.token == "wrong" else self.token
        lines = [f"{'POST' if self.form else 'GET'} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        lines.append(f"Content-Length: {len(body)}")
        if token:
            lines.append(f"Authorization: Bearer {token}")
        return "\r\n".join([*lines, "", ""]).encode() + body


async def call(place: tuple[str, int], callers: Callers) -> None:
    """One caller, who asks again as soon as there is an answer."""
    reader, writer = await asyncio.open_connection(*place)
    while True:
        writer.write(callers.request())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))


def together(place: tuple[str, int], callers: Callers) -> None:
    async def everybody() -> None:
        await asyncio.gather(*(call(place, callers) for _ in range(callers.number)), return_exceptions=True)

    os.nice(19)
    asyncio.run(everybody())


@contextmanager
def calling(place: tuple[str, int], callers: Callers) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=together, args=(place, callers))
    process.start()
    try:
        time.sleep(3)  # the process imports this module first
        yield
    finally:
        process.terminate()
        process.join()


def answer_as_control(listener: socket.socket) -> None:
    app = FastAPI()

    @app.get("/health")
    async def well() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(PATH)
    async def refuse() -> None:
        raise HTTPException(401, "send a valid token", {"WWW-Authenticate": "Bearer"})

    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


@contextmanager
def control() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    process = multiprocessing.get_context("spawn").Process(target=answer_as_control, args=(listener,))
    process.start()
    try:
        yield listener.getsockname()
    finally:
        process.terminate()
        process.join()


@contextmanager
def locked(url: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute("lock table windsock.api_tokens in access exclusive mode")
        yield
        connection.rollback()


def health(place: tuple[str, int], seconds: float) -> list[float]:
    """Milliseconds of each answer."""
    connection = http.client.HTTPConnection(*place, timeout=60)
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        connection.request("GET", "/health")
        connection.getresponse().read()
        took.append(1e3 * (time.perf_counter() - began))
        time.sleep(max(0.0, began + PAUSE - time.perf_counter()))
    connection.close()
    return took


def repeated_keys(place: tuple[str, int], token: str) -> tuple[int, int, float]:
    """The status, the kilobytes and the seconds of a body of repeated keys."""
    body = b"{" + b",".join(b'"k%d": 1' % (each % 12_000) for each in range(21_000)) + b"}"
    connection = http.client.HTTPConnection(*place, timeout=120)
    began = time.perf_counter()
    connection.request("PUT", PATH, body, {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, len(body) // 1000, time.perf_counter() - began


def measure(
    place: tuple[str, int], other: tuple[str, int], url: str, token: str, seconds: float
) -> dict[str, list[float]]:
    found = {"nobody": health(place, seconds), "nobody: the control": health(other, seconds)}
    for name, at, callers in (
        ("200 callers without a token", place, Callers()),
        ("200 callers without a token: the control", other, Callers()),
        ("200 callers, another wrong token each time", place, Callers(token="wrong")),
        ("200 callers with a token, which has a rate", place, Callers(token=token)),
        ("200 strangers at the door of the console", place, Callers(path="/sign-in")),
        ("200 strangers who send it forms of 252 kB", place, Callers(path="/base/plan", form=True)),
        ("40 callers with a token", place, Callers(40, token)),
    ):
        with calling(at, callers):
            found[name] = health(at, seconds)
    with locked(url), calling(place, Callers(40, token)):
        found["40 callers with a token, while the table of tokens is locked"] = health(place, seconds)
    return found


def report(found: dict[str, list[float]], body: tuple[int, int, float], load: float) -> str:
    lines = [
        "# `/health` beside the configuration API",
        "",
        "Milliseconds of `/health` of `windsock serve`, over HTTP on loopback; server, callers and",
        "PostgreSQL share the cores. Each caller asks again as soon as there is an answer. The control is a",
        "FastAPI application with two routes.",
        f"{os.cpu_count()} cores, Python {platform.python_version()}; load average before: {load:.1f}.",
        "",
        "| who calls meanwhile | answers | median | 99 % | worst |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, took in found.items():
        late = sorted(took)[int(0.99 * len(took))]
        lines.append(
            f"| {name} | {len(took)} | {statistics.median(took):.1f} | {late:.0f} | {max(took):.0f} |"
        )
    status, size, seconds = body
    lines += ["", f"A body of {size} kB of repeated keys is answered with {status} in {seconds:.2f} s.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(embedded.start(folder / "postgres"))
        connection = stack.enter_context(connect(server.url))
        migrate(connection, read_migrations())
        flag = {"state": "ENABLED", "variants": {"production": {"top_k": 5}}, "defaultVariant": "production"}
        (folder / "flagd").mkdir()
        (folder / "flagd" / "teacher.flagd.json").write_text(json.dumps({"flags": {"teacher": flag}}))
        token = create_token(connection, "bench", Role.ADMIN)
        os.environ["CONFIGURATION_API_WRITABLE"] = "true"
        address, _ = stack.enter_context(console(folder, server.url))
        at = urlsplit(address)
        place = (str(at.hostname), int(at.port or 80))
        other = stack.enter_context(control())
        health(other, 1)  # its process imports this module first
        health(place, 1)
        found = measure(place, other, server.url, token, options.seconds)
        text = report(found, repeated_keys(place, token), load)
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
