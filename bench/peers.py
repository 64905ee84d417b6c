"""The peers, each given the same flags in memory, with no network, and called as its documentation shows.

A peer gives one callable for each work: ``static``, ``attribute`` and ``split`` ask for one boolean of one
user, ``settings`` for twenty typed parameters. What a peer has no form of is missing from its works. Where a
peer's call takes an object for the user, that object is made before the clock starts, and the peers that send
events send none: the numbers are a peer's best, not its everyday.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from bench.timing import Call

PARAMETERS = {f"f{number}": number for number in range(20)}
USERS = [f"user-{number}" for number in range(100)]
CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"

Works = dict[str, Call]
T = TypeVar("T")


def flagd_flags() -> dict[str, object]:
    """The flags as flagd JSON, for windsock and for the stock provider."""
    on_off = {"on": True, "off": False}
    pro = {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}
    development = {"if": [{"==": [{"var": "environment"}, "development"]}, "development"]}
    assigned = {"if": [{"in": [{"var": "targetingKey"}, USERS]}, CONFIG]}
    return {
        "static": flag(on_off, "on"),
        "attribute": flag(on_off, "off", pro),
        "split": flag(on_off, "off", {"fractional": [["on", 50], ["off", 50]]}),
        "settings": flag({"production": PARAMETERS, "development": {}}, "production", development),
        "settings.profile": flag({"none": {}, CONFIG: {"f3": 33, "f4": 44}}, "none", assigned),
        **{name: flag({"v": value}, "v") for name, value in PARAMETERS.items()},
    }


def flag(variants: object, default: str, targeting: object = None) -> dict[str, object]:
    """One flag of a flagd document."""
    made = {"state": "ENABLED", "variants": variants, "defaultVariant": default}
    return {**made, "targeting": targeting} if targeting else made


def folder() -> Path:
    """A folder with the flags."""
    made = Path(tempfile.mkdtemp(prefix="windsock-bench-"))
    (made / "bench.flagd.json").write_text(json.dumps({"flags": flagd_flags()}))
    return made


def per_user(make: Callable[[str], T]) -> dict[str, T]:
    """What a peer's call takes for a user, made beforehand."""
    return {user: make(user) for user in USERS}


@contextlib.contextmanager
def windsock() -> Iterator[Works]:
    from pydantic import create_model

    import windsock

    windsock.start(flags=folder())
    settings = create_model(
        "Bench",
        __base__=windsock.Settings,
        __cls_kwargs__={"flag": "settings"},
        **{name: (int, value) for name, value in PARAMETERS.items()},
    )
    attribute = windsock.feature("attribute", default=False)
    read = attrgetter(*PARAMETERS)
    yield {
        "static": windsock.feature("static", default=False),
        "attribute": lambda user: attribute(user, tier="pro"),
        "split": windsock.feature("split", default=False),
        "settings": lambda user: read(settings.for_user(user)),
    }
    windsock.stop()


@contextlib.contextmanager
def stock_flagd() -> Iterator[Works]:
    from openfeature import api
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType
    from openfeature.evaluation_context import EvaluationContext

    path = folder() / "bench.flagd.json"
    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path))
    api.set_provider_and_wait(provider, "stock")
    client = api.get_client("stock")
    contexts = per_user(EvaluationContext)
    pro = per_user(lambda user: EvaluationContext(user, {"tier": "pro"}))

    def settings(user: str) -> dict[str, int]:
        return {name: client.get_integer_value(name, 0, contexts[user]) for name in PARAMETERS}

    yield {
        "static": lambda user: client.get_boolean_value("static", False, contexts[user]),
        "attribute": lambda user: client.get_boolean_value("attribute", False, pro[user]),
        "split": lambda user: client.get_boolean_value("split", False, contexts[user]),
        "settings": settings,
    }
    provider.shutdown()


@contextlib.contextmanager
def growthbook() -> Iterator[Works]:
    from growthbook import GrowthBook

    split = {"variations": [True, False], "weights": [0.5, 0.5], "hashAttribute": "id"}
    features = {
        "static": {"defaultValue": True},
        "attribute": {"defaultValue": False, "rules": [{"condition": {"tier": "pro"}, "force": True}]},
        "split": {"defaultValue": False, "rules": [split]},
        **{name: {"defaultValue": value} for name, value in PARAMETERS.items()},
    }
    book = GrowthBook(features=features)
    attributes = per_user(lambda user: {"id": user})
    pro = per_user(lambda user: {"id": user, "tier": "pro"})

    def on(key: str, of: dict[str, dict[str, str]], user: str) -> bool:
        book.set_attributes(of[user])
        return book.is_on(key)

    def settings(user: str) -> dict[str, int]:
        book.set_attributes(attributes[user])
        return {name: book.get_feature_value(name, 0) for name in PARAMETERS}

    yield {
        "static": partial(on, "static", attributes),
        "attribute": partial(on, "attribute", pro),
        "split": partial(on, "split", attributes),
        "settings": settings,
    }
    book.destroy()


def statsig_specs() -> dict[str, object]:
    """The same flags as Statsig's server sends them."""

    def condition(**more: object) -> dict[str, object]:
        return {"targetValue": None, "operator": None, "field": None, "additionalValues": {}, **more}

    def rule(condition: str, percentage: float, value: object) -> dict[str, object]:
        made = {"name": "r", "id": "r", "salt": "r", "idType": "userID", "returnValue": value}
        return {**made, "passPercentage": percentage, "conditions": [condition]}

    def spec(kind: str, default: object, rule: dict[str, object]) -> dict[str, object]:
        made = {"type": kind, "entity": kind, "salt": "s", "enabled": True, "idType": "userID"}
        return {**made, "defaultValue": default, "rules": [rule]}

    pro = {"type": "user_field", "field": "tier", "operator": "any", "targetValue": ["pro"]}
    return {
        "has_updates": True,
        "time": int(time.time() * 1000),
        "condition_map": {
            "everyone": condition(type="public", idType="userID"),
            "pro": condition(idType="userID", **pro),
        },
        "feature_gates": {
            "static": spec("feature_gate", False, rule("everyone", 100, True)),
            "attribute": spec("feature_gate", False, rule("pro", 100, True)),
            "split": spec("feature_gate", False, rule("everyone", 50, True)),
        },
        "dynamic_configs": {"settings": spec("dynamic_config", {}, rule("everyone", 100, PARAMETERS))},
        "layer_configs": {},
        "experiment_to_layer": {},
    }


@contextlib.contextmanager
def statsig() -> Iterator[Works]:
    from statsig_python_core import (
        DataStore,
        DataStoreResponse,
        DynamicConfigEvaluationOptions,
        FeatureGateEvaluationOptions,
        Statsig,
        StatsigOptions,
        StatsigUser,
    )

    specs = statsig_specs()

    class Store(DataStore):
        def get(self, key: str) -> DataStoreResponse:
            return DataStoreResponse(json.dumps(specs), specs["time"])

    options = StatsigOptions(
        disable_network=True,
        disable_all_logging=True,
        disable_country_lookup=True,
        disable_disk_access=True,
        data_store=Store(),
        output_log_level="none",
    )
    client = Statsig("secret-bench", options)
    client.initialize().wait()
    quiet = FeatureGateEvaluationOptions(disable_exposure_logging=True)
    quiet_config = DynamicConfigEvaluationOptions(disable_exposure_logging=True)
    users = per_user(StatsigUser)
    pro = per_user(lambda user: StatsigUser(user, custom={"tier": "pro"}))

    def settings(user: str) -> dict[str, int]:
        config = client.get_dynamic_config(users[user], "settings", quiet_config)
        return {name: config.get_integer(name, 0) for name in PARAMETERS}

    yield {
        "static": lambda user: client.check_gate(users[user], "static", quiet),
        "attribute": lambda user: client.check_gate(pro[user], "attribute", quiet),
        "split": lambda user: client.check_gate(users[user], "split", quiet),
        "settings": settings,
    }
    client.shutdown().wait()


@contextlib.contextmanager
def launchdarkly() -> Iterator[Works]:
    from ldclient import Context, LDClient
    from ldclient.config import Config
    from ldclient.integrations.test_data import TestData

    data = TestData.data_source()
    data.update(data.flag("static").variation_for_all(True))
    data.update(data.flag("attribute").if_match("tier", "pro").then_return(True).fallthrough_variation(False))
    for name, value in PARAMETERS.items():
        data.update(data.flag(name).variations(value).variation_for_all(0))
    client = LDClient(
        Config("bench", update_processor_class=data, send_events=False, diagnostic_opt_out=True)
    )
    contexts = per_user(Context.create)
    pro = per_user(lambda user: Context.builder(user).set("tier", "pro").build())

    def settings(user: str) -> dict[str, int]:
        return {name: client.variation(name, contexts[user], 0) for name in PARAMETERS}

    # its in-memory data has no percentage rollout, so no split
    yield {
        "static": lambda user: client.variation("static", contexts[user], False),
        "attribute": lambda user: client.variation("attribute", pro[user], False),
        "settings": settings,
    }
    client.close()


@contextlib.contextmanager
def unleash() -> Iterator[Works]:
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    def toggle(name: str, strategy: dict[str, object]) -> dict[str, object]:
        return {"name": name, "enabled": True, "type": "release", "strategies": [strategy]}

    tier = {"contextName": "tier", "operator": "IN", "values": ["pro"]}
    half = {"rollout": "50", "stickiness": "userId", "groupId": "split"}
    features = [
        toggle("static", {"name": "default", "parameters": {}}),
        toggle("attribute", {"name": "default", "parameters": {}, "constraints": [tier]}),
        toggle("split", {"name": "flexibleRollout", "parameters": half}),
    ]
    cache = FileCache("windsock-bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 2, "features": features})
    client = UnleashClient(
        "http://127.0.0.1:9", "bench", disable_metrics=True, disable_registration=True, cache=cache
    )
    client.initialize_client(fetch_toggles=False)
    contexts = per_user(lambda user: {"userId": user})
    pro = per_user(lambda user: {"userId": user, "tier": "pro"})
    # toggles are booleans; parameters would be twenty variants, each parsed by the caller, so no settings
    yield {
        "static": lambda user: client.is_enabled("static", contexts[user]),
        "attribute": lambda user: client.is_enabled("attribute", pro[user]),
        "split": lambda user: client.is_enabled("split", contexts[user]),
    }
    client.destroy()


@contextlib.contextmanager
def logfire() -> Iterator[Works]:
    os.environ["LOGFIRE_IGNORE_NO_CONFIG"] = "1"
    import logfire
    from logfire.variables import VariablesConfig
    from pydantic import create_model

    def served(name: str, rollout: dict[str, float], values: dict[str, object]) -> dict[str, object]:
        labels = {
            label: {"version": 1, "serialized_value": json.dumps(value)} for label, value in values.items()
        }
        return {"name": name, "labels": labels, "rollout": {"labels": rollout}, "overrides": []}

    on_off = {"on": True, "off": False}
    pro = {
        "conditions": [{"kind": "value-equals", "attribute": "tier", "value": "pro"}],
        "rollout": {"labels": {"on": 1.0}},
    }
    config = {
        "static": served("static", {"on": 1.0}, on_off),
        "attribute": {**served("attribute", {"off": 1.0}, on_off), "overrides": [pro]},
        "split": served("split", {"on": 0.5, "off": 0.5}, on_off),
        "settings": served("settings", {"v": 1.0}, {"v": PARAMETERS}),
    }
    local = logfire.LocalVariablesOptions(
        config=VariablesConfig.model_validate({"variables": config}), instrument=False
    )
    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False, variables=local)
    model = create_model("Parameters", **{name: (int, value) for name, value in PARAMETERS.items()})
    static, attribute, split = (
        logfire.var(name=name, type=bool, default=False) for name in ("static", "attribute", "split")
    )
    settings = logfire.var(name="settings", type=model, default=model())
    tier = {"tier": "pro"}
    yield {
        "static": lambda user: static.get(targeting_key=user).value,
        "attribute": lambda user: attribute.get(targeting_key=user, attributes=tier).value,
        "split": lambda user: split.get(targeting_key=user).value,
        "settings": lambda user: settings.get(targeting_key=user).value,
    }
    logfire.shutdown()


@contextlib.contextmanager
def dictionary() -> Iterator[Works]:
    values = {"static": True, **PARAMETERS}
    yield {
        "static": lambda _: values["static"],
        "settings": lambda _: {name: values[name] for name in PARAMETERS},
    }


PEERS = {
    "windsock": windsock,
    "OpenFeature + stock flagd provider": stock_flagd,
    "GrowthBook": growthbook,
    "Statsig (Rust core)": statsig,
    "LaunchDarkly": launchdarkly,
    "Unleash (Rust core)": unleash,
    "Logfire variables (spans off)": logfire,
    "a dict look-up": dictionary,
}
