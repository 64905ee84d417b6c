"""`windsock rollout` as a program."""

import json

from tests.cli.conftest import boolean


def test_the_rule_is_in_the_file_and_the_rest_is_unchanged(windsock, write):
    path = write({"f": boolean(owner="us"), "g": boolean()})
    assert windsock("fmt").returncode == 0
    before = path.read_text()
    options = ("--to", "50", "--steps", "1,5,50", "--every", "1d", "--start", "2026-12-01T00:00Z")
    done = windsock("rollout", "f", *options, "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(path.read_text())
    assert content["flags"]["f"].pop("targeting") == json.loads(done.stdout)
    assert content == json.loads(before)
    assert windsock("fmt", "--check").returncode == 0, "a file in the common form stays in it"
    assert windsock("lint").returncode == 0


def test_a_dry_run_writes_nothing(windsock, write):
    path = write({"f": boolean()})
    before = path.read_bytes()
    assert windsock("rollout", "f", "--dry-run").returncode == 0
    assert path.read_bytes() == before


def test_the_usual_steps_end_at_to_and_a_start_without_a_zone_is_utc(windsock, write):
    write({"f": boolean()})
    options = ("--to", "20", "--start", "2026-12-01T00:00", "--dry-run")
    done = windsock("rollout", "f", *options, TZ="America/New_York")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "2026-12-01 00:00 UTC    1 % on, 99 % off",
        "2026-12-02 00:00 UTC    5 % on, 95 % off",
        "2026-12-03 00:00 UTC   10 % on, 90 % off",
        "2026-12-04 00:00 UTC   20 % on, 80 % off",
    ]


def test_the_rule_is_shown_in_words_with_the_conditions_that_stay_before_it(windsock, write):
    write({"f": boolean({"if": [{"==": [{"var": "tier"}, "pro"]}, "on"]})})
    done = windsock("rollout", "f", "--steps", "10,100", "--start", "2030-12-01")
    assert done.stdout.splitlines() == [
        'stays first: if tier is "pro": on',
        "2030-12-01 00:00 UTC   10 % on, 90 % off",
        "2030-12-02 00:00 UTC  100 % on",
    ]
    assert "{" not in done.stdout + done.stderr


def test_what_cannot_be_rolled_out(windsock, write):
    write({"f": boolean({"if": [True, "on"]}), "g": boolean()})
    assert "did you mean 'g'" in windsock("rollout", "G").stderr
    assert "has no variant 'green'" in windsock("rollout", "g", "--variant", "green").stderr
    assert "isn't a duration" in windsock("rollout", "g", "--every", "soon").stderr
