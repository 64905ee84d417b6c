"""Rules and attributes made to take long, from one seed: long text, long lists, operators inside each other."""

import random
from dataclasses import dataclass
from typing import Any

from tests.evaluator.wild_rules import LISTINGS

HEADS = ("", "0x", "0x1p", "1e", "1e-", "-", "1.", "1.2.3-", "1.2.3+", "2026-01-01T", "v")
"""How text begins: numbers, versions and dates, up to the point where more may follow."""

BODIES = (
    *(
        "0",
        "1",
        "9",
        "f",
        "_",
        "1_",
        ".",
        "1.",
        "a.",
        "e",
        "9e",
        "-",
        "-a",
        "+",
        "p",
        ":",
        "T",
        " ",
        "\u2003",
    ),
    *("é", "e\u0301", "😀", "inf", "nan"),
)
"""What is repeated."""

TAILS = ("", "x", "p", "p1", "e", "_", "1", ".", " ", "Z")
"""What is found at the end, after which a pattern would go back."""

OPERATORS = (
    *("==", "===", "<", "in", "cat", "substr", "+", "-", "/", "%", "max", "min", "merge", "abs", "if"),
    *("and", "or", "!", "sem_ver", "starts_with", "ends_with", "fractional", "missing", "missing_some"),
    *("var", "set", "contains_all", "contains_any", "contains_none"),
)


@dataclass(frozen=True)
class CostlyInputs:
    """Rules that nest list operators, and attributes of up to some 20 kB.

    Attributes:
        random: The source of every choice.
    """

    random: random.Random

    def context(self) -> dict[str, Any]:
        """Three attributes and a targeting key."""
        return {"targetingKey": self.text(), **{name: self.attribute() for name in ("a", "b", "x")}}

    def attribute(self) -> Any:
        """Long text, or a list of one element many times."""
        choose = self.random.choice
        if self.random.random() < 0.5:
            return self.text()
        elements = (0, "a", 1.5, None, [], ["a"], [1, 2], {"x": 1}, {}, {"var": ""}, {"x": [1] * 10})
        return [choose((*elements, self.text()[:50]))] * choose((1, 10, 100, 1000, 4000))

    def text(self) -> str:
        """Text that might be a number, a version or a date for a long time."""
        choose = self.random.choice
        return choose(HEADS) + choose(BODIES) * choose((1, 10, 1000, 16_000)) + choose(TAILS)

    def rule(self, depth: int) -> Any:
        """Operators up to a depth; more than half of them run over lists."""
        choose = self.random.choice
        if depth <= 0:
            names = ("", "a", "b", "x", "a.0", "x.x", "current", "accumulator", ["absent", "q"])
            return choose((0, "a", *({"var": name} for name in names)))
        if self.random.random() < 0.6:
            name = choose(LISTINGS)
            merged = {"merge": [{"var": "a"}, {"var": "b"}]}
            subject = choose((*({"var": name} for name in ("", "a", "b", "x")), merged, self.rule(depth - 1)))
            initial = [choose((0, "", True))] if name == "reduce" else []
            return {name: [subject, self.rule(depth - 1), *initial]}
        return self._operation(choose(OPERATORS), depth - 1)

    def _operation(self, name: str, depth: int) -> Any:
        first, second = self.rule(depth), self.rule(depth)
        shaped = {
            "fractional": [first, ["a", second], ["b", 1]],
            "sem_ver": [first, self.random.choice(("=", "<", "^", "~")), second],
            "missing_some": [1, [first, second]],
            "set": [first, "x", second],
            "!": [first],
            "abs": [first],
        }
        more = [self.rule(depth)] if self.random.random() < 0.3 else []
        return {name: shaped.get(name, [first, second, *more])}
