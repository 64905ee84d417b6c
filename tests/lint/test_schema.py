"""Beside the official schema, where it is at hand: what it refuses is found, what lints clean it accepts.

The schema is not part of this repository. `FLAGD_SCHEMA` names a folder with its `flags.json` and
`targeting.json`.
"""

import json
import os
import random
from pathlib import Path

import jsonschema_rs
import pytest
from tests.evaluator.generated import PortableRules
from tests.lint.test_portable import clean, document
from tests.lint.test_rules import BROKEN

from windsock.flags.lint import lint


@pytest.fixture(scope="module")
def official() -> jsonschema_rs.Draft7Validator:
    folder = os.environ.get("FLAGD_SCHEMA")
    if folder is None:
        pytest.skip("no official schema: set FLAGD_SCHEMA to a folder with flags.json and targeting.json")
    flags, targeting = (
        json.loads(Path(folder, name).read_text()) for name in ("flags.json", "targeting.json")
    )
    # a draft-07 validator ignores what stands beside `$ref`, and the schema's root has its `$id` there
    flags["allOf"] = [{"$ref": flags.pop("$ref")}]
    registry = jsonschema_rs.Registry([("https://flagd.dev/schema/v0/targeting.json", targeting)])
    return jsonschema_rs.validator_for(flags, registry=registry)


@pytest.mark.parametrize(("code", "content"), [(code, content) for code, content, _ in BROKEN])
def test_what_the_schema_refuses_is_found(official, code, content):
    if not official.is_valid(content):
        assert lint(json.dumps(content).encode(), "f.flagd.json").findings, code


def test_what_lints_clean_is_valid(official):
    rules = PortableRules(random.Random(5))
    documents = [document([rules.rule()]) for _ in range(500)]
    kept = [content for content in documents if clean(content)]
    assert len(kept) > 300
    assert [content for content in kept if not official.is_valid(content)] == []
