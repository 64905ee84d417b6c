"""Any rule that can be written, for any context, from one seed: what windsock does as the flagd server does."""

import random
from dataclasses import dataclass
from typing import Any

VARIANTS = {
    name: name for name in ("a", "b", "c", "true", "false", "0", "1", "2", "-1", "0.5", "[]", "ab", "pro")
}
"""The variants that every generated flag has: what rules tend to give."""

TEXTS = (
    *("", "a", "b", "ab", "pro", "free", "x@acme.com", "ü", "é", "e\u0301", "😀", "ß", "true", "null", "[]"),
    *(" ", "\t", "\u00a0", "\u200b", "\ufeff", "\x1c", " a", "a ", 'a"b', "a\\b", "<a&", "\x00", "\n"),
    *("0", "1", "-1", "2.0", "1e2", " 1", "1 ", "+1", ".5", "5.", "-0", "1_000", "0x10", "0x1p4", "0b1"),
    *(
        "Infinity",
        "nan",
        "inf",
        "1e400",
        "-1e-400",
        "\u0661",
        "1.2.3",
        "v2.0.0-rc.1",
        "$flagd",
        "tier",
        "\u2028",
    ),
)
NUMBERS: tuple[int | float, ...] = (
    *(0, 1, 2, -1, 7, -7, 3, 100, 2**53, 2**53 + 1, -(2**53) - 1, 2**63, 2**64, 10**25, 10**300),
    *(0.5, 1.0, -0.0, -2.5, 0.1, 1.1, 1e21, 1e-7, 123456789.125, 5e-324, 1.7e308, 1e20, 1e-6),
)
NAMES = (
    *(
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
    ),
    *(
        "roles.0",
        "roles.1.x",
        "roles.-1",
        "roles.x",
        "roles.0.5",
        "tier.0",
        "company.",
        ".tier",
        "company..size",
    ),
    *(".", "..", "$flagd.flagKey", "$flagd.x", "1", "company.list.0.1", "Tier", "age.x", "blank", "ü"),
)
VERSIONS = (
    *(
        "1.2.3",
        "1.2",
        "2",
        "1.2.3-rc.1",
        "v2.0.0",
        "V1.2.3",
        "1.10.0",
        "1.2.3+b.1",
        "1.2.3-rc.1+b",
        "v1",
        "v1.2",
    ),
    *(
        "not.a.version",
        "",
        "v",
        "vv1",
        " 1.2.3",
        "1.2.3 ",
        "01.2.3",
        "1.2.3-01",
        "1.2.3-",
        "1.2.3+",
        "1.2-rc",
    ),
    *(
        "1.2+b",
        "1.2.3-0",
        "1.2.3--",
        "1.2.3-a.b-c",
        "1.2.3-10",
        "1.2.3-9",
        "1.2.3-rc.1.1",
        "1.2.3-a_b",
        "1..2",
    ),
    *("1.2.3.4", "1.0.0-99999999999999999999", "1.0.0-99999999999999999998", "1.0.0-ü", "-1.0.0", "1.2.3\n"),
    *(
        "99999999999999999999.0.0",
        1,
        1.5,
        999_999,
        1_000_000,
        -1,
        0,
        True,
        None,
        [],
        {"var": "version"},
        {"var": "tier"},
    ),
)
RELATIONS = ("=", "!=", "<", "<=", ">", ">=", "^", "~", "==", "", None, 1)
WEIGHTS = (
    50,
    50.0,
    0,
    1,
    -5,
    0.5,
    None,
    "5",
    {"var": "age"},
    2**31,
    2**31 - 1,
    -0.0,
    True,
    1e300,
    [],
    {"+": [1, 2]},
)
UNARY = ("!", "!!", "abs", "+", "*", "cat", "merge", "max", "min", "%", "substr")
ARITHMETIC = ("+", "-", "*", "/", "%", "max", "min", "cat", "substr", "!", "!!", "abs", "merge")
COMPARISONS = ("==", "!=", "===", "!==", "<", "<=", ">", ">=")
LISTINGS = ("filter", "map", "all", "some", "none", "reduce")
INNER = (
    "",
    "x",
    "age",
    "tier",
    "current",
    "accumulator",
    "current.x",
    "0",
    "roles",
    ".",
    ["", 7],
    ["x", 1],
    [],
)


@dataclass(frozen=True)
class WildRules:
    """Rules sensible or not.

    Attributes:
        random: The source of every choice.
    """

    random: random.Random

    def rule(self, depth: int = 3) -> Any:
        """A rule for a flag with ``VARIANTS``."""
        pick = self.random.random()
        if depth and pick < 0.45:
            return {"if": [self.value(depth - 1), *self.values(1, 4, depth - 1)]}
        return self.value(0) if pick < 0.48 else self.operation(depth)

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
        return self.random.choice(({}, {"x": 1, "y": 2}, {"x": 1, "var": "tier"}))

    def operation(self, depth: int) -> Any:
        """An operator with about the arguments it expects."""
        makers = (
            *(self.variable, self.variable, self.comparison, self.comparison, self.logic, self.membership),
            *(self.fractional, self.text, self.listing, self.listing, self.arithmetic, self.rare),
        )
        return self.random.choice(makers)(depth)

    def variable(self, depth: int) -> Any:
        """A ``var`` by path, number, default or computed name."""
        choose = self.random.choice
        name = choose(NAMES)
        odd = ("", 0, 1, 1.5, -0.0, 1e21, None, [], [""], True, [None], [name, 1, 2], {"cat": ["ti", "er"]})
        default = [name, self.value(depth - 1)]
        return {"var": choose((name, name, [name], default, choose(odd)))}

    def comparison(self, depth: int) -> Any:
        """A comparison, mostly of two values."""
        name = self.random.choice(COMPARISONS)
        if self.random.random() < 0.05:
            return {name: self.value(depth - 1)}
        two = self.random.random() < 0.8
        return {name: self.values(2, 2, depth - 1) if two else self.values(0, 4, depth - 1)}

    def logic(self, depth: int) -> Any:
        """A choice, of any number of clauses."""
        name = self.random.choice(("and", "or", "if", "?:"))
        return {name: self.value(depth - 1) if self.random.random() < 0.05 else self.values(0, 5, depth - 1)}

    def membership(self, depth: int) -> Any:
        """An ``in``."""
        choose = self.random.choice
        haystack = choose((self.values(0, 3, depth - 1), self.value(depth - 1), {"var": "roles"}))
        return {"in": choose(([self.value(depth - 1), haystack], self.values(0, 3, depth - 1)))}

    def fractional(self, depth: int) -> Any:
        """A ``fractional``, well formed or not."""
        choose = self.random.choice
        key = choose(([], [], [{"var": choose(NAMES)}], [choose(TEXTS)], [self.value(depth - 1)]))
        buckets = [
            choose(
                (
                    *([choose("abc"), choose(WEIGHTS)], [choose("abc"), 50], [self.value(depth - 1), 1]),
                    *(["a", 1, 2], [choose("abc")], [self.fractional(0), 1] if depth > 0 else [None, 1]),
                )
            )
            for _ in range(self.random.randint(1, 3))
        ]
        return {"fractional": self.value(0) if self.random.random() < 0.02 else [*key, *buckets]}

    def text(self, depth: int) -> Any:
        """A test of texts or versions."""
        choose = self.random.choice
        if self.random.random() < 0.6:
            return {
                "sem_ver": [
                    choose((choose(VERSIONS), {"var": "version"})),
                    choose(RELATIONS),
                    choose(VERSIONS),
                ]
            }
        name = choose(("starts_with", "ends_with"))
        odd = self.values(0, 3, depth - 1)
        return {
            name: choose(([{"var": choose(("email", "tier"))}, choose(TEXTS)], odd, self.value(depth - 1)))
        }

    def listing(self, depth: int) -> Any:
        """An operator over a list."""
        choose = self.random.choice
        name = choose(LISTINGS)
        if self.random.random() < 0.03:
            return {name: choose((self.values(0, 3, depth - 1), self.value(depth - 1)))}
        subject = choose(
            (
                {"var": "roles"},
                {"var": choose(NAMES)},
                self.values(0, 3, 1),
                {"var": ""},
                self.value(depth - 1),
            )
        )
        step = self.condition(depth - 1)
        start = [choose((0, "", True, None, 1.5, "x", self.value(depth - 1)))] if name == "reduce" else []
        return {name: [subject, step, *start]}

    def condition(self, depth: int) -> Any:
        """What runs on an element, which it may name in many ways."""
        choose = self.random.choice
        inner = {"var": choose(INNER)}
        other = choose(({"var": choose(INNER)}, self.literal(0), self.value(depth)))
        name = choose((*COMPARISONS, "+", "*", "cat", "in", "and", "or", "if", "starts_with"))
        nested = {
            choose(LISTINGS[:-1]): [
                {"var": choose(("", "x", "roles"))},
                {choose(COMPARISONS): [inner, other]},
            ]
        }
        return choose(({name: [inner, other]}, {name: [other, inner]}, inner, {"!": inner}, nested, other))

    def arithmetic(self, depth: int) -> Any:
        """Numbers and text."""
        if self.random.random() < 0.15:
            return {self.random.choice(UNARY): self.value(depth - 1)}
        name = self.random.choice(ARITHMETIC)
        return {name: self.values(name in "-/", 3, depth - 1)}  # of an empty list, see docs/portable-rules.md

    def rare(self, depth: int) -> Any:
        """Operators that few know."""
        choose = self.random.choice
        name = choose(
            ("missing", "missing_some", "set", "contains_all", "contains_any", "contains_none", "odd")
        )
        if name == "missing":
            return {name: choose((self.values(0, 3, depth - 1), [choose(NAMES), "x"], choose(NAMES)))}
        if name == "missing_some":
            names = choose(([choose(NAMES), choose(NAMES)], self.values(0, 2, depth - 1)))
            return {name: [choose((0, 1, 2, 1.5, "1", -1)), names]}
        if name == "set":
            target = choose(({"var": "company"}, self.value(depth - 1)))
            return {name: [target, choose(("size", "x", self.literal(0))), self.value(depth - 1)]}
        if name == "odd":
            return choose(
                ({"log": "a"}, {"method": []}, {"": 1}, {"$flagd": 1}, {"IF": [True, "a"]}, {"1": 1})
            )
        left = choose(({"var": "roles"}, self.values(0, 3, 0)))
        return {name: [left, choose((self.values(0, 3, 0), self.value(depth - 1)))]}

    def context(self) -> dict[str, Any]:
        """Attributes of any type under the names that rules use."""
        choose = self.random.choice
        texts = [choose(TEXTS) for _ in range(3)]
        values: dict[str, Any] = {
            "tier": texts[0],
            "age": choose(NUMBERS),
            "beta": choose((True, False)),
            "roles": choose(
                (
                    *(
                        [],
                        ["a", "pro"],
                        ["ü"],
                        [1, "1"],
                        [{"x": 1}, {"x": 0, "age": 9}],
                        [None, 0, ""],
                        texts,
                    ),
                    *(
                        [["a", 1], [2, 3], []],
                        [{"x": {"x": 1}}, {}],
                        [True, False],
                        [0.5, 2**53 + 1],
                        {"x": ["a"]},
                    ),
                )
            ),
            "email": texts[1],
            "version": choose(VERSIONS[:-2]),
            "company": choose(({"size": 5}, {"size": "5", "x": None}, {}, {"list": [[1, 2]], "": 3}, [])),
            "targetingKey": choose(("", f"user-{self.random.randrange(1000)}", "ü-1", texts[2])),
            "1": texts[2],
            "blank": choose(("", None, [], {}, 0, " ")),
            "": choose(("a", 5, {"x": 1})),
            "ü": "b",
        }
        for name in values:
            if self.random.random() < 0.1:
                values[name] = self.literal(1) if name != "targetingKey" else choose((None, 5, "x"))
        return {name: value for name, value in values.items() if self.random.random() < 0.8}
