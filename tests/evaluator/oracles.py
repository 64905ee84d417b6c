"""The other flagd evaluators, to compare with: flagd-core from PyPI, flagd-core from npm, a flagd server.

A result is the variant, or the error code where there is one; both are what a user notices.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from tests.node_packages import node_packages_unavailable

from windsock.evaluator import FlagEvaluator

NODE_FOLDER = Path(__file__).parent / "node"


def windsock_result(evaluator: FlagEvaluator, key: str, context: Mapping[str, Any]) -> str | None:
    """What windsock gives."""
    outcome = evaluator.compiled[key].evaluate(context)
    return str(outcome.error_code.value) if outcome.error_code else outcome.variant


def python_core(document: Mapping[str, Any]) -> FlagdCore:
    """flagd-core from PyPI, serving a document."""
    core = FlagdCore()
    core.set_flags(json.dumps(document))
    return core


def python_result(core: FlagdCore, key: str, context: Mapping[str, Any]) -> str | None:
    """What flagd-core from PyPI gives; an exception that is not OpenFeature's is its class name."""
    attributes = {name: value for name, value in context.items() if name != "targetingKey"}
    try:
        return core.resolve_string_value(
            key, "", EvaluationContext(context.get("targetingKey"), attributes)
        ).variant
    except OpenFeatureError as error:
        return str(error.error_code.value)
    except Exception as error:  # noqa: BLE001 - it lets the operators' own errors out
        return type(error).__name__


def npm_unavailable() -> str | None:
    """Why flagd-core from npm cannot be asked, or None."""
    return node_packages_unavailable(NODE_FOLDER)


class NpmCore:
    """flagd-core from npm in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def results(
        self, document: Mapping[str, Any], contexts: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, str | None]]:
        """For each context the result of every flag."""
        question, answer = self._process.stdin, self._process.stdout
        assert question is not None
        assert answer is not None
        question.write(json.dumps({"document": document, "contexts": list(contexts)}) + "\n")
        question.flush()
        return [
            {key: result.get("errorCode") or result.get("variant") for key, result in results.items()}
            for results in json.loads(answer.readline())
        ]


@contextlib.contextmanager
def npm_core() -> Iterator[NpmCore]:
    """Run flagd-core from npm until the block ends."""
    process = subprocess.Popen(
        ["node", str(NODE_FOLDER / "oracle.js")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield NpmCore(process)
    finally:
        process.communicate(timeout=30)
