"""The ad platform's client: what each refusal asks for, and that the token is in no message."""

import http.server
import threading
from decimal import Decimal

import pytest
from examples.ad_learning.ad_platform import (
    Access,
    AdPlatform,
    PauseError,
    PlatformError,
    RefusedError,
    Report,
    UnsureError,
)
from examples.ad_learning.ad_platform_endpoint import AdPlatformEndpoint


@pytest.fixture
def endpoint():
    with AdPlatformEndpoint(budgets={"c": 10_000}) as endpoint:
        yield endpoint


@pytest.fixture
def platform(endpoint):
    return AdPlatform(Access(base_url=endpoint.url, access_token=endpoint.token, account_id="1"))


@pytest.fixture
def answering():
    """A server that is no ad platform: it gives one answer to everything."""
    servers = []

    def start(status, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_budget_is_read_and_set(platform, endpoint):
    assert platform.daily_budget("c") == 10_000
    platform.set_daily_budget("c", 11_000)
    assert platform.daily_budget("c") == 11_000
    assert endpoint.changes == [("c", 10_000, 11_000)]


def test_a_platform_that_never_answers_is_waited_for_as_long_as_is_set(silent, configure):
    configure("workers", platform_seconds=0.2)
    with pytest.raises(UnsureError, match="does not answer: ReadTimeout"):
        AdPlatform(Access(base_url=silent, access_token="t")).daily_budget("c")


def test_reports_are_read_over_all_pages(platform, endpoint):
    for n in range(5):
        endpoint.insights.append(
            {
                "ad_id": f"a{n}",
                "impressions": "2000",
                "clicks": "100",
                "spend": "12.50",
                "action_values": [
                    {"action_type": "purchase", "value": "40.00"},
                    {"action_type": "add_to_cart", "value": "99.00"},
                ],
            }
        )
    endpoint.insights.append({"ad_id": "new", "impressions": "0", "clicks": "0", "spend": "0"})
    reports = list(platform.reports())
    assert [report.ad_id for report in reports] == ["a0", "a1", "a2", "a3", "a4", "new"]
    assert reports[0] == Report("a0", 2000, 100, Decimal("12.50"), Decimal("40.00"))
    assert reports[-1].revenue == 0


@pytest.mark.parametrize(
    ("campaign", "budget", "said"),
    [
        ("c", 99, "at least 100"),
        ("c", -1, "must be an integer"),
        ("other", 500, "Unsupported post request. Object with ID 'other' does not exist"),
    ],
)
def test_what_is_refused_for_good(platform, endpoint, campaign, budget, said):
    with pytest.raises(RefusedError, match=said):
        platform.set_daily_budget(campaign, budget)
    assert endpoint.changes == []


@pytest.mark.parametrize(("minutes", "seconds"), [(30, 1800), (0, None), (None, None)])
def test_the_rate_limit_pauses_for_as_long_as_it_says(platform, endpoint, minutes, seconds):
    endpoint.calls_left, endpoint.regain_minutes = 0, minutes
    with pytest.raises(PauseError, match=r"User request limit reached.*code 17") as caught:
        platform.daily_budget("c")
    assert caught.value.seconds == seconds


@pytest.mark.parametrize("token", ["stale", ""])
def test_without_a_valid_token_there_is_a_pause_and_the_variable_is_named(endpoint, token):
    platform = AdPlatform(Access(base_url=endpoint.url, access_token=token))
    with pytest.raises(PauseError, match="set AD_PLATFORM_ACCESS_TOKEN"):
        platform.daily_budget("c")
    assert platform.account_id == ""


def test_an_internal_error_leaves_it_open(platform, endpoint):
    endpoint.down = True
    with pytest.raises(UnsureError, match="code 2, status 500"):
        platform.set_daily_budget("c", 11_000)


def test_no_answer_leaves_it_open_and_the_token_is_in_no_message(endpoint):
    url, token = endpoint.url, "a-very-secret-token"
    endpoint.__exit__(None, None, None)
    with pytest.raises(UnsureError, match="does not answer: ConnectionError") as caught:
        AdPlatform(Access(base_url=url, access_token=token)).daily_budget("c")
    assert caught.value.__suppress_context__
    assert token not in f"{caught.value!r} {Access(access_token=token)!r}"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>Not found</html>"),
        (200, b"<html>Please sign in</html>"),
        (200, b""),
        (200, b"[]"),
        (400, b'{"error": "text"}'),
        (502, b"Bad gateway"),
        (200, b'{"id": "c", "daily_budget": "many", "success": "perhaps"}'),
    ],
)
def test_an_answer_that_is_not_the_platforms_leaves_it_open(answering, status, body):
    """The client takes such an answer for a success, or trips over it."""
    platform = AdPlatform(Access(base_url=answering(status, body), access_token="t", account_id="1"))
    with pytest.raises(UnsureError):
        platform.daily_budget("c")
    with pytest.raises(UnsureError):
        platform.set_daily_budget("c", 11_000)
    with pytest.raises(PlatformError):
        list(platform.reports())


def test_a_campaign_without_a_daily_budget_is_refused(answering):
    platform = AdPlatform(Access(base_url=answering(200, b'{"id": "c"}'), access_token="t"))
    with pytest.raises(RefusedError, match="campaign c has no daily budget"):
        platform.daily_budget("c")


def test_the_environment_names_the_platform(endpoint, monkeypatch):
    assert Access().base_url == "https://graph.facebook.com"
    for name, value in endpoint.variables.items():
        monkeypatch.setenv(name, value)
    assert AdPlatform().daily_budget("c") == 10_000
    assert AdPlatform().account_id == "act_1"
