"""Rules as people write them over typed attributes, from one seed: every operator, each with what it is made for.

Where `portable_rules` draws from what is known to be portable, nothing is left out here: the linter says what
is, and what it passes must be evaluated alike everywhere.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

VARIANTS = {name: name for name in ("a", "b", "c", "free", "pro", "true", "false", "de", "DE")}
"""The variants of every generated flag: results that are written, and texts that attributes bring."""

TEXTS = (
    "",
    "a",
    "free",
    "pro",
    "DE",
    "de",
    "FR",
    "ann@acme.com",
    "acme.com",
    "x",
    "Zoë",
    "日本",
    "a b",
    "0",
    "7",
    "1.5",
)
"""Literal text, among it numerals, none, and letters of other scripts."""

NUMBERS = (0, 1, 2, 7, 18, 65, 100, -1, -7, 0.5, 1.5, -0.25, 2.0, 0.1, 1e-7, 1e6, 1e21, 123456.789, 10**15)
VERSIONS = ("1.2.3", "2.0.0", "0.9.1", "1.2.3-rc.1", "1.2.4-beta.2", "10.0.0", "1.2", "v1.2.3")
RELATIONS = ("=", "!=", "<", "<=", ">", ">=", "^", "~")
COMPARISONS = ("==", "!=", "===", "!==")
ORDERS = ("<", "<=", ">", ">=")

TEXT = ("email", "tier", "country", "name", "company.plan", "targetingKey")
NUMBER = ("age", "score", "company.size", "$flagd.timestamp")
BOOLEAN = ("beta", "company.verified")
TEXT_LISTS = ("roles", "company.tags")
NUMBER_LISTS = ("levels",)

ODD = (
    *(
        None,
        True,
        False,
        0,
        -0.0,
        2.0,
        -7,
        2**53 + 1,
        10**20,
        1e-9,
        "",
        " ",
        "7",
        "x",
        "ü",
        "😀",
        "1.2",
        " 1.2.3",
    ),
    *([], [0], [1, "1"], ["a", None], [[1, 5]], {}, {"plan": None}, {"size": "5", "tags": "a"}, [{"x": 1}]),
)
"""Values that a rule does not expect."""


def var(name: str) -> Any:
    """An attribute."""
    return {"var": name}


@dataclass(frozen=True)
class OrdinaryRules:
    """Rules whose operators get what they are made for.

    Attributes:
        random: The source of every choice.
    """

    random: random.Random

    def rule(self, depth: int = 3) -> Any:
        """A rule for a flag with ``VARIANTS``."""
        return self._one_of(self._conditional, self._conditional, self._split)(depth)

    def context(self) -> dict[str, Any]:
        """Every attribute, of its type and with a value as services have them."""
        choose, number = self.random.choice, self.random.randrange
        return {
            "targetingKey": choose((f"user-{number(10_000)}", f"{number(10**6):06}", "ann@acme.com")),
            "email": choose(("ann@acme.com", "bob@other.org", "c@acme.com", "pro@x.io")),
            "tier": choose(("free", "pro", "a", "")),
            "country": choose(("DE", "de", "FR", "")),
            "name": choose(("Ann", "Zoë", "日本", "ann b", "A")),
            "age": choose((0, 1, 7, 17, 18, 40, 65, 101)),
            "score": choose((0.5, 1.5, -0.25, 0.0, 2.0, 0.1, 0.01, 99.99, -7.5)),
            "beta": choose((True, False)),
            "roles": choose((["admin"], ["dev", "admin"], ["a", "pro"], ["x"], [])),
            "levels": choose(([1], [2, 7], [0, 1.5], [-1, 100], [])),
            "version": choose(("1.2.3", "1.2.4-beta.2", "1.10.0", "2.0.0", "0.9.1", "1.2.3-rc.1")),
            "company": {
                "plan": choose(("free", "pro", "a")),
                "size": choose((1, 5, 250, 10_000)),
                "verified": choose((True, False)),
                "tags": choose((["new"], ["a", "b"], ["pro", "DE"])),
            },
        }

    def odd_context(self) -> dict[str, Any]:
        """The same with about a third of the attributes missing and a third of other types and values."""
        made = {}
        for name, value in self.context().items():
            pick = self.random.random()
            if pick > 0.3:
                made[name] = value if pick > 0.6 or name == "targetingKey" else self.random.choice(ODD)
        return made

    # -- what a rule gives ----------------------------------------------------------------------------------

    def _conditional(self, depth: int) -> Any:
        clauses: list[Any] = []
        for _ in range(self.random.randint(1, 3)):
            clauses += [self._condition(depth - 1), self._result(depth - 1)]
        return {"if": [*clauses, self._result(depth - 1)] if self.random.random() < 0.7 else clauses}

    def _result(self, depth: int) -> Any:
        if depth > 0 and self.random.random() < 0.25:
            return self.rule(depth - 1)
        computed = self._one_of(self._text, self._boolean)
        return (
            computed(depth - 1)
            if self.random.random() < 0.15
            else self.random.choice(("a", "b", "c", "pro", None))
        )

    def _split(self, depth: int) -> Any:
        choose = self.random.choice
        identifier = var(choose(("email", "targetingKey", "country")))
        salt = choose((var("$flagd.flagKey"), "salt-", choose(TEXTS)))
        key = choose(
            ([], [], [{"cat": [salt, identifier]}], [{"cat": [salt, {"substr": [identifier, 0, 4]}]}])
        )
        whole = [[choose("abc"), choose((0, 1, 5, 50, 1000))] for _ in range(self.random.randint(2, 4))]
        bare = [[name] for name in "ab"]
        computed = [[self._conditional(depth - 1), 50], ["b", 50]] if depth > 0 else whole
        return {"fractional": [*key, *choose((whole, whole, bare, computed))]}

    # -- conditions -----------------------------------------------------------------------------------------

    def _condition(self, depth: int) -> Any:
        if depth > 0 and self.random.random() < 0.35:
            return self._logic(depth)
        return self._boolean(depth)

    def _logic(self, depth: int) -> Any:
        name = self.random.choice(("and", "or", "!", "!!"))
        count = 1 if name in ("!", "!!") else self.random.randint(1, 3)
        operands = [self._condition, self._condition, self._condition, self._text, self._number]
        operands += [self._list] if name in ("and", "or") else []
        return {name: [self.random.choice(operands)(depth - 1) for _ in range(count)]}

    def _boolean(self, depth: int) -> Any:
        makers = (
            *(self._equality, self._equality, self._order, self._membership, self._membership, self._affix),
            *(self._versions, self._quantifier, self._presence, self._flag),
        )
        return self.random.choice(makers)(depth - 1)

    def _flag(self, _: int) -> Any:
        attribute = var(self.random.choice(BOOLEAN))
        literal = self.random.choice((True, False))
        return self.random.choice((attribute, {"==": [attribute, literal]}, {"!=": [literal, attribute]}))

    def _presence(self, _: int) -> Any:
        name = self.random.choice((*TEXT, *NUMBER, *BOOLEAN, *TEXT_LISTS, "company", "absent"))
        pair = [var(name), None] if self.random.random() < 0.8 else [None, var(name)]
        return self.random.choice(
            ({self.random.choice(COMPARISONS): pair}, {"missing": [name]}, {"!": [var(name)]})
        )

    def _equality(self, depth: int) -> Any:
        side = self._one_of(self._text, self._number)
        return {self.random.choice(COMPARISONS): [side(depth), side(depth)]}

    def _order(self, depth: int) -> Any:
        side = self._one_of(self._text, self._number, self._number)
        count = 3 if self.random.random() < 0.2 else 2
        return {self.random.choice(ORDERS): [side(depth) for _ in range(count)]}

    def _membership(self, depth: int) -> Any:
        side, items = self.random.choice(((self._text, TEXTS), (self._number, NUMBERS)))
        pick = self.random.random()
        if pick < 0.5:
            return {"in": [side(depth), self._some_of(items)]}
        if pick < 0.75:
            needle = self.random.choice((var("email"), var("name"), *TEXTS))  # none that may be empty
            return {"in": [needle, self._text(depth)]}
        return {"in": [side(depth), self._list_of(side is self._text, depth)]}

    def _affix(self, depth: int) -> Any:
        return {self.random.choice(("starts_with", "ends_with")): [self._text(depth), self._text(0)]}

    def _versions(self, _: int) -> Any:
        sides = [var("version"), self.random.choice(VERSIONS)]
        self.random.shuffle(sides)
        return {"sem_ver": [sides[0], self.random.choice(RELATIONS), sides[1]]}

    def _quantifier(self, depth: int) -> Any:
        of_text = self.random.random() < 0.6
        name = self.random.choice(("some", "all", "none"))
        return {name: [self._list_of(of_text, depth), self._element_condition(of_text, depth)]}

    def _element_condition(self, of_text: bool, depth: int) -> Any:
        choose, item = self.random.choice, var("")
        if depth > 0 and self.random.random() < 0.2:
            inner = [self._element_condition(of_text, depth - 1) for _ in range(2)]
            return {choose(("and", "or")): inner}
        if not of_text:
            limit = choose(NUMBERS)
            return choose(
                ({choose((*COMPARISONS, *ORDERS)): [item, limit]}, {"in": [item, self._some_of(NUMBERS)]})
            )
        literal = choose(TEXTS)
        return choose(
            (
                *({choose(COMPARISONS): [item, literal]}, {"in": [item, self._some_of(TEXTS)]}),
                *({"starts_with": [item, literal]}, {"ends_with": [item, literal]}, {"in": [literal, item]}),
                {"sem_ver": [item, choose(RELATIONS), choose(VERSIONS)]},
            )
        )

    # -- values ---------------------------------------------------------------------------------------------

    def _text(self, depth: int) -> Any:
        choose = self.random.choice
        if depth <= 0 or self.random.random() < 0.6:
            return var(choose(TEXT)) if self.random.random() < 0.7 else choose(TEXTS)
        parts = self._one_of(self._text, self._text, self._number)
        made = (
            {"cat": [parts(depth - 1) for _ in range(self.random.randint(1, 3))]},
            {
                "substr": [
                    self._text(depth - 1),
                    choose((0, 1, 2, -1, -3, -9, 9)),
                    *choose(([], [1], [3], [-1])),
                ]
            },
            {"if": [self._condition(depth - 1), self._text(depth - 1), self._text(depth - 1)]},
            {"var": [choose((*TEXT, "absent")), choose(TEXTS)]},
        )
        return choose(made)

    def _number(self, depth: int) -> Any:
        choose = self.random.choice
        if depth <= 0 or self.random.random() < 0.6:
            return var(choose(NUMBER)) if self.random.random() < 0.7 else choose(NUMBERS)
        name = choose(("+", "-", "*", "/", "%", "min", "max"))
        count = self.random.randint(1, 3) if name in ("+", "*", "min", "max") else 2
        made = (
            {name: [self._number(depth - 1) for _ in range(count)]},
            {"var": [choose((*NUMBER, "absent")), choose(NUMBERS)]},
            {"if": [self._condition(depth - 1), self._number(depth - 1), self._number(depth - 1)]},
            {"reduce": [var("levels"), {"+": [var("current"), var("accumulator")]}, 0]},
        )
        return choose(made)

    def _list(self, depth: int) -> Any:
        return self._list_of(self.random.random() < 0.6, depth)

    def _list_of(self, of_text: bool, depth: int) -> Any:
        choose = self.random.choice
        names, items = (TEXT_LISTS, TEXTS) if of_text else (NUMBER_LISTS, NUMBERS)
        if depth <= 0 or self.random.random() < 0.6:
            return var(choose(names)) if self.random.random() < 0.8 else self._some_of(items)
        mapped: Any = {"cat": [var(""), choose(("", "x"))]} if of_text else {"+": [var(""), choose((1, 0.5))]}
        inner = self._list_of(of_text, depth - 1)
        return choose(
            (
                {"filter": [inner, self._element_condition(of_text, 0)]},
                {"map": [inner, mapped]},
                {"merge": [inner, choose((self._some_of(items), choose(items)))]},
                {"var": [choose((*names, "absent")), self._some_of(items)]},
            )
        )

    def _some_of(self, items: tuple[Any, ...]) -> list[Any]:
        return self.random.sample(items, self.random.randint(0, 3))

    def _one_of(self, *makers: Callable[[int], Any]) -> Callable[[int], Any]:
        return self.random.choice(makers)
