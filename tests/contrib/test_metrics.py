"""Metrics of a service: scraped from prometheus_client, exported by OpenTelemetry's SDK, used by what deploy/ has."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from openfeature import api
from openfeature.hook import Hook
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest
from tests.flagfiles import object_flag
from tests.healing.teachers import TYPO, Provider, Teacher, profiles

import windsock
from windsock.contrib import opentelemetry, prometheus
from windsock.contrib._measurements import METRICS
from windsock.counts import FALLBACKS, HEALS, WITHDRAWALS
from windsock.mirror.health import Status
from windsock.mirror.metrics import metrics as mirror_metrics
from windsock.usage import MemorySink

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus/windsock.rules.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana/windsock.json").read_text())


@pytest.fixture(autouse=True)
def nothing_counted():
    for counts in (FALLBACKS, HEALS, WITHDRAWALS):  # tests before this one healed and fell back too
        counts.clear()
    yield
    api.clear_hooks()


@pytest.fixture
def scraped(serve):
    """A service that has evaluated, refused, healed and recorded; returns what a scrape gets."""
    registry = CollectorRegistry()
    prometheus.register(registry)
    base = {"teacher": object_flag({"base": {"retrieval_top_k": "many"}}, "base")}
    serve(base | profiles(["ann"], reasoning_model=TYPO), usage=MemorySink())

    def scrape():
        return {
            sample.name + str(dict(sorted(sample.labels.items()))): sample.value
            for family in registry.collect()
            for sample in family.samples
        }, generate_latest(registry).decode()

    return scrape


def test_a_scrape_tells_what_happened(scraped):
    with windsock.request(request_id="r-1"):
        windsock.heal(Teacher.for_user("ann"), Provider())
    values, text = scraped()
    assert values["windsock_evaluations_total{'reason': 'targeting_match'}"] >= 1
    assert "windsock_evaluations_total{'reason': 'error'}" not in values, (
        "an experiment that is missing isn't an error"
    )
    assert values["windsock_heals_total{'field': 'reasoning_model', 'flag': 'teacher'}"] == 1
    assert values["windsock_fallbacks_total{'field': 'retrieval_top_k', 'flag': 'teacher'}"] >= 1
    assert values["windsock_ready{}"] == 1
    assert values["windsock_usage_dropped_total{}"] == 0
    assert values["windsock_set_age_seconds{}"] >= 0
    revision = windsock.health().revision
    assert f'windsock_set_info{{provider="windsock-files",revision="{revision}",status="READY"}} 1.0' in text


def test_before_the_start_nothing_is_ready_and_nothing_fails():
    registry = CollectorRegistry()
    prometheus.register(registry)
    assert "windsock_ready 0.0" in generate_latest(registry).decode()


def test_opentelemetry_observes_the_same(serve):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    opentelemetry.instrument(provider)
    serve(profiles(["ann"], reasoning_model=TYPO), usage=MemorySink())
    with windsock.request(request_id="r-1"):
        windsock.heal(Teacher.for_user("ann"), Provider())
    found = {
        metric.name: {
            tuple(sorted(point.attributes.items())): point.value for point in metric.data.data_points
        }
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert found["windsock.heals"] == {(("field", "reasoning_model"), ("flag", "teacher")): 1}
    assert found["windsock.ready"] == {(): 1}
    assert found["windsock.usage.dropped"] == {(): 0}
    assert (("reason", "targeting_match"),) in found["windsock.evaluations"]
    assert found["windsock.set.age"][()] >= 0
    provider.shutdown()


def test_the_counter_is_registered_once():
    prometheus.register(CollectorRegistry())
    prometheus.register(CollectorRegistry())
    assert len(api.get_hooks()) == 1


class Errors(Hook):
    def __init__(self):
        self.keys = []

    def error(self, hook_context, exception, hints):
        self.keys.append(hook_context.flag_key)


@pytest.mark.parametrize(
    ("flags", "told"), [({"teacher": object_flag({"base": {}}, "base")}, []), ({}, ["teacher"])]
)
def test_no_hook_hears_of_an_experiment_or_a_profile_that_is_missing(serve, flags, told):
    errors = Errors()
    api.add_hooks([errors])
    serve(flags)
    assert Teacher.for_user("ann").reasoning_model == "gpt-4o-mini"
    assert errors.keys == told


def exported():
    """Every metric's name as Prometheus has it: the service's and the mirror's."""
    service = {
        f"windsock_{name.replace('.', '_')}{'_total' * metric.grows}" for name, metric in METRICS.items()
    }
    mirror = {
        line.split()[2]
        for line in mirror_metrics(Status()).decode().splitlines()
        if line.startswith("# TYPE")
    }
    return service | mirror


def test_no_scrape_of_a_mirror_tells_its_own_time_as_that_of_a_counters_creation():
    assert "_created" not in mirror_metrics(Status(changes=3)).decode()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_exist(rule):
    assert set(re.findall(r"windsock_\w+", rule["expr"])) <= exported()
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_that_exist(panel):
    for target in panel["targets"]:
        names = set(re.findall(r"windsock_\w+", target["expr"]))
        assert names, target
        assert names <= exported()


@pytest.mark.parametrize("name", ["fallbacks", "heals", "withdrawals"])
def test_the_first_count_of_a_flag_and_a_field_is_seen(name):
    """The series begins with its first count, so that `increase` alone finds no increase."""
    asked = [rule["expr"] for rule in RULES]
    asked += [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    about = [each for each in asked if f"windsock_{name}_total" in each]
    assert about
    assert [each for each in about if f"unless windsock_{name}_total" not in each] == []


def test_the_dashboard_shows_every_metric_of_a_service():
    asked = set(re.findall(r"windsock_\w+", json.dumps(DASHBOARD)))
    assert {name for name in exported() if not name.startswith("windsock_mirror")} <= asked


def test_the_page_names_every_metric():
    page = (DEPLOY.parent / "docs/operations.md").read_text()
    assert [
        name for name in exported() if not name.startswith("windsock_mirror") and f"`{name}`" not in page
    ] == []


def test_windsock_loads_no_metrics_by_itself():
    program = "import windsock, sys; print([name for name in sys.modules if 'prometheus' in name or 'contrib' in name])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "windsock.contrib" not in done.stdout
    assert "prometheus_client" not in done.stdout
