"""Rules and contexts that every flagd evaluates alike, from one seed: nothing of the portable list in them."""

import random
from dataclasses import dataclass
from typing import Any

RELATIONS = ("=", "!=", "<", "<=", ">", ">=", "^", "~")


@dataclass(frozen=True)
class PortableRules:
    """Rules outside the list of ``windsock.lint.portable.search``.

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
            return choose(({"var": "beta"}, {"==": [{"var": "beta"}, True]}))
        if pick < 0.7:
            return {
                "sem_ver": [{"var": "version"}, choose(RELATIONS), choose(("1.2.3", "2.0.0", "1.2.3-rc.1"))]
            }
        if pick < 0.85:
            return {choose((">", "<")): [{"var": "$flagd.timestamp"}, choose((1_000_000_000, 4_000_000_000))]}
        return {"===": [{"var": choose(("tier", "country"))}, None]}

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
