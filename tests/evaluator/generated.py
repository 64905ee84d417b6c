"""Random rules and contexts for differential tests, from one seed."""

import random
from dataclasses import dataclass
from typing import Any

VARIANTS = {
    name: name for name in ("a", "b", "c", "true", "false", "0", "1", "2", "-1", "0.5", "[]", "ab", "pro")
}
"""The variants that every generated flag has: what rules tend to give."""

TEXTS = (
    "",
    "a",
    "b",
    "ab",
    "pro",
    "free",
    "1",
    "2.0",
    "1e2",
    " 1",
    "x@acme.com",
    "1.2.3",
    "v2.0.0-rc.1",
    "ü",
)
NUMBERS: tuple[int | float, ...] = (0, 1, 2, -1, 7, 0.5, 1.0, 100, 2**53 + 1)
NAMES = (
    "tier",
    "age",
    "beta",
    "roles",
    "email",
    "version",
    "company",
    "company.size",
    "targetingKey",
    "none.such",
)
VERSIONS = ("1.2.3", "1.2", "2", "1.2.3-rc.1", "v2.0.0", "1.10.0", "not.a.version")
RELATIONS = ("=", "!=", "<", "<=", ">", ">=", "^", "~")


@dataclass(frozen=True)
class WildRules:
    """Any rule that can be written, sensible or not: what windsock does as the flagd server does.

    Attributes:
        random: The source of every choice.
    """

    random: random.Random

    def rule(self, depth: int = 3) -> Any:
        """A rule for a flag with ``VARIANTS``."""
        if depth and self.random.random() < 0.5:
            return {"if": [self.value(depth - 1), *self.values(1, 4, depth - 1)]}
        return self.operation(depth)

    def values(self, least: int, most: int, depth: int) -> list[Any]:
        """Some values."""
        return [self.value(depth) for _ in range(self.random.randint(least, most))]

    def value(self, depth: int) -> Any:
        """A literal, a variable or an operation."""
        if depth <= 0 or self.random.random() < 0.3:
            return self.literal(depth)
        return self.operation(depth)

    def literal(self, depth: int) -> Any:
        """A literal of any type."""
        pick = self.random.random()
        if pick < 0.35:
            return self.random.choice(TEXTS)
        if pick < 0.6:
            return self.random.choice(NUMBERS)
        if pick < 0.8 or depth <= 0:
            return self.random.choice((True, False, None))
        if pick < 0.95:
            return self.values(0, 3, depth - 1)
        return self.random.choice(({}, {"x": 1, "y": 2}))

    def operation(self, depth: int) -> Any:  # noqa: PLR0911 - a line for each kind
        """An operator with about the arguments it expects."""
        choose = self.random.choice
        pick = self.random.random()
        if pick < 0.2:
            return {"var": choose((choose(NAMES), [choose(NAMES)], [choose(NAMES), self.literal(0)], "", 0))}
        if pick < 0.4:
            name = choose(("==", "!=", "===", "!==", "<", "<=", ">", ">="))
            return {name: self.values(2, 2 if self.random.random() < 0.8 else 3, depth - 1)}
        if pick < 0.5:
            return {choose(("and", "or", "if", "?:")): self.values(0, 4, depth - 1)}
        if pick < 0.6:
            return {
                "in": [self.value(depth - 1), choose((self.values(0, 3, depth - 1), self.value(depth - 1)))]
            }
        if pick < 0.7:
            return self.fractional(depth)
        if pick < 0.75:
            return {
                "sem_ver": [
                    choose((choose(VERSIONS), {"var": "version"}, 1.5)),
                    choose(RELATIONS),
                    choose(VERSIONS),
                ]
            }
        if pick < 0.85:
            return self.listing(depth)
        return self.arithmetic(depth)

    def fractional(self, depth: int) -> Any:
        """A ``fractional``, well formed or not."""
        choose = self.random.choice
        key = choose(([], [], [{"var": choose(NAMES)}], [choose(TEXTS)], [self.value(depth - 1)]))
        weights: tuple[Any, ...] = (50, 50.0, 0, 1, -5, 0.5, None, "5", {"var": "age"}, 2**31)
        buckets = [
            choose(
                ([choose("abc"), choose(weights)], [choose("abc"), 50], [self.value(depth - 1)], ["a", 1, 2])
            )
            for _ in range(self.random.randint(1, 3))
        ]
        return {"fractional": [*key, *buckets]}

    def listing(self, depth: int) -> Any:
        """An operator over a list."""
        choose = self.random.choice
        name = choose(("filter", "map", "all", "some", "none", "reduce", "missing", "missing_some", "merge"))
        if name in ("missing", "merge"):
            return {name: choose((self.values(0, 3, depth - 1), [choose(NAMES), "x"], choose(NAMES)))}
        if name == "missing_some":
            return {name: [choose((0, 1, 2)), [choose(NAMES), choose(NAMES)]]}
        subject = choose(({"var": "roles"}, self.values(0, 3, 0), {"var": "none"}))
        inner = choose(
            (
                {"==": [{"var": ""}, choose(TEXTS)]},
                {">": [{"var": "age"}, 5]},
                {"var": "x"},
                {"!": {"var": ""}},
            )
        )
        if name == "reduce":
            step = choose(({"+": [{"var": "current"}, {"var": "accumulator"}]}, {"var": "accumulator"}))
            return {name: [subject, step, choose((0, "", True, None))]}
        return {name: [subject, inner]}

    def arithmetic(self, depth: int) -> Any:
        """Numbers, text and their tests."""
        choose = self.random.choice
        name = choose(
            (
                "+",
                "-",
                "*",
                "/",
                "%",
                "max",
                "min",
                "cat",
                "substr",
                "!",
                "!!",
                "starts_with",
                "ends_with",
                "abs",
                "set",
            )
        )
        if name == "set":
            target = choose(({"var": "company"}, self.value(depth - 1)))
            return {"set": [target, choose(("size", "x", self.literal(0))), self.value(depth - 1)]}
        if self.random.random() < 0.15 and name not in (
            "-",
            "/",
        ):  # of an empty list, see docs/portable-rules.md
            return {name: self.value(depth - 1)}
        if name in ("starts_with", "ends_with"):
            return {name: [{"var": choose(("email", "tier"))}, choose(TEXTS)]}
        return {name: self.values(1, 3, depth - 1)}

    def context(self) -> dict[str, Any]:
        """Attributes of any type under the names that rules use."""
        choose = self.random.choice
        values: dict[str, Any] = {
            "tier": choose(TEXTS),
            "age": choose(NUMBERS),
            "beta": choose((True, False)),
            "roles": choose(([], ["a", "pro"], ["ü"], [1, "1"], [{"x": 1}, {"x": 0, "age": 9}])),
            "email": choose(TEXTS),
            "version": choose(VERSIONS),
            "company": choose(({"size": 5}, {"size": "5", "x": None}, {})),
            "targetingKey": choose(("", f"user-{self.random.randrange(1000)}", "ü-1")),
        }
        for name in values:
            if self.random.random() < 0.1:
                values[name] = self.literal(1) if name != "targetingKey" else choose((None, 5, "x"))
        return {name: value for name, value in values.items() if self.random.random() < 0.8}


@dataclass(frozen=True)
class PortableRules:
    """Rules outside the list of ``windsock.flags.portable``: what every flagd evaluates alike.

    Attributes:
        random: The source of every choice.
    """

    random: random.Random

    def rule(self, depth: int = 3) -> Any:
        """A rule for a flag with ``VARIANTS``."""
        pick = self.random.random()
        if depth <= 0 or pick < 0.1:
            return self.fractional(depth)
        clauses: list[Any] = []
        for _ in range(self.random.randint(1, 3)):
            clauses += [self.condition(depth - 1), self.result(depth - 1)]
        if self.random.random() < 0.7:
            clauses.append(self.result(depth - 1))
        return {"if": clauses}

    def result(self, depth: int) -> Any:
        """What a branch gives."""
        pick = self.random.random()
        if depth > 0 and pick < 0.3:
            return self.rule(depth)
        return None if pick < 0.4 else self.random.choice("abc")

    def fractional(self, depth: int) -> Any:
        """A well-formed ``fractional``."""
        choose = self.random.choice
        cat: Any = {"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}
        key = choose(([], [], [cat], ["salt"]))
        buckets = [[choose("abc"), choose((0, 1, 5, 50, 1000))] for _ in range(self.random.randint(1, 4))]
        buckets.append([choose("abc"), self.random.randint(1, 100)])
        if depth > 0 and self.random.random() < 0.2:
            buckets[0][0] = {"if": [self.condition(depth - 1), "a", "b"]}
        return {
            "fractional": [
                *key,
                *([[choose("abc")], [choose("abc")]] if self.random.random() < 0.2 else buckets),
            ]
        }

    def condition(self, depth: int) -> Any:
        """A condition on attributes of known types."""
        choose = self.random.choice
        if depth > 0 and self.random.random() < 0.4:
            name = choose(("and", "or", "!", "!!"))
            if name in ("!", "!!"):
                return {name: [self.condition(depth - 1)]}
            return {name: [self.condition(depth - 1) for _ in range(self.random.randint(1, 3))]}
        return choose(
            (self.text_condition, self.number_condition, self.list_condition, self.other_condition)
        )()

    def text_condition(self) -> Any:
        """A condition on a text attribute."""
        choose = self.random.choice
        attribute = {"var": choose(("tier", "country", "email", "company.plan"))}
        pick = self.random.random()
        if pick < 0.3:
            return {choose(("==", "!=", "===", "!==")): [attribute, choose(("pro", "free", "DE"))]}
        if pick < 0.6:
            return {"in": [attribute, self.random.sample(("pro", "free", "DE", "FR", "x@acme.com"), 3)]}
        if pick < 0.8:
            return {choose(("starts_with", "ends_with")): [attribute, choose(("x@", "acme.com", "p"))]}
        return {"in": [choose(("acme", "pro", "@")), {"var": "email"}]}

    def number_condition(self) -> Any:
        """A condition on a number attribute."""
        choose = self.random.choice
        attribute: Any = {"var": choose(("age", "score"))}
        limit = choose((1, 18, 65, 0.5, -1))
        pick = self.random.random()
        if pick < 0.2:
            attribute = {choose(("+", "-", "*")): [attribute, choose((1, 2))]}
        if pick > 0.8:
            return {choose(("<", "<=")): [limit, attribute, 40]}
        return {choose(("==", "!=", "<", "<=", ">", ">=")): [attribute, limit]}

    def list_condition(self) -> Any:
        """A condition on a list of texts."""
        choose = self.random.choice
        roles = {"var": "roles"}
        if self.random.random() < 0.5:
            return {"in": [choose(("admin", "dev")), roles]}
        return {choose(("some", "all", "none")): [roles, {"==": [{"var": ""}, choose(("admin", "dev"))]}]}

    def other_condition(self) -> Any:
        """A condition on a boolean, a version, the time or what is missing."""
        choose = self.random.choice
        pick = self.random.random()
        if pick < 0.3:
            return choose(({"var": "beta"}, {"==": [{"var": "beta"}, choose((True, False))]}))
        if pick < 0.7:
            return {
                "sem_ver": [{"var": "version"}, choose(RELATIONS), choose(("1.2.3", "2.0.0", "1.2.3-rc.1"))]
            }
        if pick < 0.85:
            return {choose((">", "<")): [{"var": "$flagd.timestamp"}, choose((1_000_000_000, 4_000_000_000))]}
        return {"==": [{"var": choose(("tier", "country"))}, None]}

    def context(self) -> dict[str, Any]:
        """Attributes of the types that the rules expect; text attributes may be missing."""
        choose = self.random.choice
        optional: dict[str, Any] = {
            "tier": choose(("pro", "free", "")),
            "country": choose(("DE", "FR")),
            "company": choose(({"plan": "pro"}, {"plan": "free", "size": 3}, {})),
            "targetingKey": f"user-{self.random.randrange(10_000)}",
        }
        always = {
            "email": choose(("x@acme.com", "y@other.org", "pro@acme.com")),
            "age": choose((0, 1, 17, 18, 40, 65, 0.5)),
            "score": choose((0.5, -1, 1, 2.25)),
            "roles": choose((["admin"], ["dev", "admin"], ["x"])),
            "beta": choose((True, False)),
            "version": choose(("1.2.3", "1.2.4", "1.3.0", "2.0.0", "1.2.3-rc.1", "1.2.3-alpha")),
        }
        return always | {name: value for name, value in optional.items() if self.random.random() < 0.85}
