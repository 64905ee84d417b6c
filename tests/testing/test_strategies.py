"""Hypothesis strategies: what they draw is accepted, reaches the edges, and reaches every branch of a rule."""

import json
import subprocess
import sys
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from hypothesis import find, given
from hypothesis import settings as budget
from openfeature import api
from pydantic import BaseModel, Field, SecretStr, model_validator

import windsock
from windsock import testing
from windsock.settings.marks import Fixed
from windsock.testing import strategies


class Tone(StrEnum):
    WARM = "warm"
    DRY = "dry"


class Retrieval(BaseModel):
    top_k: int = Field(10, ge=1, le=200)
    share: float = Field(0.5, gt=0, lt=1)


class Writer(windsock.Settings, flag="strategies.writer"):
    retrieval: Retrieval = Retrieval()
    tone: Tone = Tone.WARM
    model: Literal["small", "large"] = "small"
    name: str = Field("a", pattern="^[a-z]+$", max_length=5)
    stops: list[str] = Field(["."], max_length=3)
    limit: int | None = None
    least: int = Field(1, ge=0, le=9)
    most: int = Field(9, ge=0, le=9)
    endpoint: Annotated[str, Fixed] = "https://one.test"
    key: SecretStr = SecretStr("code")

    @model_validator(mode="after")
    def _ordered(self):
        if self.least > self.most:
            raise ValueError("least is above most")
        return self


@given(strategies.variants(Writer))
@budget(max_examples=60)
def test_a_variant_is_json_that_the_class_accepts(values):
    assert json.loads(json.dumps(values)) == values
    assert not {"endpoint", "key"} & values.keys()
    with testing.override(Writer, values):
        assert Writer.live().least <= Writer.live().most


@given(strategies.settings(Writer))
@budget(max_examples=60)
def test_settings_are_instances(writer):
    assert 1 <= writer.retrieval.top_k <= 200
    assert writer.tone in Tone


@pytest.mark.slow
@pytest.mark.parametrize(
    "edge",
    [
        lambda values: values == {},
        lambda values: values.get("retrieval", {}).get("top_k") == 200,
        lambda values: values.get("tone") == "dry",
        lambda values: values.get("model") == "large",
        lambda values: values.get("limit", 0) is None,
        lambda values: len(values.get("name", "")) == 5,
    ],
)
def test_variants_reach_the_edges(edge):
    find(strategies.variants(Writer), edge, settings=budget(max_examples=50_000))


RULE = {
    "if": [
        {"in": [{"var": "targetingKey"}, ["ada"]]}, "key",
        {"==": [{"var": "account.tier"}, "pro"]}, "tier",
        {">": [{"var": "age"}, 17]}, "age",
        "none",
    ]
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    flag = {
        "state": "ENABLED",
        "variants": {name: name for name in ("key", "tier", "age", "none")},
        "defaultVariant": "none",
        "targeting": RULE,
    }
    (tmp_path / "a.flagd.json").write_text(json.dumps({"flags": {"who": flag}}))
    with windsock.start(flags=tmp_path, usage=False):
        yield tmp_path


def test_contexts_reach_every_branch(folder):
    for branch in ("key", "tier", "age", "none"):
        find(
            strategies.contexts(folder),
            lambda context, branch=branch: api.get_client().get_string_value("who", "", context) == branch,
        )


def test_without_hypothesis_it_says_what_to_install():
    code = "import sys; sys.modules['hypothesis'] = None; import windsock.testing.strategies"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert "install windsock[testing] from" in done.stderr.splitlines()[-1]


def test_windsock_testing_does_not_load_hypothesis():
    code = "import sys, windsock.testing; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
