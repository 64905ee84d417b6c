"""Recognizes other tools' flag files, which must not be imported as if they were a configuration."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Content = Mapping[object, Any]

FLAGD_FILE: Final = "a flagd file"
"""What `tool_of` calls a file that needs no conversion."""


def tool_of(content: object) -> str | None:
    """Name the tool whose file or export this is; None for anything else."""
    if isinstance(content, Mapping):
        return next((tool for tool, recognizes in _TOOLS.items() if recognizes(content)), None)
    return next(
        (tool for tool, names in _LISTS if isinstance(content, list) and _each_has(content, *names)), None
    )


def _flipt(content: Content) -> bool:
    """`features.yaml` and `flipt export` list flags and segments by key."""
    flags = content.get("flags")
    listed = isinstance(flags, list) and _each_has(flags, "key") and not _each_has(flags, "state")
    parts = ("enabled", "type", "rules", "rollouts")
    return (listed and any(_each_has(flags, part) for part in parts)) or _each_has(
        content.get("segments"), "match_type"
    )


def _go_feature_flag(content: Content) -> bool:
    """Flags are at the top, next to anchors of any name."""
    return any(
        isinstance(each, Mapping) and isinstance(each.get("variations"), Mapping) and "defaultRule" in each
        for each in content.values()
    )


def _configcat(content: Content) -> bool:
    """The SDK's config JSON abbreviates: `p` preferences, `f` flags with their `v` value; the API doesn't."""
    settings = content.get("settings")
    return _each_has(content.get("f"), "v") or _each_has(settings, "settingId")


def _flagsmith(content: Content) -> bool:
    """An environment's document, feature states or one of them, or a page of features."""
    states = (content.get("feature_states"), content.get("features"), [content])
    return any(_each_has(each, "feature_state_value") for each in states) or _each_has(
        content.get("results"), "initial_value"
    )


def _posthog(content: Content) -> bool:
    """A page of the API, the flags for local evaluation, or what was decided for one person."""
    return (
        "featureFlagPayloads" in content
        or _each_has(content.get("results"), "filters")
        or _each_has(content.get("flags"), "filters")
    )


def _launchdarkly(content: Content) -> bool:
    """Flags of the API or of a data file, whose simplified form is `flagValues`."""
    listed = (content.get("flags"), content.get("items"))
    return (
        any(_each_has(each, "variations") for each in listed)
        or {"items", "_links"} <= content.keys()
        or isinstance(content.get("flagValues"), Mapping)
    )


def _unleash(content: Content) -> bool:
    """An export, or what the client API serves."""
    features = content.get("features")
    return (
        _each_has(features, "strategies")
        or (isinstance(features, list) and _each_has(features, "type"))
        or "featureStrategies" in content
    )


def _growthbook(content: Content) -> bool:
    """The payload of an SDK connection, perhaps encrypted, its features alone, or a page of the API."""
    features = content.get("features")
    return (
        _each_has(features, "defaultValue")
        or "encryptedFeatures" in content
        or any(_has_only_defaults_and_rules(each) for each in (features, content))
    )


def _has_only_defaults_and_rules(features: object) -> bool:
    if not isinstance(features, Mapping) or not _each_has(features):
        return False
    named = {name for each in features.values() for name in each}
    return "defaultValue" in named and named <= {"defaultValue", "rules"}


def _statsig(content: Content) -> bool:
    """The specifications that SDKs download; a gate or config of the console's API, or a page of them."""
    gate = {"id", "isEnabled", "rules"}
    data = content.get("data")
    return (
        {"feature_gates", "dynamic_configs"} <= content.keys()
        or _each_has(data, "isEnabled")
        or any(isinstance(each, Mapping) and each.keys() >= gate for each in (content, data))
    )


def _ofrep(content: Content) -> bool:
    """What a server answers for one flag or for all."""
    flags = content.get("flags")
    answers = flags if isinstance(flags, list) else [content]
    return _each_has(answers, "key") and all("reason" in each or "errorCode" in each for each in answers)


def _prefab(content: Content) -> bool:
    """A config or a page of them, or a file of defaults, which marks what is a flag."""
    configs = content.get("configs", [content])
    return _each_has(configs, "key", "rows") or any(
        isinstance(each, Mapping) and {"feature_flag", "value"} <= each.keys() for each in content.values()
    )


def _split(content: Content) -> bool:
    """What SDKs download, or a page of the API."""
    return _each_has(content.get("splits"), "trafficTypeName") or _each_has(
        content.get("objects"), "trafficType"
    )


def _optimizely(content: Content) -> bool:
    """A datafile, or a page of the API's flags."""
    return {"featureFlags", "rollouts", "experiments"} <= content.keys() or _each_has(
        content.get("items"), "variable_definitions"
    )


def _aws_appconfig(content: Content) -> bool:
    """A profile of type `AWS.AppConfig.FeatureFlags`: definitions in `flags`, states in `values`."""
    flags, values = content.get("flags"), content.get("values")
    return _each_has(flags, "name") and _each_has(values, "enabled")


def _azure(content: Content) -> bool:
    """The schema of Microsoft's feature management, in its two spellings, and the older one of .NET."""
    sections = (content.get(name) for name in ("feature_management", "FeatureManagement"))
    return any(
        isinstance(each, Mapping)
        and (
            _each_has(each.get("feature_flags"), "id")
            or any(isinstance(flag, Mapping) and "EnabledFor" in flag for flag in each.values())
        )
        for each in sections
    )


def _firebase(content: Content) -> bool:
    """A Remote Config template: a parameter's default is a mapping."""
    parameters = content.get("parameters")
    if not isinstance(parameters, Mapping) or not _each_has(parameters, "defaultValue"):
        return False
    return all(isinstance(each["defaultValue"], Mapping) for each in parameters.values())


def _flagd(content: Content) -> bool:
    flags = content.get("flags")
    return ("$schema" in content and flags is not None) or _each_has(flags, "variants")


_TOOLS: Final[Mapping[str, Callable[[Content], bool]]] = {
    "an OpenFeature manifest": lambda content: _each_has(content.get("flags"), "flagType"),
    "a file of Flipt": _flipt,
    FLAGD_FILE: _flagd,
    "a file of GO Feature Flag": _go_feature_flag,
    "an export of Eppo": lambda content: _each_has(content.get("flags"), "allocations"),
    "an export of DevCycle": lambda content: (
        _each_has(content.get("features"), "variations") and "variables" in content
    ),
    "an export of LaunchDarkly": _launchdarkly,
    "an export of Unleash": _unleash,
    "an export of GrowthBook": _growthbook,
    "an export of Flagsmith": _flagsmith,
    "an export of ConfigCat": _configcat,
    "an export of Statsig": _statsig,
    "an export of PostHog": _posthog,
    "an export of Split": _split,
    "a file of Optimizely": _optimizely,
    "an export of Flipper": lambda content: _each_has(content.get("features"), "percentage_of_actors"),
    "an export of Harness": lambda content: _each_has(content.get("features"), "defaultOffVariation"),
    "an answer of an OFREP server": _ofrep,
    "a file of Prefab": _prefab,
    "a feature flag profile of AWS AppConfig": _aws_appconfig,
    "a list of feature flags of Azure App Configuration": _azure,
    "a template of Firebase Remote Config": _firebase,
}


_LISTS: Final = (
    ("a dump of Django's models, such as those of django-waffle", ("model", "fields")),
    ("an export of Flagsmith", ("name", "initial_value")),
    ("an export of Flagsmith", ("feature_state_value",)),
    ("an export of Harness", ("defaultServe",)),
    ("an export of ConfigCat", ("settingId",)),
    ("an export of PostHog", ("key", "filters")),
    ("an export of GitLab's feature flags", ("strategies", "active")),
    ("an export of Unleash", ("name", "strategies")),
    ("an export of DevCycle", ("variations", "variables")),
    ("an export of LaunchDarkly", ("key", "variations")),
    ("an export of Statsig", ("isEnabled",)),
    ("an export of GrowthBook", ("id", "defaultValue")),
)
"""Whose list it is if every entry has these keys; the first that fits."""


def _each_has(entries: object, *names: str) -> bool:
    listed = list(entries.values()) if isinstance(entries, Mapping) else entries
    if not isinstance(listed, list) or not listed:
        return False
    return all(isinstance(each, Mapping) and each.keys() >= set(names) for each in listed)
