"""The official schema, documents that it accepts, and documents that are nearly so."""

import copy
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs

_BASE = "https://flagd.dev/schema/v0/"

LITERALS = (None, True, 0, 1.5, "", "a", [], ["a"], [[]], {}, {"a": 1})
TEXTS = (
    "a",
    "b",
    "tier",
    "$flagd.flagKey",
    "$flagd.other",
    "1.2.3",
    "v1.2",
    "2.0.0.0",
    ">=",
    "ENABLED",
    "\n",
)
COUNTS = {
    **dict.fromkeys(("==", "!=", "===", "!==", ">", ">=", "%", "/", "in"), (2,)),
    **dict.fromkeys(("map", "filter", "all", "none", "some"), (2,)),
    **dict.fromkeys(("<", "<=", "substr", "*"), (2, 3)),
    **dict.fromkeys(("if", "and", "or", "+", "-", "max", "min", "merge", "cat"), (1, 2, 3, 4)),
    **dict.fromkeys(("!", "!!"), (1,)),
    "reduce": (3,),
}
KEYS = ("a", "state", "targeting", "==", "if", "fractional", "var", "nonsense", "", "x\ny", "$ref")


def schema_of(folder: Path) -> jsonschema_rs.Draft7Validator:
    """What the flagd server takes: flags as an object or as a list."""
    resources = [
        (_BASE + name, json.loads((folder / name).read_text())) for name in ("flags.json", "targeting.json")
    ]
    # flagd.json itself has its `$id` beside a `$ref`, where draft 7 ignores it
    root = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": _BASE + "flags.json#/definitions/flagdConfig",
    }
    return jsonschema_rs.validator_for(root, registry=jsonschema_rs.Registry(resources))


class Documents:
    """Documents of every shape that the schema knows, from one source of chance."""

    def __init__(self, source: random.Random) -> None:
        self._random = source

    def document(self) -> dict[str, Any]:
        """One document: flags as an object or a list, shared rules, metadata."""
        pick = self._random.random
        flags: Any = {f"flag-{number}": self._flag() for number in range(self._random.randint(0, 3))}
        if pick() < 0.2:
            flags = [{"key": key, **flag} for key, flag in flags.items()]
        made: dict[str, Any] = {"flags": flags}
        if pick() < 0.4:
            made["$evaluators"] = {"shared": self.rule(2)}
        if pick() < 0.4:
            made["metadata"] = {"owner": "us", "number": 1.5, "yes": True}
        return made

    def _flag(self) -> dict[str, Any]:
        values = self._random.choice(([True, False], ["x", "y"], [1, 2.5], [{}, {"a": [1, None]}]))
        flag = {
            "state": self._random.choice(("ENABLED", "DISABLED")),
            "variants": dict(zip("ab", values, strict=True)),
        }
        flag |= self._random.choice(({}, {"defaultVariant": "a"}, {"defaultVariant": None}))
        flag |= self._random.choice(
            ({}, {"targeting": {}}, {"targeting": self.rule(4)}, {"targeting": self.rule(4)})
        )
        return flag | self._random.choice(({}, {"metadata": {"owner": "us", "n": 3}}))

    def rule(self, depth: int) -> Any:
        """An operator with arguments as the schema wants them."""
        choose = self._random.choice
        name = choose(
            (*COUNTS, "var", "missing", "missing_some", "starts_with", "ends_with", "sem_ver", "fractional")
        )
        match name:
            case "var":
                arguments = choose(("tier", "$flagd.flagKey", ["age", 5], "", 1))
            case "missing":
                arguments = choose((["a"], [], ["a", "b"]))
            case "missing_some":
                arguments = [1, ["a", "b"]]
            case "starts_with" | "ends_with":
                arguments = [self._text(depth), choose(("a", {"var": "x"}))]
            case "sem_ver":
                arguments = [choose(("1.2.3", {"var": "v"})), choose(("=", "~", "<=")), "2.0.0-rc.1"]
            case "fractional":
                key = [self._text(depth)] if choose((True, False)) else []
                arguments = [*key, ["a", choose((1, 50, 2.5))], choose((["b", 1], ["b"]))]
            case _:
                arguments = [self._argument(depth) for _ in range(choose(COUNTS[name]))]
        return {name: arguments}

    def _text(self, depth: int) -> Any:
        return self.rule(depth - 1) if depth > 0 and self._random.random() < 0.5 else {"var": "x"}

    def _argument(self, depth: int) -> Any:
        if depth <= 0 or self._random.random() < 0.5:
            return self._random.choice((None, True, 1, 2.5, "a", "b", ["a", "b"], []))
        return self.rule(depth - 1)

    def broken(self, content: dict[str, Any], times: int) -> dict[str, Any]:
        """Nearly the same document: values replaced, members lost, added or renamed."""
        content = copy.deepcopy(content)
        for _ in range(times):
            holder, key = self._random.choice(list(_places(content)))
            match self._random.randrange(4):
                case 0:
                    holder[key] = copy.deepcopy(self._random.choice((*LITERALS, *TEXTS)))
                case 1:
                    del holder[key]
                case 2 if isinstance(holder, dict):
                    holder[self._random.choice(KEYS)] = holder.pop(key)
                case _ if isinstance(holder, dict):
                    holder[self._random.choice(KEYS)] = copy.deepcopy(self._random.choice(LITERALS))
                case _:
                    holder.insert(key, copy.deepcopy(self._random.choice((*LITERALS, *TEXTS))))
            if not content:
                return content
        return content


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


def without_what_engines_take(content: dict[str, Any]) -> dict[str, Any]:
    """The document with what every engine takes and the schema refuses written as the schema wants it."""
    shared = content.get("$evaluators")
    if isinstance(shared, dict):
        content = content | {
            "$evaluators": {
                key: _strict(rule) if isinstance(rule, dict) else {} for key, rule in shared.items()
            }
        }
    flags = content.get("flags")
    if isinstance(flags, dict):
        return content | {"flags": {key: _strict_flag(flag) for key, flag in flags.items()}}
    return content | {"flags": [_strict_flag(flag) for flag in flags]} if isinstance(flags, list) else content


def _strict_flag(flag: Any) -> Any:
    return (
        flag | {"targeting": _strict(flag["targeting"])}
        if isinstance(flag, dict) and "targeting" in flag
        else flag
    )


def _strict(rule: Any) -> Any:
    if isinstance(rule, list):
        return [_strict(item) for item in rule]
    if not isinstance(rule, Mapping) or len(rule) != 1:
        return rule
    ((name, arguments),) = rule.items()
    if name == "$ref" and isinstance(arguments, str):
        return {"var": "a shared rule"}
    inner = _strict(arguments)
    if name == "sem_ver" and isinstance(inner, list) and len(inner) == 3:
        inner = [_version(inner[0]), inner[1], _version(inner[2])]
    if name == "fractional" and isinstance(inner, list):
        inner = [_bucket(item) if isinstance(item, list) else item for item in inner]
        if sum(isinstance(item, list) for item in inner) == 1:
            inner.append(["a"])
    return {"if" if name == "?:" else name: inner}


def _version(version: Any) -> Any:
    """Loose versions, numbers and computed ones."""
    rule = isinstance(version, Mapping) and version
    loose = version in ("v1.2", "1.2") or (
        isinstance(version, (int, float)) and not isinstance(version, bool)
    )
    return {"var": "version"} if rule else "1.2.3" if loose else version


def _bucket(bucket: list[Any]) -> list[Any]:
    """A variant or a weight that is computed, and a boolean, which a condition may ask for."""
    fits = ("a", 1)
    return [
        fits[place]
        if (place < 2 and isinstance(item, Mapping) and item) or (place == 0 and isinstance(item, bool))
        else item
        for place, item in enumerate(bucket)
    ]
