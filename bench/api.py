"""What the API's callers can do to `/health`, which answers beside it.

    python -m bench.api [--seconds 8] [--out bench/results/api.md]

`windsock serve` answers as a process of its own, over HTTP on loopback. The callers are another process, so
that they don't hold up the one that asks for `/health` and takes the time. Needs the extras `api`, `embedded`
and `cli`.
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
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from bench.console import console

from windsock.api import Role, create_token
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, find_folder, migrate, read_migrations

PATH = "/api/config/teacher"
PAUSE = 0.02
"""Seconds between two questions for `/health`."""


def request(method: str, token: str | None = None, body: bytes = b"") -> bytes:
    lines = [f"{method} {PATH} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def call(place: tuple[str, int], token: str | None) -> None:
    """One caller, who asks again as soon as there is an answer; "wrong" is another wrong token each time."""
    reader, writer = await asyncio.open_connection(*place)
    while True:
        writer.write(request("GET", secrets.token_urlsafe() if token == "wrong" else token))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))


def callers(place: tuple[str, int], number: int, token: str | None) -> None:
    async def together() -> None:
        await asyncio.gather(*(call(place, token) for _ in range(number)), return_exceptions=True)

    asyncio.run(together())


@contextmanager
def calling(place: tuple[str, int], number: int, token: str | None) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=callers, args=(place, number, token))
    process.start()
    try:
        time.sleep(3)  # the process imports this module first
        yield
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
        time.sleep(PAUSE)
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


def measure(place: tuple[str, int], url: str, token: str, seconds: float) -> dict[str, list[float]]:
    found = {"nobody": health(place, seconds)}
    for name, number, shown in (
        ("200 callers without a token", 200, None),
        ("200 callers, another wrong token each time", 200, "wrong"),
        ("40 callers with a token", 40, token),
    ):
        with calling(place, number, shown):
            found[name] = health(place, seconds)
    with locked(url), calling(place, 40, token):
        found["40 callers with a token, while the table of tokens is locked"] = health(place, seconds)
    return found


def report(found: dict[str, list[float]], body: tuple[int, int, float], load: float) -> str:
    lines = [
        "# `/health` beside the configuration API",
        "",
        "Milliseconds of `/health` of `windsock serve`, over HTTP on loopback; server, callers and",
        "PostgreSQL share the cores. Each caller asks again as soon as there is an answer.",
        f"{os.cpu_count()} cores, Python {platform.python_version()}; load average before: {load:.1f}.",
        "",
        "| who calls meanwhile | answers | median | worst |",
        "|---|--:|--:|--:|",
    ]
    for name, took in found.items():
        lines.append(f"| {name} | {len(took)} | {statistics.median(took):.1f} | {max(took):.0f} |")
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
        migrate(connection, read_migrations(find_folder()))
        flag = {"state": "ENABLED", "variants": {"production": {"top_k": 5}}, "defaultVariant": "production"}
        (folder / "flagd").mkdir()
        (folder / "flagd" / "teacher.flagd.json").write_text(json.dumps({"flags": {"teacher": flag}}))
        token = create_token(connection, "bench", Role.ADMIN)
        os.environ["CONFIGURATION_API_WRITABLE"] = "true"
        address, _ = stack.enter_context(console(folder, server.url))
        at = urlsplit(address)
        place = (str(at.hostname), int(at.port or 80))
        found = measure(place, server.url, token, options.seconds)
        text = report(found, repeated_keys(place, token), load)
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
