"""`windsock import` makes of the document's YAML the flag that the system is served, and a class of the same shape."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from examples.ad_learning.settings import Learning
from pydantic import BaseModel
from tests.examples.ad_learning.conftest import REPOSITORY

from windsock.evaluator import FlagEvaluator

CONFIGURATION = REPOSITORY / "examples/ad_learning/learning_config.yaml"
ENVIRONMENTS = ["production", "development", "staging", "elsewhere", None]
PRINT_DEFAULTS = "import imported, json; print(json.dumps(imported.Learning().model_dump(mode='json')))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the command wrote."""
    folder = tmp_path_factory.mktemp("imported")
    command = [Path(sys.executable).parent / "windsock", "import", CONFIGURATION, "--flag", "learning"]
    subprocess.run([*command, "--module", "imported.py"], cwd=folder, check=True, capture_output=True)
    return folder


def served(path, environment):
    evaluator = FlagEvaluator()
    evaluator.set_flags(json.loads(path.read_bytes()))
    context = {} if environment is None else {"environment": environment}
    return evaluator.compiled["learning"].evaluate(context).value


def deep_merge(base, override):
    """The document's own."""
    result = base.copy()
    for key, value in override.items():
        both = key in result and isinstance(result[key], dict) and isinstance(value, dict)
        result[key] = deep_merge(result[key], value) if both else value
    return result


def shape(model):
    """The names of a model's fields, and of those below them."""
    fields = {name: field.annotation for name, field in model.model_fields.items()}
    return {
        name: shape(kind) if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        for name, kind in fields.items()
    }


def names(values):
    return {name: names(value) if isinstance(value, dict) else None for name, value in values.items()}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_environment_is_served_what_the_documents_loader_gave_and_what_git_has(folder, environment):
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    environments = configuration.pop("environments")
    merged = deep_merge(configuration, environments.get(environment, {}))
    assert served(folder / "flagd/learning.flagd.json", environment) == merged
    assert served(REPOSITORY / "flagd/learning.flagd.json", environment) == merged


def test_the_environments_differ():
    paths = [REPOSITORY / "flagd/learning.flagd.json"] * 3
    found = [json.dumps(served(*each)) for each in zip(paths, ENVIRONMENTS[:3], strict=True)]
    assert len(set(found)) == 3


def test_the_class_has_the_sections_and_fields_of_the_one_that_is_kept_by_hand(folder):
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_DEFAULTS], cwd=folder, check=True, capture_output=True, text=True
    )
    defaults = json.loads(printed.stdout)
    assert names(defaults) == shape(Learning)
    assert defaults == served(REPOSITORY / "flagd/learning.flagd.json", "production")
    assert Learning.model_validate(defaults).model_dump(mode="json") == defaults
