"""One rule for one context in every flagd evaluator, each beside windsock with the same bucketing."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.evaluator.oracles import NpmCore, python_core, python_result, windsock_result
from tests.flagd_server import FlagdServer, flagd_binary

from windsock.evaluator import FlagEvaluator


@dataclass(frozen=True)
class Answers:
    """What each evaluator makes of a rule for a context: a variant, an error code or None.

    Attributes:
        rule: The rule.
        context: The context.
        v2: By windsock, the npm core and, where there is one, the flagd server, which bucket in one way.
        v3: By windsock and the Python core, which bucket in another.
    """

    rule: Any
    context: Mapping[str, Any]
    v2: Mapping[str, str | None]
    v3: Mapping[str, str | None]

    @property
    def agree(self) -> bool:
        """Whether all evaluators agree."""
        return len(set(self.v2.values())) == len(set(self.v3.values())) == 1


def answers(
    npm: NpmCore, rules: Sequence[Any], variants: Mapping[str, str], contexts: Sequence[Mapping[str, Any]]
) -> Iterator[Answers]:
    """Evaluate every rule for every context."""
    flags = {
        f"flag-{number}": {"state": "ENABLED", "variants": variants, "defaultVariant": "c", "targeting": rule}
        for number, rule in enumerate(rules)
    }
    v2, v3 = ({"flags": flags, "metadata": {"bucketing": bucketing}} for bucketing in ("v2", "v3"))
    mine_v2, mine_v3, core = FlagEvaluator(), FlagEvaluator(), python_core(v3)
    mine_v2.set_flags(v2)
    mine_v3.set_flags(v3)
    of_server = _of_server(v2, contexts)
    for context, of_npm, served in zip(contexts, npm.results(v2, contexts), of_server, strict=True):
        for key, rule in zip(flags, rules, strict=True):
            same = {"windsock": windsock_result(mine_v2, key, context), "npm core": of_npm[key]}
            if served:
                same["flagd server"] = served[key].get("errorCode") or served[key].get("variant")
            other = {
                "windsock": windsock_result(mine_v3, key, context),
                "Python core": python_result(core, key, context),
            }
            yield Answers(rule, context, same, other)


def _of_server(document: Mapping[str, Any], contexts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each context the server's result of every flag; empty without a server."""
    if flagd_binary() is None:
        return [{} for _ in contexts]
    with tempfile.TemporaryDirectory() as folder, FlagdServer.serving(Path(folder), document) as server:
        return [server.evaluate_all(context) for context in contexts]
