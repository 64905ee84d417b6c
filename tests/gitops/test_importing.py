"""The ad-learning document's configuration, every section and environment, there and back."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml

from windsock.errors import ConfigurationError, FlagFileError
from windsock.evaluator import FlagEvaluator
from windsock.flagfiles.importing import convert, convert_joined, read_configuration, with_suffix
from windsock.lint.linter import lint

CONFIGURATION = Path(__file__).with_name("learning_config.yaml")
ENVIRONMENTS = ["production", "development", "staging"]


def deep_merge(base: dict, override: dict) -> dict:
    """What the document's own loader does with an environment's overrides."""
    result = base.copy()
    for key, value in override.items():
        both = key in result and isinstance(result[key], dict) and isinstance(value, dict)
        result[key] = deep_merge(result[key], value) if both else value
    return result


def expected(environment: str) -> dict:
    whole = yaml.safe_load(CONFIGURATION.read_text())
    merged = deep_merge(whole, whole["environments"].get(environment, {}))
    del merged["environments"]
    return merged


@pytest.fixture(scope="module")
def imported():
    configuration = read_configuration(CONFIGURATION.read_bytes(), "learning_config.yaml")
    return convert(with_suffix(configuration, "_settings"), "learning_config")


@pytest.fixture(scope="module")
def module(imported, tmp_path_factory):
    path = tmp_path_factory.mktemp("imported") / "imported_settings.py"
    path.write_text(imported.module)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made  # pydantic looks the annotations up there
    spec.loader.exec_module(made)
    yield made
    del sys.modules[path.stem]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_section_gives_what_the_loader_gave(imported, environment):
    evaluator = FlagEvaluator()
    evaluator.set_flags({"flags": imported.flags})
    context = {"environment": environment}
    features = expected(environment)["feature_flags"]
    sections = {name: value for name, value in expected(environment).items() if name != "feature_flags"}
    for name, values in sections.items():
        key = f"{name}_settings" if name in features else name
        assert evaluator.compiled[key].evaluate(context).value == values
    for name, value in features.items():
        assert evaluator.compiled[name].evaluate(context).value is value
    assert len(imported.flags) == len(sections) + len(features)


def test_the_classes_have_the_bases_values_as_code_defaults(imported, module):
    features = expected("production")["feature_flags"]
    for name, values in expected("production").items():
        if name == "feature_flags":
            continue
        key = f"{name}_settings" if name in features else name
        found = next(
            each for each in vars(module).values() if getattr(each, "__windsock_flag__", None) == key
        )
        assert found().model_dump() == values
    assert module.rag_auto_indexing() is True


def test_what_is_written_lints_clean_and_fits_its_classes(imported, module):
    linted = lint(json.dumps({"flags": imported.flags}).encode(), "f.flagd.json")
    assert linted.findings == ()
    from windsock.flagfiles.sets import FlagFile, flag_set
    from windsock.gitops.misfits import misfits

    served = flag_set([FlagFile("f.flagd.json", json.dumps({"flags": imported.flags}).encode())])
    classes = [each for each in vars(module).values() if getattr(each, "__windsock_flag__", None)]
    assert len(classes) == 6
    assert misfits(served, [each.__windsock__.declaration for each in classes]) == ()


def test_a_section_and_a_feature_of_one_name_are_refused():
    configuration = read_configuration(CONFIGURATION.read_bytes(), "learning_config.yaml")
    with pytest.raises(ConfigurationError, match="'self_learning_cycle' is a section and a feature"):
        convert(configuration, "learning_config")


def test_joined_each_environment_is_a_variant_of_one_flag():
    configuration = read_configuration(CONFIGURATION.read_bytes(), "learning_config.yaml")
    made = convert_joined(configuration, "learning")
    evaluator = FlagEvaluator()
    evaluator.set_flags({"flags": made.flags})
    for environment in ENVIRONMENTS:
        found = evaluator.compiled["learning"].evaluate({"environment": environment})
        assert found.value == expected(environment)
    assert lint(json.dumps({"flags": made.flags}).encode(), "f.flagd.json").findings == ()
    assert 'class Learning(windsock.Settings, flag="learning"):' in made.module
    assert "    feature_flags: LearningFeatureFlags = LearningFeatureFlags()" in made.module


def test_joined_an_environment_that_changes_nothing_is_no_variant():
    made = convert_joined({"a": {"b": 1}, "environments": {"same": {"a": {"b": 1}}}}, "whole")
    assert made.flags["whole"] == {
        "state": "ENABLED",
        "variants": {"base": {"a": {"b": 1}}},
        "defaultVariant": "base",
    }


def test_top_level_values_go_into_a_class_of_their_own():
    configuration = {"interval": 5, "environments": {"development": {"interval": 1}}}
    made = convert(configuration, "job")
    assert made.flags["job"]["variants"] == {"base": {"interval": 5}, "development": {"interval": 1}}
    assert 'class Job(windsock.Settings, flag="job"):\n    interval: int = 5\n' in made.module


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("a: [", FlagFileError, "c.yaml:1:5: not YAML"),
        ("- a", FlagFileError, "must be a mapping of sections"),
        ("a: {b: 2026-01-01}", FlagFileError, "a.b: .* is a date, which JSON has not; quote it"),
        ("a: {1: x}", FlagFileError, "the key 1 is no text"),
        ("a: {class: x}", ConfigurationError, "cannot be a field's name"),
        ("feature_flags: {a: 1}", ConfigurationError, "must be a mapping of names to true or false"),
        ("a: {b: 1}\nenvironments: {base: {}}", ConfigurationError, "`base` is the variant of the others"),
        ("a: !!python/object:os.system {}", FlagFileError, "not YAML"),
    ],
)
def test_what_cannot_be_imported(text, error, words):
    with pytest.raises(error, match=words):
        convert(read_configuration(text.encode(), "c.yaml"), "c")
