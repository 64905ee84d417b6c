"""Values of units, such as campaigns, beside the base values that SQL reads."""

import json
import logging
import time

import pytest
from tests.mirror.test_base_values import CREATE, Ads
from tests.waiting import eventually

from windsock.errors import ConfigurationError, DatabaseUnfitError, MirrorError
from windsock.evaluator import FlagEvaluator
from windsock.flags import merge, read_document
from windsock.mirror import base_tables

pytestmark = pytest.mark.usefixtures("looking_often")

HALF = {"fractional": [["stricter", 50], ["base", 50]]}


@pytest.fixture
def campaigns(world):
    """Make campaigns, by id, of an account; the mirror may read them as its role."""
    world.execute("create table campaigns (id text primary key, account text)")
    world.execute("grant select on campaigns to windsock_mirror")

    def campaigns(*ids, account=None):
        for each in ids:
            world.execute("insert into campaigns values (%s, %s)", each, account)

    return campaigns


@pytest.fixture
def git(tmp_path):
    folder = tmp_path / "flagd"
    folder.mkdir()

    def write(targeting, stricter=None, arms=None):
        variants = {"base": {"k": 1}, "stricter": stricter or {"k": 2}}
        flags = {"bids": flag(variants, targeting)}
        if arms is not None:
            flags["bids.experiment"] = flag(arms, {"fractional": [[arm, 50] for arm in arms]})
        (folder / "ads.flagd.json").write_text(json.dumps({"flags": flags}))
        return folder

    return write


def flag(variants, targeting):
    default = next(iter(variants))
    return {"state": "ENABLED", "variants": variants, "defaultVariant": default, "targeting": targeting}


def options(folder, **more):
    return {
        "settings": (Ads,),
        "learning_config": ("bids",),
        "units": ("bids:campaigns",),
        "git_folder": folder,
    } | more


def own(world, table="learning_config_units"):
    return {(unit, key): value for unit, key, value in world.execute(f"select unit, key, value from {table}")}


def chosen(folder, ids, variant="stricter"):
    """The ids that the flag gives a variant, by the evaluator that services use."""
    evaluator = FlagEvaluator()
    evaluator.load(merge([read_document((folder / "ads.flagd.json").read_bytes(), "ads")]))
    rule = evaluator.compiled["bids"].evaluate
    return {
        each for each in ids if rule({"targetingKey": each, "environment": "production"}).variant == variant
    }


def test_a_unit_has_a_row_for_each_field_that_differs_and_no_other(world, git, campaigns):
    ids = [f"c{number}" for number in range(40)]
    campaigns(*ids)
    folder = git(HALF, stricter={"k": 2, "limit": 50})
    world.mirror(**options(folder)).once()
    expected = chosen(folder, ids)
    assert 0 < len(expected) < 40
    assert own(world) == {(each, key): value for each in expected for key, value in (("k", 2), ("limit", 50))}
    git({"if": [False, "stricter"]})
    world.mirror(**options(folder)).once()
    assert own(world) == {}


def test_an_attribute_of_the_unit_can_decide(world, git, campaigns):
    campaigns("c1", "c2", account="act_1")
    campaigns("c3", account="act_2")
    campaigns("c4")
    world.mirror(**options(git({"if": [{"==": [{"var": "account"}, "act_1"]}, "stricter"]}))).once()
    assert own(world) == {("c1", "k"): 2, ("c2", "k"): 2}


def test_an_arm_of_the_experiment_counts(world, git, campaigns):
    ids = [f"c{number}" for number in range(40)]
    campaigns(*ids)
    world.mirror(**options(git(None, arms={"control": {}, "more": {"limit": 99}}))).once()
    found = own(world)
    assert 0 < len(found) < 40
    assert {(key, value) for (_, key), value in found.items()} == {("limit", 99)}


def test_units_that_come_and_go_are_followed(*, world, git, campaigns, watching):
    folder = git({"if": [{"in": [{"var": "targetingKey"}, ["c1", "c2"]]}, "stricter"]})
    watching(world.mirror(**options(folder, poll_seconds=0.1)))
    eventually(
        lambda: world.execute("select 1 from learning_config where key = 'k' and revision is not null")
    )
    campaigns("c1", "c2", "c3")
    eventually(lambda: own(world) == {("c1", "k"): 2, ("c2", "k"): 2})
    world.execute("delete from campaigns where id = 'c1'")
    eventually(lambda: own(world) == {("c2", "k"): 2})


@pytest.mark.slow
def test_a_step_of_a_rollout_needs_no_change_of_the_file(*, world, git, campaigns, watching):
    campaigns("c1")
    begins = int(time.time()) + 3
    folder = git({"if": [{"<": [{"var": "$flagd.timestamp"}, begins]}, "base", "stricter"]})
    watching(world.mirror(**options(folder, poll_seconds=0.1)))
    eventually(lambda: world.execute("select value from learning_config where key = 'k'") == [(2,)])
    assert own(world) == {}, "the base has it too"


def test_an_edit_by_hand_is_undone_and_a_strangers_row_stays(*, world, git, campaigns, watching, messages):
    campaigns("c1")
    world.execute("insert into learning_config_units (unit, key, value) values ('c1', 'theirs', '1')")
    folder = git({"if": [{"==": [{"var": "targetingKey"}, "c1"]}, "stricter"]})
    watching(world.mirror(**options(folder, poll_seconds=0.1)))
    wanted = {("c1", "k"): 2, ("c1", "theirs"): 1}
    eventually(lambda: own(world) == wanted)
    world.execute("update learning_config_units set value = '7' where key = 'k'")
    eventually(lambda: own(world) == wanted)
    eventually(lambda: any("changed by hand (k of c1)" in each for each in messages()))


def test_verify_compares_and_without_units_their_rows_go(world, git, campaigns):
    campaigns("c1")
    folder = git({"if": [{"==": [{"var": "targetingKey"}, "c1"]}, "stricter"]})
    world.mirror(**options(folder)).once()
    assert world.mirror(**options(folder)).differences() == ()
    (line,) = world.mirror(**options(folder, units=())).differences()
    assert line == "public.learning_config, unit c1, key k: differs from the flag bids"
    world.mirror(**options(folder, units=())).once()
    assert own(world) == {}


def test_an_arm_that_does_not_fit_is_named_and_everything_stays(world, git, campaigns, messages):
    campaigns("c1")
    rule = {"if": [{"==": [{"var": "targetingKey"}, "c1"]}, "stricter"]}
    world.mirror(**options(git(rule))).once()
    world.mirror(**options(git(rule, stricter={"k": 3, "limit": 1}))).once()
    assert own(world) == {("c1", "k"): 2}
    assert any("Ads.limit" in each for each in messages(logging.ERROR))


def test_another_table_has_its_units_beside_it(world, git, campaigns):
    campaigns("c1")
    world.execute(CREATE.format("tuning"))
    folder = git({"if": [{"==": [{"var": "targetingKey"}, "c1"]}, "stricter"]})
    told = options(folder, learning_config=("bids:tuning",))
    with pytest.raises(
        DatabaseUnfitError, match=r"no table public\.tuning_units for values of units: create it \(unit"
    ):
        world.mirror(**told).once()
    world.execute(
        "create table tuning_units (unit text, key text, value jsonb, revision text, updated_at timestamptz,"
        " primary key (unit, key))"
    )
    world.mirror(**told).once()
    assert own(world, "tuning_units") == {("c1", "k"): 2}


def test_more_units_than_there_may_be_are_refused(world, git, campaigns, monkeypatch):
    monkeypatch.setattr(base_tables, "MAX_UNITS", 2)
    campaigns("c1", "c2", "c3")
    with pytest.raises(MirrorError, match="more than 2 units: name a view of fewer"):
        world.mirror(**options(git(None))).once()


@pytest.mark.parametrize("units", ["bids", "bids:", "bids:a.b.c"])
def test_units_that_name_no_table_are_refused(world, git, units):
    with pytest.raises(ConfigurationError, match="names no table"):
        world.mirror(**options(git(None), units=(units,)))


def test_units_of_a_flag_that_has_no_table_are_refused(world, git):
    with pytest.raises(
        ConfigurationError, match=r"--units elsewhere:campaigns: .*--learning-config elsewhere"
    ):
        world.mirror(**options(git(None), units=("elsewhere:campaigns",)))


def test_a_table_of_units_that_is_not_there_is_said(world, git):
    with pytest.raises(
        DatabaseUnfitError, match=r"no table public\.campaigns for units: create it \(id text"
    ):
        world.mirror(**options(git(None))).once()
