"""Fuzzes the loader, the linter and the evaluator, guided by coverage (atheris, which is libFuzzer).

    uv run --with atheris python -m bench.fuzz --seconds 600 --out bench/results/fuzz.md

Each target takes a quarter of the seconds. A finding is any exception but the family's own, an input that
takes longer than 10 s, an evaluation that takes more than 5 s of the processor, or more than 1 GB of memory:
the run ends with status 1, and the input is kept in the folder that it names. `python -m bench.fuzz json
FILE` replays one.
"""

import argparse
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

SECONDS_EACH = 10
SECONDS_EVALUATION = 5.0  # under coverage, which makes Python about five times slower
MEGABYTES = 1024
LONGEST = 16_384
ROOT = Path(__file__).parent.parent

WORDS = [
    *("flags", "state", "ENABLED", "DISABLED", "variants", "defaultVariant", "targeting", "metadata", "$ref"),
    *("$evaluators", "if", "in", "var", "fractional", "sem_ver", "starts_with", "ends_with", "cat", "and"),
    *("or", "!", "!!", "==", "===", "!=", "<", "<=", "+", "-", "*", "/", "%", "min", "max", "merge", "map"),
    *("filter", "reduce", "all", "some", "none", "missing", "missing_some", "substr", "set", "abs", "log"),
    *("contains_all", "contains_any", "$flagd.timestamp", "$flagd.flagKey", "targetingKey", "bucketing"),
    *("v2", "v3", "1e999", "9007199254740993", "- &a", "*a", "<<: *a", "!!binary"),
]

CONTEXTS: list[dict[str, object]] = [
    {},
    {"targetingKey": "user-1", "tier": "gold", "age": 7, "roles": ["a", 1, None], "company": {"size": 2.5}},
    {"targetingKey": 7, "tier": float("nan"), "age": 10**30, "roles": "a", "company": [[]], "email": b"x"},
]


def document(data: bytes, source: str) -> None:
    """Read bytes as a flag file, lint it, and evaluate every flag of it."""
    from windsock.errors import FlagFileError
    from windsock.evaluator import FlagEvaluator
    from windsock.flags import merge, read_document
    from windsock.lint.linter import lint

    lint(data, source)
    try:
        read = read_document(data, source)
    except FlagFileError as error:
        assert str(error).startswith(source)  # noqa: PT017 - not every input is refused
        return
    evaluator = FlagEvaluator()
    evaluator.load(merge([read, read]))
    evaluate(evaluator)


def rule(data: bytes) -> None:
    """Let the bytes choose rules and contexts of the differential tests' grammar."""
    from tests.evaluator.wild_rules import WildRules

    from windsock.lint.portable.search import find_in_rule

    rules = WildRules(steered(data))
    made = [rules.rule(5), rules.rule(5)]
    for each in made:
        list(find_in_rule(each))
    evaluate(serving(made), rules.context(), rules.context())


def costly(data: bytes) -> None:
    """Let the bytes choose long text, long lists and operators inside each other."""
    from tests.evaluator.costly_inputs import CostlyInputs

    inputs = CostlyInputs(steered(data))
    evaluate(serving([inputs.rule(4), inputs.rule(2)]), inputs.context(), inputs.context())


def steered(data: bytes) -> random.Random:
    """A source of choices that takes them from the bytes."""
    import atheris

    class Steered(random.Random):
        given = atheris.FuzzedDataProvider(data)

        def random(self) -> float:
            return float(self.given.ConsumeIntInRange(0, 65_535)) / 65_536

        def getrandbits(self, k: int, /) -> int:
            return int(self.given.ConsumeIntInRange(0, 2**k - 1))

    return Steered(0)


def serving(rules: list[object]) -> object:
    """An evaluator with a flag for each of the rules, in both kinds of bucketing by turns."""
    from tests.evaluator.wild_rules import VARIANTS

    from windsock.evaluator import FlagEvaluator

    evaluator = FlagEvaluator()
    flags = {
        f"flag-{number}": {
            "variants": VARIANTS,
            "defaultVariant": "c",
            "targeting": each,
            "metadata": {"bucketing": ("v2", "v3")[number % 2]},
        }
        for number, each in enumerate(rules)
    }
    evaluator.set_flags({"flags": flags})
    return evaluator


def evaluate(evaluator: object, *more: dict[str, object]) -> None:
    """Evaluate every flag for some contexts, by the clock."""
    for compiled in evaluator.compiled.values():
        for context in (*CONTEXTS, *more):
            began = time.process_time()
            outcome = compiled.evaluate(context)
            assert time.process_time() - began < SECONDS_EVALUATION
            assert outcome.variant is None or outcome.variant in compiled.flag.variants
            assert (outcome.error_code is None) == (outcome.error_message is None)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": lambda data: document(data, "fuzz.flagd.json"),
    "yaml": lambda data: document(data, "fuzz.flagd.yaml"),
    "rule": rule,
    "costly": costly,
}


def fuzz(target: str, arguments: list[str]) -> None:
    """Be the process that libFuzzer runs in; it does not come back."""
    import atheris

    with atheris.instrument_imports(include=["windsock.flags", "windsock.evaluator"]):
        import windsock.evaluator
        import windsock.lint.linter
        import windsock.lint.portable.search  # noqa: F401 - imported to be instrumented
    atheris.Setup([f"fuzz-{target}", *arguments], TARGETS[target])
    atheris.Fuzz()


@dataclass(frozen=True)
class Result:
    """How one target ended."""

    target: str
    status: int
    inputs: str
    edges: str
    kept: str
    last: str


def run(target: str, seconds: int, seed: int, folder: Path) -> Result:
    """Run one target in a process of its own, over a corpus that begins with the repository's flag files."""
    corpus = folder / f"corpus-{target}"
    corpus.mkdir()
    for number, path in enumerate(sorted(ROOT.glob("**/*.flagd.json"))):
        if ".venv" not in path.parts and target in ("json", "yaml"):
            (corpus / f"seed-{number}").write_bytes(path.read_bytes()[:LONGEST])
    words = folder / "words.dict"
    words.write_text(
        "".join(json.dumps(word, ensure_ascii=True) + "\n" for word in WORDS if "\\" not in word)
    )
    options = {
        "max_total_time": seconds,
        "seed": seed,
        "timeout": SECONDS_EACH,
        "rss_limit_mb": MEGABYTES,
        "max_len": LONGEST,
        "dict": words,
        "artifact_prefix": f"{folder}/found-{target}-",
    }
    command = [sys.executable, "-m", "bench.fuzz", target, str(corpus)]
    command += [f"-{name}={value}" for name, value in options.items()]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    figures = re.findall(r"#(\d+)\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)/", done.stderr)
    inputs, edges, kept = figures[-1] if figures else ("0", "0", "0")
    return Result(target, done.returncode, inputs, edges, kept, done.stderr[-3000:])


def page(results: list[Result], options: argparse.Namespace) -> str:
    """The account that is committed."""
    rows = "\n".join(
        f"| {each.target} | {int(each.inputs):,} | {each.edges} | {each.kept} |"
        f" {'yes' if each.status else 'none'} |"
        for each in results
    )
    versions = f"atheris {version('atheris')}, windsock {version('windsock')}, nice {os.nice(0)}"
    return f"""# Fuzzing, guided by coverage

```sh
uv run --with atheris python -m bench.fuzz --seconds {options.seconds} --seed {options.seed}
```

json and yaml: any bytes, linted, read as a flag file, and every flag evaluated. rule: rules and contexts of
the differential tests' grammar. costly: long text, long lists, operators inside each other. A finding is any
exception but the family's own, an input that takes longer than {SECONDS_EACH} s, an evaluation that takes
more than {SECONDS_EVALUATION:g} s of the processor, or more than {MEGABYTES} MB.

| target | inputs | edges covered | inputs kept | findings |
|---|--:|--:|--:|---|
{rows}

{time.strftime("%Y-%m-%d")}, CPython {platform.python_version()}, {versions}.
"""


def main() -> int:
    """Run every target."""
    if sys.argv[1:] and sys.argv[1] in TARGETS:
        fuzz(sys.argv[1], sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="windsock-fuzz-"))
    results = [run(target, options.seconds // len(TARGETS), options.seed, folder) for target in TARGETS]
    text = page(results, options)
    print(text)
    for each in results:
        if each.status:
            print(f"{each.target}: a finding, in {folder}\n{each.last}")
    if options.out is not None:
        options.out.write_text(text)
    return int(any(each.status for each in results))


if __name__ == "__main__":
    sys.exit(main())
