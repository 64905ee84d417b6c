"""The ad-learning document's configuration, every section and environment, there and back."""

import ast
import importlib
import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml
from tests.processor import at_most

from windsock.errors import ConfigurationError, FlagFileError
from windsock.evaluator import FlagEvaluator
from windsock.flagfiles.importing import convert, convert_joined, with_suffix
from windsock.flagfiles.yaml_configuration import read_configuration
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


def test_a_number_that_most_engines_round_is_exact_in_the_code_and_a_warning_in_the_flag():
    made = convert({"worker": {"big": 12345678901234567890}}, "app")
    assert "    big: int = 12345678901234567890\n" in made.module
    assert made.flags["worker"]["variants"] == {"base": {"big": 12345678901234567890}}
    linted = lint(json.dumps({"flags": made.flags}).encode(), "f.flagd.json")
    assert [each.code for each in linted.findings] == ["big-number"]


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


def test_a_joined_environment_that_changes_nothing_is_not_a_variant():
    made = convert_joined({"a": {"b": 1}, "environments": {"same": {"a": {"b": 1}}}}, "whole")
    assert made.flags["whole"] == {
        "state": "ENABLED",
        "variants": {"base": {"a": {"b": 1}}},
        "defaultVariant": "base",
    }


def test_a_section_may_be_called_like_the_file_unless_there_are_top_level_values_too():
    assert list(convert({"teacher": {"top_k": 5}}, "teacher").flags) == ["teacher"]
    with pytest.raises(ConfigurationError, match="section 'teacher' and top-level values would be one flag"):
        convert({"teacher": {"top_k": 5}, "region": "eu"}, "teacher")


def test_top_level_values_go_into_their_own_class():
    configuration = {"interval": 5, "environments": {"development": {"interval": 1}}}
    made = convert(configuration, "job")
    assert made.flags["job"]["variants"] == {"base": {"interval": 5}, "development": {"interval": 1}}
    assert 'class Job(windsock.Settings, flag="job"):\n    interval: int = 5\n' in made.module


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("a: [", FlagFileError, "c.yaml:1:5: not YAML"),
        ("- a", FlagFileError, "must be a mapping of sections"),
        ("a: {b: 2026-01-01}", FlagFileError, "a.b: .* is a date, which JSON can't hold; quote it"),
        ("a: {1: x}", FlagFileError, "the key 1 is not a text"),
        ("a: {class: x}", ConfigurationError, "cannot be a field's name"),
        ("feature_flags: {a: 1}", ConfigurationError, "must be a mapping of names to true or false"),
        ("featureFlags: {a: true}", ConfigurationError, "is called `feature_flags`; rename 'featureFlags'"),
        ("a: {b: 1}\nenvironments: {base: {}}", ConfigurationError, "`base` is the variant of the others"),
        ("a: !!python/object:os.system {}", FlagFileError, "not YAML"),
    ],
)
def test_what_cannot_be_imported(text, error, words):
    with pytest.raises(error, match=words):
        convert(read_configuration(text.encode(), "c.yaml"), "c")


HOSTILE = 'x"); import os; os.system("touch pwned"); ("'


@pytest.mark.parametrize(
    "content",
    [
        {HOSTILE: {"a": 1}},
        {"feature_flags": {HOSTILE: True}},
        {"a": {"b": HOSTILE, "c": [HOSTILE], "d": {HOSTILE: 1}, "e": {"f": HOSTILE}}},
        {"a": {"b": 1}, "environments": {HOSTILE: {"a": {"b": 2}}}},
        {"a\\": {"b": 1}},
        {"a{__import__('os')}": {"b": 1}},
    ],
)
def test_a_name_never_becomes_code(content):
    """The module has imports, classes, annotated fields and calls of `windsock.feature` with literals; nothing else."""
    try:
        tree = ast.parse(convert(content, "c").module)
    except ConfigurationError:
        return
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    models = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert set(calls) <= {"windsock.feature", *models}
    assert all(
        isinstance(node, (ast.Expr, ast.Import, ast.ImportFrom, ast.ClassDef, ast.Assign))
        for node in tree.body
    )
    named = [node.args[0] for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    assert all(isinstance(each, ast.Constant) for each in named)


def test_fields_named_like_the_types_of_others(tmp_path, monkeypatch):
    names = ["bool", "dict", "float", "int", "list", "object", "str"]
    values = {
        "true": True,
        "list": [],
        "str": "s",
        "int": 1,
        "float": 1.5,
        "bool": True,
        "object": None,
        "last": ["a"],
    }
    module = convert({"section": {**values, "nested": {"int": 3, "x": 4}}}, "c").module
    (tmp_path / "named_like_types.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    made = importlib.import_module("named_like_types").Section.live()
    assert {name: getattr(made, name) for name in values} == values
    assert (made.nested.int, made.nested.x) == (3, 4)
    assert set(names) - {"dict"} <= set(type(made).model_fields)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a-b": {"x": 1}, "a_b": {"x": 1}}, "would be named AB"),
        ({"a": {"b": {"x": 1}}, "a_b": {"x": 1}}, "would be named AB"),
        ({"windsock": {"a": 1}, "feature_flags": {"Windsock": True}}, "would be named Windsock"),
        ({"feature_flags": {"windsock": True}}, "would be named windsock"),
        ({"none": {"a": 1}}, "cannot name a class"),
        ({"é": {"a": 1}}, "cannot name a class"),
        ({"a": {"live": 1}}, "cannot be a field's name"),
        ({"a": {"model_config": 1}}, "cannot be a field's name"),
        ({"a": {"ﬁ": 1}}, "cannot be a field's name"),
        ({"a": {"AB": 1, "b": {"x": 1}}}, "is a field and a class"),
    ],
)
def test_names_that_would_clash(content, words):
    with pytest.raises(ConfigurationError, match=words):
        convert(content, "c")


BOMB = (
    "a: &a ["
    + ",".join("x" * 9)
    + "]\n"
    + "".join(
        f"{chr(98 + each)}: &{chr(98 + each)} [" + ",".join([f"*{chr(97 + each)}"] * 9) + "]\n"
        for each in range(9)
    )
)


def merges(merge: str, number: int) -> bytes:
    """Mappings of which each merges others; `{0}` is the number of the one before."""
    lines = (f"a{each + 1}: &a{each + 1} {{{merge.format(each)}}}\n" for each in range(number))
    return b"a0: &a0 {x: 1}\n" + "".join(lines).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: &x [*x]", "or in itself"),
        (b"a: &x {b: *x}", "or in itself"),
        (BOMB.encode(), "once aliases are written out"),
        (b"[" * 5_000, "nested more than 50 deep"),
        (b"{a: " * 5_000, "nested more than 50 deep"),
        (b"a: " + b"[" * 60 + b"]" * 60, "nested more than 50 deep"),
        (b'a: {b: "\\ud800"}', "half a surrogate pair"),
        (b'a: {"\\ud800": 1}', "cannot be seen"),
        (b'a: {b: "\\0"}', "U\\+0000"),
        (b"a: {b: .inf}", "JSON can't hold"),
        (b"a: {b: .nan}", "JSON can't hold"),
        (b"a: {b: 1" + b"0" * 4_000 + b"}", "JSON can't hold"),
        (b"a: {b: 1" + b"0" * 5_000 + b"}", "cannot be read"),
        (b"a: {b: 2026-99-99}", "cannot be read"),
        (b"a: {? [1] : 2}", "not YAML"),
        (b"a: " + b"x" * 600_000, "split the configuration"),
        (b"\xff\xfe\xff", "not YAML"),
        (b"a: 1\n---\nb: 2\n", "not YAML"),
        (b"", "must be a mapping"),
        (b'{"version": 1, "features": [{"name": "a", "strategies": []}]}', "an export of Unleash"),
        (b'{"flags": {"a": {"on": true, "variations": [true]}}}', "an export of LaunchDarkly"),
        (b'{"items": [], "_links": {}}', "an export of LaunchDarkly"),
        (b'{"items": [{"key": "a", "variations": []}], "totalCount": 1}', "an export of LaunchDarkly"),
        (b'{"features": [{"name": "a", "type": "release"}], "projects": []}', "an export of Unleash"),
        (b'{"features": {"a": {"defaultValue": true}}}', "an export of GrowthBook"),
        (b'{"feature_gates": [], "dynamic_configs": []}', "an export of Statsig"),
        (b'{"flags": {"a": {"state": "ENABLED", "variants": {}}}}', "a flagd file"),
        (
            b'{"flags": [{"key": "a", "state": "ENABLED", "variants": {}}]}',
            "save it as flagd/<name>.flagd.json",
        ),
        (b'{"flags": {"a": {"flagType": "boolean", "defaultValue": true}}}', "an OpenFeature manifest"),
        (
            b"namespace: default\nflags:\n- {key: a, name: A, enabled: true, variants: [{key: b}]}\n",
            "a file of Flipt",
        ),
        (b"version: '1.4'\nflags:\n- {key: a, type: BOOLEAN_FLAG_TYPE, rollouts: []}\n", "a file of Flipt"),
        (b"segments:\n- {key: all, name: All, match_type: ANY_MATCH_TYPE}\n", "a file of Flipt"),
        (
            b"x-t: &t {query: key eq 1}\na: {variations: {A: 1}, targeting: [*t], defaultRule: {variation: A}}\n",
            "a file of GO Feature Flag",
        ),
        (b'{"flagValues": {"a": true}}', "an export of LaunchDarkly"),
        (b'{"status": 200, "features": {}, "encryptedFeatures": "x"}', "an export of GrowthBook"),
        (
            b'{"id": 1, "feature_states": [{"feature_state_value": 1, "enabled": true}]}',
            "an export of Flagsmith",
        ),
        (b'{"p": {"u": "x", "r": 0}, "f": {"a": {"t": 0, "v": {"b": true}}}}', "an export of ConfigCat"),
        (b'{"config": {}, "settings": [{"settingId": 1, "key": "a"}]}', "an export of ConfigCat"),
        (
            b'{"message": "Gates listed", "data": [{"id": "a", "isEnabled": true, "rules": []}]}',
            "an export of Statsig",
        ),
        (b'{"count": 1, "results": [{"key": "a", "filters": {"groups": []}}]}', "an export of PostHog"),
        (b'{"flags": [{"key": "a", "filters": {}}], "group_type_mapping": {}}', "an export of PostHog"),
        (
            b'{"version": "1", "flags": {"a": {"name": "a"}}, "values": {"a": {"enabled": true}}}',
            "a feature flag profile of AWS AppConfig",
        ),
        (
            b'{"feature_management": {"feature_flags": [{"id": "a", "enabled": true}]}}',
            "feature flags of Azure App Configuration",
        ),
        (
            b'{"FeatureManagement": {"feature_flags": [{"id": "a", "enabled": true}]}}',
            "feature flags of Azure App Configuration",
        ),
        (
            b'{"parameters": {"a": {"defaultValue": {"value": "x"}}}, "version": {"versionNumber": "1"}}',
            "a template of Firebase Remote Config",
        ),
        (b'{"parameters": {"a": {"defaultValue": {"useInAppDefault": true}}}}', "Firebase Remote Config"),
        (b'{"version": "4", "featureFlags": [], "rollouts": [], "experiments": []}', "Optimizely"),
        (b'{"splits": [{"name": "a", "trafficTypeName": "user", "conditions": []}], "till": 1}', "Split"),
        (
            b'{"flags": {"a": {"key": "a", "variations": {}, "allocations": []}}}',
            "an export of Eppo",
        ),
        (
            b'{"project": {}, "features": [{"key": "a", "type": "release", "variations": []}], "variables": []}',
            "an export of DevCycle",
        ),
        (b"[1, 2]", "must be a mapping of sections, and this is a list; write another tool's flags as flagd"),
        (b'[{"key": "a"}]', "and this is a list"),
        (b"checkout = on", "and this is text"),
        (
            b'[{"model": "waffle.flag", "pk": 1, "fields": {"name": "a", "everyone": true, "percent": null}}]',
            "a dump of Django's models, such as those of django-waffle",
        ),
        (
            b'[{"name": "a", "default_enabled": false, "initial_value": "x", "enabled": true, "multivariate": []}]',
            "an export of Flagsmith",
        ),
        (b'[{"id": 1, "feature": {"name": "a"}, "feature_state_value": null}]', "an export of Flagsmith"),
        (b'{"count": 1, "results": [{"name": "a", "initial_value": null}]}', "an export of Flagsmith"),
        (
            b'{"version": 1, "features": {"a": {"boolean": null, "actors": [], "percentage_of_actors": "5"}}}',
            "an export of Flipper",
        ),
        (b'[{"name": "a", "active": true, "strategies": [{"name": "default"}]}]', "GitLab's feature flags"),
        (b'[{"name": "a", "type": "release", "strategies": []}]', "an export of Unleash"),
        (b'[{"key": "a", "kind": "boolean", "variations": [], "environments": {}}]', "LaunchDarkly"),
        (b'[{"_id": "1", "key": "a", "variations": [], "variables": []}]', "an export of DevCycle"),
        (b'[{"id": 1, "key": "a", "filters": {"groups": []}}]', "an export of PostHog"),
        (b'[{"feature": "a", "kind": "boolean", "variations": [], "defaultServe": {}}]', "Harness"),
        (b'{"features": [{"identifier": "a", "defaultOffVariation": "off", "variations": []}]}', "Harness"),
        (b'[{"settingId": 1, "key": "a"}]', "an export of ConfigCat"),
        (b'{"objects": [{"name": "a", "trafficType": {"name": "user"}}], "offset": 0}', "Split"),
        (b'{"items": [{"key": "a", "variable_definitions": {}}], "count": 1}', "a file of Optimizely"),
        (b'{"a": {"defaultValue": true}}', "an export of GrowthBook"),
        (b'{"a": {"defaultValue": true, "rules": []}}', "an export of GrowthBook"),
        (b'{"a": {"defaultValue": 5}, "b": {"rules": []}, "c": {}}', "an export of GrowthBook"),
        (b'{"features": {"a": {"defaultValue": 5}, "b": {}}, "dateUpdated": "x"}', "an export of GrowthBook"),
        (b'{"id": "a", "isEnabled": true, "rules": [], "status": "In Progress"}', "an export of Statsig"),
        (b'{"message": "Gate", "data": {"id": "a", "isEnabled": true, "rules": []}}', "an export of Statsig"),
        (
            b'{"flags": [{"key": "a", "reason": "STATIC", "value": 1}, {"key": "b", "errorCode": "X"}]}',
            "OFREP",
        ),
        (b'{"key": "a", "reason": "STATIC", "value": true, "variant": "on"}', "an answer of an OFREP server"),
        (b'{"configs": [{"key": "a", "type": "feature_flag", "rows": []}]}', "a file of Prefab"),
        (b'{"key": "a", "configType": "FEATURE_FLAG", "rows": [{"values": []}]}', "a file of Prefab"),
        (b"a.flag: {feature_flag: true, value: true}\nlog-level: {base: info}\n", "a file of Prefab"),
        (
            b'{"feature": {"name": "a"}, "feature_state_value": null, "enabled": true}',
            "an export of Flagsmith",
        ),
        (b'{"featureFlags": {"a": true}, "featureFlagPayloads": {}}', "an export of PostHog"),
        (merges("<<: [" + "*a{0}, " * 400 + "]", 150), "more than 100000 values"),
        (merges("<<: *a{0}, k{0}: 1", 1_000), "more than 100000 values"),
        (b"b: &b {x: 1}\nc: {<<: [" + b"*b, " * 60_000 + b"*b]}", "more than 100000 values"),
        (b"b: &b {}\nz: &z [" + b"*b, " * 3_000 + b"*b]\n" + merges("<<: *z", 3_000), "more than 100000 values"),
        (b"k: !!omap [a: [&a0 [1]" + b"".join(b", &a%d [*a%d, *a%d]" % (n, n - 1, n - 1) for n in range(1, 60)) + b"]]", "k: .*a tuple"),
        (b"k: 1" + b":59" * 100_000, "c.yaml:1:4: .* more than 1000 characters, which JSON can't hold"),
        (b"k: 1" + b":59" * 100_000 + b".5", "c.yaml:1:4: .* more than 1000 characters, which JSON can't hold"),
        (b"? 0x" + b"f" * 100_000 + b"\n: 1", "c.yaml:1:3: .* more than 1000 characters, which JSON can't hold"),
        (b"k: !!int {=: '1" + b":59" * 100_000 + b"'}", "c.yaml:1:4: .* more than 1000 characters, which JSON can't hold"),
        (b"k: !!timestamp x", "it is not what its tag says"),
        (b"k: !!bool x", "it is not what its tag says"),
        (b"k: !!int ''", "it is not what its tag says"),
    ],
)  # fmt: skip
def test_what_is_hostile_or_not_a_configuration_ends_in_one_line(data, words):
    with at_most(10), pytest.raises(FlagFileError, match=words) as refused:
        read_configuration(data, "c.yaml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "data",
    [
        b"flags: {a: true}\nversion: 2\nnamespace: web\nsegments: [eu, us]\n",
        b"flags: [{key: a}, {key: b}]\n",
        b"search: {variations: 3, features: [a, b]}\n",
        b"settings: {f: 1, p: 2}\nresults: {filters: [a]}\n",
        b"parameters: {a: {defaultValue: 1}}\nexperiments: []\nrollouts: []\n",
        b"splits: [{name: train, share: 0.8}]\nfeature_management: {feature_flags: [a]}\n",
        b"flags: {a: {x: 1}}\nvalues: {b: {x: 2}}\n",
        b"features: {search: {actors: 3}}\nobjects: [{name: a}]\nresults: [{name: a}]\n",
        b"features: {rag: {enabled: true, rules: [a]}}\nlayers: [{name: a, type: dense}]\n",
        b"items: [{name: a, enabled: true}]\nmodels: [{id: a, enabled: true, variants: [b]}]\n",
        b"search: {defaultValue: 1}\nranking: {variants: [a], enabled: true}\nlimit: 3\n",
        b"search: {defaultValue: 1}\nlimit: 3\n",
        b"configs: [{key: a, value: 1}]\nretry: {key: b, reason: c}\n",
        b"feature_flags: {}\nalerts: {enabled: true, rules: [{name: a}]}\n",
    ],
)
def test_a_configuration_with_another_tools_words_is_one_all_the_same(data):
    assert read_configuration(data, "c.yaml")


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{"feature_gates": [{"name": "a", "enabled": true, "rules": []}], "time": 1}', "feature_gates"),
        (b'{"feature_gates": {}}', "feature_gates"),
        (b'{"dynamic_configs": {"a": {"value": {}, "rule_id": "x"}}}', "dynamic_configs"),
        (b'{"featureFlags": [{"id": "1", "key": "a", "rolloutId": "2"}], "version": "4"}', "featureFlags"),
        (b'{"rollouts": [{"id": "1", "experiments": [], "variations": []}]}', "rollouts"),
        (b'{"data": {"features": [{"name": "a", "enabled": true}]}}', "data.features"),
        (b'{"project": {"environment": {"flags": {"a": {"variants": []}}}}}', "project.environment.flags"),
        (b'{"content": [{"name": "a", "status": "on"}], "totalElements": 1}', "content"),
        (b'{"Feature-Toggles": {"a": {"enabled": true}}}', "Feature-Toggles"),
        (b'{"toggles": [{"name": "a", "enabled": true, "variant": {}}]}', "toggles"),
        (b'{"campaigns": [{"id": 1, "variations": [], "status": "RUNNING"}], "sdkKey": "x"}', "campaigns"),
        (b"ff4j:\n  features:\n  - uid: a\n    enable: true\n", "ff4j.features"),
        (b'{"flags": {"a": {"on": true, "fallthrough": {}}}, "segments": {}}', "flags"),
        (b'{"key": "a", "variations": [], "environments": {}}', "the top level"),
        (b'{"a": {"value": true, "variation": 0, "trackEvents": false}}', "the top level"),
        (b'{"a": {"defaultValue": true, "rules": [], "off": 1}}', "the top level"),
        (
            b'{"a": {"defaultVariant": "x", "state": "ENABLED"}, "b": {"defaultVariant": "x", "on": 1}}',
            "the top",
        ),
    ],
)
def test_flags_of_a_tool_that_is_not_known_are_refused_in_one_line(data, place):
    with pytest.raises(FlagFileError, match=f"c.yaml: {place}.* looks like another tool's flags") as refused:
        read_configuration(data, "c.yaml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["a: {b: 1}\na: {c: 2}\n", "a:\n  b: 1\n  b: 2\n", "a: [{b: 1, b: 1}]\n"])
def test_a_key_that_is_written_twice_loses_no_value(text):
    with pytest.raises(FlagFileError, match=r"c.yaml:\d:\d+: '[ab]' is written twice; keep one"):
        read_configuration(text.encode(), "c.yaml")


def test_a_merged_key_may_be_written_again():
    content = read_configuration(b"a: &a {b: 1}\nc: {<<: *a, b: 2}\n", "c.yaml")
    assert content["c"] == {"b": 2}
