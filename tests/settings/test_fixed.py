"""What may be tuned is declared: fixed fields are the deployment's, whatever a profile or an arm says."""

from typing import Annotated

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, Field, HttpUrl, PostgresDsn, SecretStr
from tests.flagfiles import object_flag, profile_flag
from tests.settings.teacher import Serve, SetEnv

import windsock
from windsock.mirror.checking import Fitting
from windsock.mirror.documents import Profile
from windsock.text import mask_passwords

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"


class Store(BaseModel):
    bucket: str = "b"
    secret: SecretStr = SecretStr("s")
    endpoint: Annotated[str, windsock.Fixed] = "https://s3.test"


class Gateway(windsock.Settings, flag="gateway"):
    base_url: Annotated[str, windsock.Fixed] = "https://a.test"
    bounded: Annotated[int, Field(ge=1), windsock.Fixed] = 5
    key: SecretStr | None = None
    page: HttpUrl = HttpUrl("https://a.test")
    databases: list[PostgresDsn] = []
    hook: Annotated[HttpUrl, windsock.Tunable] = HttpUrl("https://a.test")
    store: Store = Store()
    open_store: Annotated[Store, windsock.Tunable] = Store()
    model: str = "small"


FIXED = {
    "base_url": "https://b.test",
    "bounded": 7,
    "key": "k",
    "page": "https://b.test/",
    "databases": ["postgresql://db/app"],
}


@pytest.mark.parametrize("kind", ["profile", "experiment"])
@pytest.mark.parametrize("name", FIXED)
def test_a_profile_or_an_arm_cannot_set_it(
    kind: str, name: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    said = {name: FIXED[name], "model": "large"}
    flag = (
        profile_flag({CONFIG: said}, {"ann": CONFIG})
        if kind == "profile"
        else object_flag({"arm": said}, "arm")
    )
    serve({f"gateway.{kind}": flag})
    ann = Gateway.for_user("ann")
    assert (getattr(ann, name), ann.model) == (getattr(Gateway(), name), "large")
    assert f"Gateway.{name}: {kind} gateway.{kind}/" in caplog.text
    assert len(windsock.explain(ann).refused) == 1


@pytest.mark.parametrize("name", FIXED)
def test_base_flag_and_environment_can(name: str, serve: Serve, setenv: SetEnv) -> None:
    serve({"gateway": object_flag({"on": FIXED}, "on")})
    assert getattr(Gateway.for_user("ann"), name) != getattr(Gateway(), name)
    setenv("GATEWAY_BASE_URL", "https://env.test")
    assert Gateway.for_user("ann").base_url == "https://env.test"


def test_below_a_nested_model_each_field_is_asked(serve: Serve) -> None:
    said = {"bucket": "c", "secret": "t", "endpoint": "https://evil.test"}
    profile = profile_flag(
        {CONFIG: {"store": said, "open_store": said, "hook": "https://b.test"}}, {"ann": CONFIG}
    )
    serve({"gateway.profile": profile})
    ann = Gateway.for_user("ann")
    assert ann.store == Store(bucket="c")
    assert ann.open_store.secret.get_secret_value() == "t"
    assert str(ann.hook) == "https://b.test/"


def test_the_mirror_names_it() -> None:
    fitting = Fitting([Gateway], ["gateway"], hold_back=False)
    told = fitting.check(CONFIG, Profile("", {"gateway": '{"base_url": "https://evil.test"}'}), [])
    assert (
        told
        == "Gateway.base_url: fixed: a profile or an experiment cannot set it; the base flag and the environment can"
    )


class Infrastructure(windsock.Settings, flag="infrastructure"):
    dsn: str = "postgresql://ada:sesame@db.internal/app"
    page: HttpUrl = HttpUrl("https://ada:sesame@a.test/")
    pairs: dict[str, str] = {"x": "host=db password=sesame"}
    several: list[str] = ["redis://:sesame@cache:6379/0"]


def test_passwords_in_urls_and_connection_strings_are_shown_nowhere(
    serve: Serve, setenv: SetEnv, caplog: pytest.LogCaptureFixture
) -> None:
    setenv("INFRASTRUCTURE_PAGE", "postgresql://ada:sesame@not a url")
    serve({"infrastructure": object_flag({"on": {"dsn": ["postgresql://ada:sesame@db/app"]}}, "on")})
    explained = windsock.explain(Infrastructure.live())
    assert explained["dsn"].value == "postgresql://ada:**********@db.internal/app"
    assert explained["pairs.x"].value == "host=db password=**********"
    assert len(explained.refused) == 2
    assert "sesame" not in str(explained) + repr(explained.to_dict()) + caplog.text + repr(windsock.health())
    assert Infrastructure.live().dsn.endswith("sesame@db.internal/app"), "only what is shown is masked"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://ann:12#sesame@db/app",
        "postgresql://ann:12?sesame@db/app",
        "postgresql://a?nn:sesame@db/app",
        "postgresql://db/app?user=ann&password=a,b;c'sesame&sslmode=require",
        "host=db password=a,b;c&d\"e'sesame user=ann",
        r"host=db password=a\ sesame user=ann",
        r"host=db password='a\' sesame' user=ann",
    ],
)
def test_each_password_that_libpq_reads_is_masked(dsn: str, serve: Serve) -> None:
    assert conninfo_to_dict(dsn)["password"].endswith("sesame")
    serve({"infrastructure": object_flag({"on": {"dsn": dsn}}, "on")})
    shown = windsock.explain(Infrastructure.live())["dsn"].value
    assert "sesame" not in shown
    assert "**********" in shown
    assert ("sslmode" in dsn, "user=ann" in dsn) == ("sslmode" in shown, "user=ann" in shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://ann@corp:sesame@cache/0", "redis://ann@corp:**********@cache/0"),
        ("'see redis://ann:sesame...nternal/0' is no", "'see redis://ann:**********...nternal/0' is no"),
        ("host=db password='open sesame", "host=db password=**********"),
        ("http://db:8080/@scope or http://db:8080", "http://db:8080/@scope or http://db:8080"),
    ],
)
def test_what_is_masked_of_a_text(text: str, shown: str) -> None:
    assert mask_passwords(text) == shown
