"""Side by side with the stock flagd provider: each of its measured faults, and what windsock does instead.

The stock side is asserted too, so that a release that mends a fault is noticed here.
"""

import faulthandler
import inspect
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from openfeature import _event_support, api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ProviderNotReadyError
from openfeature.provider import AbstractProvider, ProviderStatus
from tests.flagfiles import write_flags
from tests.providers.sync_server import SyncServer
from tests.providers.test_fork import ended, forked
from tests.waiting import until

from windsock.errors import ConfigurationError
from windsock.evaluator import FlagEvaluator
from windsock.providers import FilesProvider
from windsock.providers.choice import choose
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider

pytestmark = [
    # the stock provider's threads die of what they are sent, and its timers are left
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]


def text(value: str, targeting: object = None) -> dict[str, object]:
    flag: dict[str, object] = {"state": "ENABLED", "variants": {"it": value}, "defaultVariant": "it"}
    return flag if targeting is None else flag | {"targeting": targeting}


RED, BLUE = {"colour": text("red")}, {"colour": text("blue")}


@contextmanager
def served(stock: FlagdProvider, windsock: AbstractProvider) -> Iterator[None]:
    """Both serve, each in a domain of its own, so that neither knows of the other."""
    with ExitStack() as stack:
        stack.callback(api.clear_providers)
        stack.callback(_event_support.clear)
        for domain, provider in (("stock", stock), ("windsock", windsock)):
            api.set_provider_and_wait(provider, domain)
        stack.callback(windsock.shutdown)
        yield


def value(domain: str, key: str = "colour") -> str:
    return api.get_client(domain).get_string_value(key, "default")


def status(domain: str) -> ProviderStatus:
    return api.get_client(domain).get_provider_status()


def file_pair(path: Path, deadline_ms: int = 50) -> tuple[FlagdProvider, FilesProvider]:
    stock = FlagdProvider(
        resolver_type=ResolverType.FILE,
        offline_flag_source_path=str(path),
        deadline_ms=deadline_ms,
    )
    return stock, FilesProvider(path, poll=0.2)


def stream_pair(port: int) -> tuple[FlagdProvider, StreamProvider]:
    stock = FlagdProvider(
        resolver_type=ResolverType.IN_PROCESS, port=port, deadline_ms=5000, retry_backoff_max_ms=100
    )
    return stock, StreamProvider(FlagdOptions(port=port, deadline=5.0, backoff=0.05), {}, None)


@pytest.fixture(autouse=True)
def poll_of_50_ms(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the stock file mode, which reads it and does not use it."""
    monkeypatch.setenv("FLAGD_OFFLINE_POLL_MS", "50")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.flagd.json"
    write_flags(path, RED)
    return path


# Files


def test_a_change_is_seen_at_once_and_not_when_a_deadline_has_passed(path: Path) -> None:
    with served(*file_pair(path, deadline_ms=30_000)):
        write_flags(path, BLUE)
        assert until(lambda: value("windsock") == "blue")
        assert value("stock") == "red", "it sleeps its deadline of 30 s instead of its poll of 50 ms"


@pytest.mark.parametrize("older", [0, 1], ids=["equal", "older"])
def test_a_replacement_with_an_equal_or_older_mtime_is_served(path: Path, older: int) -> None:
    with served(*file_pair(path)):
        mtime = path.stat().st_mtime_ns - older * 10**9
        aside = path.with_name("aside")
        write_flags(aside, BLUE)
        os.utime(aside, ns=(mtime, mtime))
        aside.replace(path)
        assert until(lambda: value("windsock") == "blue")
        time.sleep(0.5)
        assert value("stock") == "red"


def test_an_empty_object_wipes_nothing(path: Path) -> None:
    with served(*file_pair(path)):
        path.write_text("{}")
        assert until(lambda: value("stock") == "default")
        assert until(lambda: status("windsock") is ProviderStatus.STALE)
        assert value("windsock") == "red"


def test_yml_is_yaml(tmp_path: Path) -> None:
    path = tmp_path / "a.flagd.yml"
    path.write_text(
        "flags:\n  colour:\n    state: ENABLED\n    variants: {it: red}\n    defaultVariant: it\n"
    )
    stock, windsock = file_pair(path)
    with pytest.raises(ProviderNotReadyError):
        stock.initialize(EvaluationContext())
    stock.shutdown()
    windsock.refresh()
    assert windsock.compiled["colour"].evaluate({}).value == "red"


# The sync stream


@pytest.mark.slow
def test_a_set_above_4_mib_is_served_from_the_start() -> None:
    with SyncServer({"colour": text("red"), "big": text("x" * 5_000_000)}) as server:
        stock, windsock = stream_pair(server.port)
        with pytest.raises(ProviderNotReadyError):
            stock.initialize(EvaluationContext())
        stock.shutdown()
        windsock.initialize(EvaluationContext())
        assert windsock.compiled["colour"].evaluate({}).value == "red"
        windsock.shutdown()


def test_a_set_that_grows_past_4_mib_is_served(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    with SyncServer(RED) as server, served(*stream_pair(server.port)):
        for domain in ("stock", "windsock"):
            for event in set(ProviderEvent) - {ProviderEvent.PROVIDER_READY}:
                api.get_client(domain).add_handler(event, lambda _, domain=domain: told.append(domain))
        server.push({"colour": text("blue"), "big": text("x" * 5_000_000)})
        assert until(lambda: value("windsock") == "blue")
        assert until(lambda: "windsock" in told)
        time.sleep(0.5)
        assert (value("stock"), status("stock")) == ("red", ProviderStatus.READY), (
            "old flags, and it says ready"
        )
    assert "stock" not in told, "no event"
    words = [record for record in caplog.records if record.name.startswith("openfeature")]
    files = "file_watcher.py"  # the thread of another test, which nobody can join
    assert [record for record in words if record.filename != files] == [], "no word"


@pytest.mark.parametrize(
    "push",
    [
        json.dumps({"flags": {"colour": text("red", {"$ref": "r"})}, "$evaluators": {"r": "Zoë \\d\n"}}),
        json.dumps({"flags": RED, "$evaluators": 3}),
        "[]",
    ],
    ids=["characters", "evaluators", "list"],
)
def test_a_push_that_one_cannot_read_does_not_end_the_following(push: str) -> None:
    with SyncServer(RED) as server, served(*stream_pair(server.port)):
        server.push(push)
        time.sleep(0.5)
        server.push(BLUE)
        assert until(lambda: value("windsock") == "blue")
        time.sleep(0.5)
        assert (value("stock"), status("stock")) == ("red", ProviderStatus.READY), "its thread is dead"


@pytest.mark.slow
def test_an_empty_metadata_answer_does_not_end_the_following() -> None:
    with SyncServer(RED, metadata="empty") as server:
        stock, windsock = stream_pair(server.port)
        stock.config.deadline_ms = 500
        with pytest.raises(ProviderNotReadyError):
            stock.initialize(EvaluationContext())
        stock.shutdown()
        windsock.initialize(EvaluationContext())
        assert windsock.compiled["colour"].evaluate({}).value == "red"
        windsock.shutdown()


# Fork


def stock_child(child: Callable[[], bool]) -> int:
    """Fork; a crash inside gRPC is expected and prints no trace."""

    def quiet() -> bool:
        faulthandler.disable()
        return child()

    return forked(quiet)


@pytest.mark.slow
def test_a_forked_child_follows_files(path: Path) -> None:
    with served(*file_pair(path)):
        assert until(lambda: value("stock") == "red")
        old = stock_child(
            lambda: until(lambda: value("stock") == "blue", 3) or status("stock").value != "READY"
        )
        new = forked(lambda: until(lambda: value("windsock") == "blue"))
        write_flags(path, BLUE)
        assert ended(new) == 0
        assert ended(old) == 3, "still red, and it says ready"


@pytest.mark.slow
def test_a_forked_child_follows_the_stream() -> None:
    with SyncServer(RED) as server:
        stock, windsock = stream_pair(server.port)
        api.set_provider_and_wait(stock, "stock")
        old = stock_child(
            lambda: until(lambda: value("stock") == "blue", 3) or status("stock").value != "READY"
        )
        stock.shutdown()
        api.clear_providers()
        api.set_provider_and_wait(windsock, "windsock")
        new = forked(lambda: until(lambda: value("windsock") == "blue"))
        server.push(BLUE)
        assert ended(new) == 0
        assert ended(old) != 0, "still red and it says ready, or a crash inside gRPC"
        windsock.shutdown()
        api.clear_providers()


# The rest


def test_a_port_that_kubernetes_sets_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAGD_PORT", "tcp://10.0.0.1:8013")
    monkeypatch.setenv("FLAGD_RESOLVER", "rpc")
    with pytest.raises(ValueError, match="invalid literal for int"):
        FlagdProvider()
    with pytest.raises(ConfigurationError, match="service named flagd: rename the service"):
        choose(None, {})


class Blocking(dict[str, object]):
    """Attributes that a rule cannot read before it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def keys(self):
        self.reached.set()
        assert self.go_on.wait(60)
        return super().keys()

    def get(self, *_):
        self.keys()

    __iter__ = __contains__ = __getitem__ = items = values = get


def test_an_evaluation_that_takes_long_does_not_stop_another_thread(path: Path) -> None:
    """Stock evaluates under one lock: while a rule runs in one thread no other flag is answered."""
    write_flags(path, RED | {"costly": text("green", {"if": [{"==": [{"var": "x"}, 1]}, "it"]})})

    def answered_meanwhile(evaluator: FlagdCore | FlagEvaluator) -> bool:
        evaluator.set_flags(path.read_text())
        attributes, answers = Blocking(), []
        context = EvaluationContext("user", attributes)
        costly = threading.Thread(target=lambda: evaluator.resolve_string_value("costly", "x", context))
        other = threading.Thread(
            target=lambda: answers.append(evaluator.resolve_string_value("colour", "x").value)
        )
        costly.start()
        assert attributes.reached.wait(60)
        other.start()
        meanwhile = until(lambda: answers == ["red"], 1 if isinstance(evaluator, FlagdCore) else 60)
        attributes.go_on.set()
        costly.join()
        other.join()
        assert answers == ["red"]
        return meanwhile

    assert answered_meanwhile(FlagEvaluator())
    assert not answered_meanwhile(FlagdCore())


class OtherNames(FilesProvider):
    """A provider that calls an argument of a resolver by another name, which no type checker minds."""

    def resolve_string_details(self, key, default, context=None):
        return super().resolve_string_details(key, default, context)


@pytest.mark.parametrize("kind", ["boolean", "string", "integer", "float", "object"])
@pytest.mark.parametrize("suffix", ["", "_async"])
@pytest.mark.parametrize("provider", [FilesProvider, StreamProvider, RemoteProvider])
def test_resolvers_call_their_arguments_as_openfeature_does(
    provider: type[AbstractProvider], kind: str, suffix: str
) -> None:
    names = inspect.signature(getattr(provider, f"resolve_{kind}_details{suffix}")).parameters
    assert list(names) == ["self", "flag_key", "default_value", "evaluation_context"]


def test_a_resolver_with_other_names_gives_defaults(path: Path) -> None:
    with served(FilesProvider(path), OtherNames(path)):
        assert value("stock") == "red"
        assert value("windsock") == "default"


def test_start_waits_until_flags_are_served() -> None:
    """OpenFeature's `set_provider` returns before a set is there; `windsock.start` waits for one."""
    import windsock

    with SyncServer() as server:
        stock, _ = stream_pair(server.port)
        api.set_provider(stock, "stock")
        assert (status("stock"), value("stock")) == (ProviderStatus.NOT_READY, "default")
        stock.shutdown()
        ours = StreamProvider(FlagdOptions(port=server.port, deadline=60.0, backoff=0.05), {}, None)
        starting = threading.Thread(target=windsock.start, kwargs={"provider": ours})
        starting.start()
        assert until(lambda: server.clients() >= 1)
        assert starting.is_alive(), "no set has come yet"
        server.push(RED)
        starting.join()
        try:
            assert api.get_client().get_string_value("colour", "default") == "red"
        finally:
            windsock.stop()
            api.clear_providers()


def test_two_configurations_are_two(path: Path) -> None:
    """Stock's configurations of two servers compare equal: a dataclass without fields."""
    assert FlagdProvider(port=1).config == FlagdProvider(port=2).config
    assert FlagdOptions(port=1) != FlagdOptions(port=2)


def test_every_error_says_what_and_where(tmp_path: Path) -> None:
    path = tmp_path / "a.flagd.json"
    path.write_text(
        '{"flags": {"colour": {"state": "ENABLED", "variants": {"it": 1}, "defaultVariant": "i"}}}'
    )
    stock, windsock = file_pair(path)
    windsock.refresh()
    [problem] = [str(problem) for problem in windsock.serving.problems]
    assert problem.startswith(f"{path}:1:")
    assert "flag 'colour'" in problem
    stock.initialize(EvaluationContext())  # it accepts a default that is no variant
    stock.shutdown()
