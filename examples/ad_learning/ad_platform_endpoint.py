"""A small ad platform on loopback: it speaks the protocol of Meta's Graph API and refuses what that refuses.

Errors have the real API's codes, subcodes and shape:
https://developers.facebook.com/docs/graph-api/guides/error-handling.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import parse_qs, urlsplit

Body: TypeAlias = dict[str, object]
Answer: TypeAlias = tuple[int, Body]

_PATH = re.compile(r"/v\d+\.\d+/([^/]+)(/insights)?/?")
_CAMPAIGN_FIELDS = {"id", "name", "daily_budget"}
_INSIGHT_FIELDS = {"ad_id", "impressions", "clicks", "spend", "action_values"}
_PAGE = 2
"""Rows of a page; few, so that whoever reads only the first is found out."""


@dataclass(slots=True)
class AdPlatformEndpoint:
    """The platform as a context manager: it listens inside the ``with`` block and nowhere else.

    Attributes:
        budgets: Daily budget by campaign, in the currency's smallest unit.
        insights: Rows of the account's ads, as the API gives them.
        token: The one that requests must carry.
        account_id: The only account there is.
        minimum: The lowest budget that is accepted.
        calls_left: How many calls are answered before the rate limit; None for no limit.
        regain_minutes: How long the rate limit says to wait; None to say nothing.
        down: While true, each request is answered with the platform's own internal error.
        lose_answers: While true, a change is made and its answer never sent.
        changes: The changes made so far: campaign, budget before, budget after.
        calls: Method and path of each request so far.
    """

    budgets: dict[str, int] = field(default_factory=dict)
    insights: list[Body] = field(default_factory=list)
    token: str = "loopback-token"  # noqa: S105 - of the loopback endpoint only
    account_id: str = "1"
    minimum: int = 100
    calls_left: int | None = None
    regain_minutes: int | None = None
    down: bool = False
    lose_answers: bool = False
    changes: list[tuple[str, int, int]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _may_answer: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The base URL for a client."""
        if self._server is None:
            raise RuntimeError("the endpoint listens only inside its with block")
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def variables(self) -> dict[str, str]:
        """What a deployment would say in the environment."""
        return {
            "AD_PLATFORM_BASE_URL": self.url,
            "AD_PLATFORM_ACCESS_TOKEN": self.token,
            "AD_PLATFORM_ACCOUNT_ID": self.account_id,
        }

    def __enter__(self) -> Self:
        self._may_answer.set()
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False  # closing waits for the answers under way
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="ad-platform-endpoint"
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._may_answer.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None

    @contextmanager
    def holding_answers(self) -> Iterator[None]:
        """Make changes and keep their answers back until the end of the block."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    def answer(self, method: str, path: str, parameters: Mapping[str, str]) -> Answer:
        """Give the status and the body for a request."""
        with self._lock:
            self.calls.append((method, path))
            if refusal := self._refusal(parameters):
                return refusal
            match = _PATH.fullmatch(path)
            if match is None:
                return _error(f"Unknown path components: {path}", code=2500)
            node, insights = match.groups()
            if insights:
                return self._read_insights(node, parameters)
            if node not in self.budgets:
                return _missing(method, node)
            return self._change(node, parameters) if method == "POST" else self._read(node, parameters)

    def await_answering(self) -> None:
        """Wait while answers are held."""
        self._may_answer.wait()

    def _refusal(self, parameters: Mapping[str, str]) -> Answer | None:
        """What is said whatever was asked for."""
        if self.down:
            return _error("An unexpected error has occurred. Please retry your request later.",
                          code=2, status=500, transient=True)  # fmt: skip
        token = parameters.get("access_token")
        if token is None:
            return _error("An access token is required to request this resource.", code=104, status=401)
        if token != self.token:
            return _error("Invalid OAuth access token - Cannot parse access token", code=190, status=401)
        if self.calls_left == 0:
            return _error("User request limit reached", code=17, subcode=2446079, transient=True)
        if self.calls_left is not None:
            self.calls_left -= 1
        return None

    def _read(self, campaign: str, parameters: Mapping[str, str]) -> Answer:
        fields = set(filter(None, parameters.get("fields", "").split(",")))
        for name in sorted(fields - _CAMPAIGN_FIELDS):
            return _error(f"(#100) Tried accessing nonexisting field ({name}) on node type (Campaign)")
        values: Body = {"name": campaign, "daily_budget": str(self.budgets[campaign])}
        return 200, {name: values[name] for name in values if name in fields} | {"id": campaign}

    def _change(self, campaign: str, parameters: Mapping[str, str]) -> Answer:
        given = parameters.get("daily_budget", "")
        if not re.fullmatch(r"[0-9]+", given):
            return _error("(#100) Param daily_budget must be an integer")
        budget = int(given)
        if budget < self.minimum:
            return _error(f"Invalid parameter: the daily budget must be at least {self.minimum}")
        self.changes.append((campaign, self.budgets[campaign], budget))
        self.budgets[campaign] = budget
        return 200, {"success": True}

    def _read_insights(self, node: str, parameters: Mapping[str, str]) -> Answer:
        if node != f"act_{self.account_id}":
            return _missing("get", node)
        fields = parameters.get("fields", "").split(",")
        for name in sorted(set(fields) - _INSIGHT_FIELDS):
            return _error(f"(#100) {name} is not valid for fields param")
        first = int(parameters.get("after", "0"))
        page = self.insights[first : first + _PAGE]
        paging: Body = {"cursors": {"before": str(first), "after": str(first + _PAGE)}}
        if first + _PAGE < len(self.insights):
            paging["next"] = f"{self.url}/next-page"
        rows = [{name: row[name] for name in fields if name in row} for row in page]
        return 200, {"data": rows, "paging": paging}


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: each answer closes its connection, so that no idle client holds up the end."""

    endpoint: AdPlatformEndpoint
    timeout = 10

    def do_GET(self) -> None:
        """Read a campaign, or the insights of an account."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Change a campaign."""
        self._answer("POST")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: `AdPlatformEndpoint.calls` has it."""

    def _answer(self, method: str) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        parameters = {
            name: values[-1] for text in (address.query, body) for name, values in parse_qs(text).items()
        }
        changes = len(self.endpoint.changes)
        status, answer = self.endpoint.answer(method, address.path, parameters)
        if len(self.endpoint.changes) > changes:
            self.endpoint.await_answering()
            if self.endpoint.lose_answers:
                return  # the connection ends without a word
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.endpoint.regain_minutes is not None:
            usage = {
                "type": "ads_management",
                "estimated_time_to_regain_access": self.endpoint.regain_minutes,
            }
            self.send_header("X-Business-Use-Case-Usage", json.dumps({self.endpoint.account_id: [usage]}))
        self.end_headers()
        self.wfile.write(data)


def _missing(method: str, node: str) -> Answer:
    return _error(
        f"Unsupported {method.lower()} request. Object with ID '{node}' does not exist, cannot be loaded due "
        "to missing permissions, or does not support this operation",
        subcode=33,
    )


def _error(
    message: str,
    *,
    code: int = 100,
    subcode: int | None = None,
    status: int = 400,
    transient: bool = False,
) -> Answer:
    error: Body = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "loopback"}
    if subcode is not None:
        error["error_subcode"] = subcode
    if transient:
        error["is_transient"] = True
    return status, {"error": error}
