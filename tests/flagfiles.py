"""Flag documents for tests, written as the people and the mirror who own them would."""

import json
from pathlib import Path


def object_flag(
    variants: dict[str, object], default: str | None, targeting: object = None, **metadata: object
) -> dict[str, object]:
    """An object flag with its variants, default variant and targeting rule."""
    flag: dict[str, object] = {"state": "ENABLED", "variants": variants, "defaultVariant": default}
    if targeting is not None:
        flag["targeting"] = targeting
    if metadata:
        flag["metadata"] = metadata
    return flag


def profile_flag(configurations: dict[str, object], assignments: dict[str, str]) -> dict[str, object]:
    """A profile flag as the mirror writes it: user id → configuration id, `none` for everybody else."""
    targeting: object = None
    for config_id in configurations:
        users = [user for user, assigned in assignments.items() if assigned == config_id]
        rule = {"in": [{"var": "targetingKey"}, users]}
        targeting = {"if": [rule, config_id] if targeting is None else [rule, config_id, targeting]}
    return object_flag({"none": {}, **configurations}, "none", targeting)


def write_flags(path: Path, flags: dict[str, object]) -> None:
    """Replace a flag file atomically."""
    write_text(
        path, json.dumps({"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": flags}, indent=2)
    )


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically with any text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def split(bucketing: str | None = None, first: int = 50, when: str = "") -> dict[str, object]:
    """A flag that gives `first` percent of the users `on`, of those whose tier is `when` if that is named."""
    rule: object = {"fractional": [["on", first], ["off", 100 - first]]}
    if when:
        rule = {"if": [{"==": [{"var": "tier"}, when]}, rule, "off"]}
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    flag["targeting"] = rule
    return flag if bucketing is None else flag | {"metadata": {"bucketing": bucketing}}
