"""What stands in a plan: each flag at the file that holds it afterwards, and findings beyond a limit."""

import json

from tests.processor import at_most

from windsock.flagfiles.files import FlagFile
from windsock.gitops.plan import Limits, PlanRequest, make
from windsock.gitops.plan_text import text
from windsock.gitops.population import synthetic


def file(path: str, **flags: bool) -> FlagFile:
    content = {
        "flags": {
            key: {
                "state": "ENABLED",
                "variants": {"on": True, "off": False},
                "defaultVariant": "on" if on else "off",
            }
            for key, on in flags.items()
        }
    }
    return FlagFile(path, json.dumps(content).encode())


def request(before: list[FlagFile], after: list[FlagFile], max_moved: float | None = None) -> PlanRequest:
    return PlanRequest("0" * 40, before, after, synthetic(10, "production"), limits=Limits(max_moved))


def test_a_flag_that_moves_to_another_file_is_reported_there():
    before = [file("a", f=False, g=False), file("b", h=False)]
    made = make(request(before, [file("a", g=False), file("b", f=True, h=False)]))
    told = {step.path: [impact.flag for impact in step.impacts] for step in made.steps}
    assert told == {"a": [], "b": ["f"]}


def test_as_many_as_the_limit_may_move_and_no_more():
    before, after = [file("a", f=False)], [file("a", f=True)]
    assert make(request(before, after, 1.0)).findings == ()
    [finding] = make(request(before, after, 0.99)).findings
    assert "moves 100.00% of the population, more than 99.00%" in finding


def test_a_line_is_told_of_the_flag_with_the_longest_name():
    after = {"a": True, "a/b": True, "a b": True}
    told = list(text(make(request([file("x")], [file("x", **after)]))))
    for flag in after:
        assert [line for line in told if line.startswith(f"      + {flag}  ")] == [
            f"      + {flag}  on = true, off = false; on by default"
        ]


def test_ten_thousand_flags_and_a_thousand_files_take_seconds():
    flags = {f"f{number}": True for number in range(10_000)}
    files = [file(f"x{number}", **{f"g{number}": True}) for number in range(1_000)]
    with at_most(10):
        made = make(request([file("x")], [file("x", **flags), *files]))
        told = list(text(made))
    assert len(told) == 1_001 + 3 * 11_000
