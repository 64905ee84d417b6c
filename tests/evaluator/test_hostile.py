"""Rules and contexts made to cost: an error soon, in bounded memory, and never an exception."""

import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from types import MappingProxyType

import pytest
from django.utils.functional import SimpleLazyObject
from openfeature.exception import ErrorCode
from tests.evaluator.costly_inputs import CostlyInputs
from tests.processor import at_most
from werkzeug.local import LocalProxy

from windsock.evaluator import CompiledFlag, Outcome
from windsock.evaluator.values import plain
from windsock.evaluator.work_limit import MAX_STEPS, begin, steps_spent
from windsock.flags import read_document

TEN = list("abcdefghij")
IDS = [f"id-{number}" for number in range(20_000)]
ITEM = {"var": ""}


def compiled(rule: object, **metadata: str) -> CompiledFlag:
    flag = {"variants": {"a": 1, "true": 2}, "defaultVariant": "a", "targeting": rule, "metadata": metadata}
    document = read_document(json.dumps({"flags": {"f": flag}}).encode(), "f.flagd.json")
    assert document.problems == ()
    return CompiledFlag(document.flags["f"])


def outcome(rule: object, **context: object) -> Outcome:
    return compiled(rule).evaluate(context)


def nested(wrap: Callable[[object], object], innermost: object) -> object:
    rule = innermost
    for _ in range(9):
        rule = wrap(rule)
    return rule


BOMBS = {
    "map": nested(lambda rule: {"map": [TEN, rule]}, ITEM),
    "filter": nested(lambda rule: {"filter": [TEN, rule]}, {"==": [ITEM, "a"]}),
    "all": nested(lambda rule: {"all": [TEN, rule]}, {"!==": [ITEM, "z"]}),
    "some": nested(lambda rule: {"some": [TEN, rule]}, {"==": [ITEM, "z"]}),
    "none": nested(lambda rule: {"none": [TEN, {"!": [rule]}]}, {"!==": [ITEM, "z"]}),
    "reduce": nested(lambda rule: {"reduce": [TEN, {"cat": [rule, ""]}, ""]}, {"var": "accumulator"}),
    "text-of-texts": {"map": [IDS, {"cat": ["x" * 100_000, ITEM]}]},
    "growing-text": {
        "reduce": [["a" * 100] * 20_000, {"cat": [{"var": "accumulator"}, {"var": "current"}]}, ""]
    },
    "merged-lists": {"map": [IDS, {"merge": [IDS, ITEM]}]},
    "search-in-mixed-list": {"all": [IDS, {"in": [ITEM, [*reversed(IDS), 1]]}]},
    "search-in-text": {"all": [["no"] * 20_000, {"!": [{"in": [ITEM, "x" * 100_000]}]}]},
    "extreme": {"map": [IDS, {"max": list(range(20_000))}]},
    "solved-each-time": {"all": [IDS, {"or": [{"var": "other"}, {"in": [ITEM, IDS]}]}]},
    "list-by-list": {"contains_none": [IDS, [f"other-{number}" for number in range(20_000)]]},
}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", BOMBS)
def test_a_rule_that_never_ends_ends_as_an_error(name: str) -> None:
    found = outcome(BOMBS[name], other=0)
    assert found.error_code is ErrorCode.PARSE_ERROR
    assert f"more than {MAX_STEPS:,} steps" in str(found.error_message)


@pytest.mark.timeout(120)
def test_a_rule_that_the_context_brings_ends_too() -> None:
    twice = {f"x{n}": {"cat": [{"if": [1, {"var": f"x{n + 1}"}]}] * 2} for n in range(40)}
    found = outcome({"if": [True, {"var": "x0"}]}, **twice, x40="a")
    assert f"more than {MAX_STEPS:,} steps" in str(found.error_message)
    loop = {"if": [True, {"var": "x"}]}
    assert outcome(loop, x=loop).error_code is ErrorCode.PARSE_ERROR


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("levels", "size", "bounds"),
    [(5, 100_000, ("cat joins at most", "merge joins at most")), (16, 1_000, ("steps", "steps"))],
)
def test_what_doubles_is_bounded_in_memory(levels: int, size: int, bounds: tuple[str, str]) -> None:
    text: object = {"var": "text"}
    items: object = {"var": "items"}
    for _ in range(levels):  # shared rules make such a rule small to write
        text, items = {"cat": [text, text]}, {"merge": [items, items]}
    flag = read_document(b'{"flags": {"f": {"variants": {"a": 1}, "targeting": {"var": "x"}}}}', "f").flags[
        "f"
    ]
    for rule, bound in zip((text, items), bounds, strict=True):
        context = {"text": "x" * size, "items": [0] * size}
        found = CompiledFlag(type(flag)("f", True, {"a": 1}, None, rule, {})).evaluate(context)
        assert bound in str(found.error_message)


def in_itself(wrap: Callable[[object], object]) -> object:
    """An object or list that holds itself."""
    inner: list[object] = []
    made = wrap(inner)
    inner.extend([made] * 3)
    return made


def shared(wrap: Callable[[object], object]) -> object:
    """Few objects in memory that are a million million values when they are written out."""
    made: object = 0
    for _ in range(40):
        made = wrap([made, made])
    return made


HOLDERS = {
    "operator": lambda inner: {"cat": inner},
    "object": lambda inner: {"a": inner, "b": inner},
    "list": lambda inner: inner,
}


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("made", [in_itself, shared], ids=lambda made: made.__name__)
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(
    "rule",
    [
        {"var": "x"},
        {"if": [True, {"var": "x"}]},
        {"if": [True, {"set": [{"var": "y"}, "k", {"var": "x"}]}]},
        {"fractional": [{"var": "x"}, ["a", 1], ["true", 1]]},
        {"some": [[1, 2], {"or": [{"var": "x"}, {"==": [ITEM, 3]}]}]},
        {"contains_any": [{"var": "x"}, {"var": "x"}]},
    ],
    ids=json.dumps,
)
def test_an_attribute_that_holds_itself_is_walked_no_further_than_the_steps_last(
    made: Callable[..., object], holder: str, rule: object
) -> None:
    found = compiled(rule, bucketing="v3").evaluate({"x": made(HOLDERS[holder]), "y": {}})
    assert (found.error_code is None) == (found.error_message is None)
    assert found.variant in (None, "a", "true")


READS_TEXT = [
    {"<": [{"var": "a"}, 1]},
    {"==": [1, {"var": "a"}]},
    {"+": [{"var": "a"}, 1]},
    {"max": [{"var": "a"}, {"var": "b"}]},
    {"in": [1, [{"var": "a"}, {"var": "b"}]]},
    {"in": [{"var": "a"}, {"var": "b"}]},
    {"cat": [{"var": "a"}, {"var": "b"}]},
    {"substr": [{"var": "a"}, {"var": "b"}, {"var": "a"}]},
    {"sem_ver": [{"var": "a"}, ">", {"var": "b"}]},
    {"ends_with": [{"var": "a"}, {"var": "b"}]},
    {"fractional": [{"cat": [{"var": "a"}, {"var": "b"}]}, ["a", 1], ["true", 1]]},
    {"var": {"var": "a"}},
    {"if": [True, {"var": "a"}]},
]


@pytest.mark.parametrize("rule", READS_TEXT, ids=json.dumps)
def test_long_text_takes_milliseconds_whatever_reads_it(rule: object) -> None:
    flag, inputs = compiled(rule), CostlyInputs(random.Random(json.dumps(rule)))
    texts = ["0x" + "f" * 16_000, *(inputs.text() for _ in range(150))]
    for text in texts:
        with at_most(0.5):
            flag.evaluate({"a": text, "b": inputs.text()})


@contextmanager
def calls_counted() -> Iterator[Counter[str]]:
    """Count the calls of functions in a block, C's too: what takes long, however busy the machine is."""
    calls: Counter[str] = Counter()

    def count(_: object, event: str, __: object) -> None:
        calls[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


A = {"var": "a"}
REPEATED = [{"merge": [A] * 1200}, [A] * 1200]
"""Rules of 18 kB that multiply an attribute."""

EACH_LINEAR = [
    {"missing": A},
    {"in": [3, A]},
    {"in": ["no", A]},
    {"!": [{"max": A}]},
    {"!": [{"+": A}]},
    {"!": [{"cat": A}]},
    {"!": [{"merge": A}]},
    {"contains_any": [A, ["no"]]},
]
"""Operators that read a list to its end."""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("attribute", [[0] * 5000, ["x"] * 4000, "\x00" * 16_000])
@pytest.mark.parametrize(
    "rule",
    [
        *REPEATED,
        *({name: REPEATED[0]} for name in ("max", "+", "cat", "missing", "fractional")),
        {"in": [3, REPEATED[0]]},
        *({"or": [each] * 700} for each in EACH_LINEAR),
    ],
    ids=lambda rule: json.dumps(rule)[:24],
)
def test_a_rule_that_multiplies_an_attribute_is_stopped_or_cheap(rule: object, attribute: object) -> None:
    flag = compiled(rule)
    begin()
    said = str(flag.evaluate({"a": attribute}).error_message)
    stopped = any(bound in said for bound in ("merge joins at most", "cat joins at most", "steps"))
    assert stopped or steps_spent() <= MAX_STEPS // 100
    multiplies = isinstance(attribute, list) and "merge" in json.dumps(rule)
    assert stopped or not multiplies, "it makes millions of values"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_operators_inside_each_other_do_nothing_that_no_step_counts() -> None:
    stopped = 0
    for seed in range(250):
        inputs = CostlyInputs(random.Random(seed))
        flag, context = compiled(inputs.rule(3)), inputs.context()
        begin()
        with calls_counted() as calls:
            stopped += "steps" in str(flag.evaluate(context).error_message)
        assert calls.total() <= 20 * (min(steps_spent(), MAX_STEPS) + 1_000), seed
    assert stopped >= 3, "the inputs must be costly enough to meet the bound"


def test_a_long_rule_over_short_attributes_can_be_evaluated_again_and_again() -> None:
    flag = compiled({"or": [{"in": ["no", A]}, {"starts_with": [{"var": "b"}, "x"]}] * 300})
    for _ in range(MAX_STEPS // 10_000):  # if steps added up, they would be spent by then
        assert flag.evaluate({"a": ["x"] * 40, "b": "y"}).variant is None


@pytest.mark.slow
def test_a_rule_within_its_steps_can_be_evaluated_again_and_again() -> None:
    flag = compiled({"all": [[*IDS, *IDS], {"and": [{"!==": [ITEM, "z"]}, {"!==": [ITEM, "y"]}]}]})
    for _ in range(20):  # each takes a twentieth of the steps and more
        assert flag.evaluate({}).variant == "true"


def test_a_list_in_a_condition_is_looked_up_not_walked_for_each_element() -> None:
    ids = [f"id-{number}" for number in range(MAX_STEPS // 4)]
    assert outcome({"all": [ids[:100], {"in": [ITEM, ids]}]}).variant == "true"


class Endless(Sequence[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, position: int) -> int:  # type: ignore[override]
        return position


def many_in_one(depth: int) -> tuple[object, ...]:
    made: tuple[object, ...] = (0,)
    for _ in range(depth):
        made = (made,) * 10
    return made


@pytest.mark.parametrize(
    "value",
    [range(10**12), Endless(), many_in_one(30), MappingProxyType({"x": range(10**12)})],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "rule", [{"in": [1, {"var": "x"}]}, {"if": [{"in": [{"var": "x"}, ["a"]]}, "a"]}], ids=str
)
@pytest.mark.slow
def test_an_attribute_larger_than_memory_is_an_error(rule: object, value: object) -> None:
    assert "at most 1,000,000 values" in str(outcome(rule, x=value).error_message)


@pytest.mark.parametrize(
    "value",
    [
        10**5000,
        -(10**400),
        float("nan"),
        float("inf"),
        "1" * 100_000,
        "1.2.3-" + "a." * 100_000,
        "\ud800",
        {1: {2: 3}},
        [float("nan"), None, {1}],
        b"bytes",
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "rule",
    [
        {"var": "x"},
        {"==": [{"var": "x"}, 1]},
        {"<": [1, {"var": "x"}]},
        {"+": [{"var": "x"}, 1]},
        {"%": [{"var": "x"}, 7]},
        {"cat": ["a", {"var": "x"}]},
        {"substr": ["abc", {"var": "x"}, {"var": "x"}]},
        {"sem_ver": [{"var": "x"}, "=", "1.2.3"]},
        {"in": [{"var": "x"}, ["a", "1"]]},
        {"in": ["a", {"var": "x"}]},
        {"some": [{"var": "x"}, {"==": [{"var": ""}, 1]}]},
        {"fractional": [{"var": "x"}, ["a", 1], ["true", 1]]},
        {"fractional": [["a", {"var": "x"}], ["true", 1]]},
        {"var": {"var": "x"}},
        {"if": [True, {"var": "x"}]},
    ],
    ids=json.dumps,
)
def test_odd_values_give_an_outcome(rule: object, value: object) -> None:
    found = outcome(rule, x=value, targetingKey=value)
    assert (found.error_code is None) == (found.error_message is None)
    assert found.variant in (None, "a", "true")


@pytest.mark.parametrize("lazy", [LocalProxy, SimpleLazyObject], ids=["werkzeug", "django"])
@pytest.mark.parametrize("value", [None, True, False, 7, 2.5, Decimal("2.5"), "a", ["a"], {"b": 1}], ids=repr)
def test_a_lazy_attribute_is_what_it_stands_for(
    lazy: Callable[[Callable[[], object]], object], value: object
) -> None:
    """Flask's and Django's say that they are of the class of what they stand for."""
    assert plain(lazy(lambda: value)) == plain(value)
    assert type(plain(lazy(lambda: value))) is type(plain(value))
    assert plain((lazy(lambda: value),)) == [plain(value)]
