"""Base values of a flag in the table that SQL reads."""

import json
import logging

import pytest
from pydantic import Field, SecretStr
from tests.waiting import eventually

import windsock
from windsock.errors import ConfigurationError, DatabaseUnfitError

pytestmark = pytest.mark.usefixtures("looking_often")


class Ads(windsock.Settings, flag="bids"):
    k: float = 0.5
    limit: int = Field(46, ge=10)
    winner_detection: dict[str, float] = {}
    api_key: SecretStr = SecretStr("hush")


DEFAULTS = {"k": 0.5, "limit": 46, "winner_detection": {}}


@pytest.fixture
def git(tmp_path):
    folder = tmp_path / "flagd"
    folder.mkdir()

    def write(values, staging=None):
        flag = {
            "state": "ENABLED",
            "variants": {"base": values, "staging": staging or values},
            "defaultVariant": "base",
            "targeting": {"if": [{"==": [{"var": "environment"}, "staging"]}, "staging"]},
        }
        (folder / "ads.flagd.json").write_text(json.dumps({"flags": {"bids": flag}}))
        return folder

    return write


def rows(world):
    return dict(world.execute("select key, value from learning_config where revision is not null"))


def test_base_values_arrive_follow_the_file_and_leave_other_rows_alone(world, git, watching):
    world.execute("insert into learning_config (key, value) values ('theirs', '1')")
    winner = {"ctr_threshold": 0.03, "min_impressions": 1000}
    folder = git({"winner_detection": winner, "limit": 47})
    watching(world.mirror(settings=(Ads,), learning_config=("bids",), git_folder=folder, poll_seconds=30))
    eventually(lambda: rows(world) == DEFAULTS | {"winner_detection": winner, "limit": 47})
    git({"winner_detection": winner | {"ctr_threshold": 0.04}})
    changed = DEFAULTS | {"winner_detection": winner | {"ctr_threshold": 0.04}}
    eventually(lambda: rows(world) == changed)
    assert world.execute("select value from learning_config where key = 'theirs'") == [(1,)]


def test_the_environment_decides_and_verify_compares(world, git):
    folder = git({"k": 1}, staging={"k": 2})
    options = {
        "settings": (Ads,),
        "learning_config": ("bids",),
        "git_folder": folder,
        "environment": "staging",
    }
    world.mirror(**options).once()
    assert rows(world) == DEFAULTS | {"k": 2}
    assert world.mirror(**options).differences() == ()
    world.execute("update learning_config set value = '3' where key = 'k'")
    (difference,) = world.mirror(**options).differences()
    assert difference.startswith("public.learning_config, key k: differs from")


@pytest.mark.parametrize(
    "content", ["{", '{"flags": {}}', '{"flags": {"bids": {"state": "DISABLED", "variants": {}}}}']
)
def test_a_file_that_cannot_be_used_keeps_the_rows_and_says_so(world, git, messages, content):
    folder = git({"k": 1})
    world.mirror(settings=(Ads,), learning_config=("bids",), git_folder=folder).once()
    (folder / "ads.flagd.json").write_text(content)
    world.mirror(settings=(Ads,), learning_config=("bids",), git_folder=folder).once()
    assert rows(world) == DEFAULTS | {"k": 1}
    assert any("bids" in message for message in messages())


def test_a_missing_table_is_one_alarm_and_profiles_are_published_all_the_same(
    *, world, git, watching, messages
):
    world.execute("drop table learning_config")
    ann, bob = world.user(world.seed), world.user()
    mirror = watching(
        world.mirror(settings=(Ads,), learning_config=("bids",), git_folder=git({"k": 1}), poll_seconds=0.2)
    )
    eventually(lambda: ann in world.served())
    eventually(lambda: messages(logging.ERROR))
    world.assign(bob, world.seed)
    eventually(lambda: bob in world.served())
    assert mirror.status.is_ready
    (alarm,) = messages(logging.ERROR)
    assert "there is no table public.learning_config for base values: run `windsock migrate`" in alarm
    world.execute(CREATE.format("learning_config"))
    eventually(lambda: rows(world) == DEFAULTS | {"k": 1})


CREATE = "create table {} (key text primary key, value jsonb not null, revision text, updated_at timestamptz)"


@pytest.mark.parametrize(
    ("target", "table"),
    [
        ("bids:ads_values", "ads_values"),
        ("bids:tuning.ads", "tuning.ads"),
        ('bids:a "quoted" Name; drop table profiles', '"a ""quoted"" Name; drop table profiles"'),
    ],
)
def test_the_table_can_be_told(world, git, target, table):
    world.execute("create schema tuning")
    world.execute(CREATE.format(table))
    told = world.mirror(settings=(Ads,), learning_config=(target,), git_folder=git({"k": 1}))
    told.once()
    assert dict(world.execute(f"select key, value from {table}")) == DEFAULTS | {"k": 1}
    assert rows(world) == {}
    world.execute(f"update {table} set value = '2' where key = 'k'")
    (difference,) = world.mirror(
        settings=(Ads,), learning_config=(target,), git_folder=git({"k": 1})
    ).differences()
    assert f"{target.removeprefix('bids:')}, key k: differs from " in difference


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("select 1", r"no table public\.told for base values: create it \(key text primary key, value jsonb"),
        ("create table told (key text primary key, value jsonb)", "no column revision, no column updated_at"),
        (
            "create table told (key int primary key, value json, revision text, updated_at timestamp)",
            "key is integer, value is json;",
        ),
        (
            "create table told (key text, value jsonb, revision text, updated_at timestamp)",
            "no primary key or unique index on key",
        ),
    ],
)
def test_a_table_that_cannot_take_them_is_named_with_what_it_lacks(world, git, statement, message):
    world.execute(statement)
    ann = world.user(world.seed)
    with pytest.raises(DatabaseUnfitError, match=message):
        world.mirror(settings=(Ads,), learning_config=("bids:told",), git_folder=git({"k": 1})).once()
    assert ann in world.served(), "the documents come first"


@pytest.mark.parametrize("target", ["bids:", "bids:a.b.c", "bids:.b", "bids:a.", "bids:a%s"])
def test_a_target_that_names_no_table_is_refused(world, target):
    with pytest.raises(ConfigurationError, match="names no table"):
        world.mirror(settings=(Ads,), learning_config=(target,))


def test_two_flags_need_two_tables(world, git):
    with pytest.raises(ConfigurationError, match=r"two flags cannot share the table public\.learning_config"):
        world.mirror(settings=(Ads,), learning_config=("bids", "bids:public.learning_config"))


def test_without_its_class_a_flag_is_refused(world, git):
    with pytest.raises(
        ConfigurationError, match=r"needs the settings class that reads the flag 'bids'.*--settings"
    ):
        world.mirror(learning_config=("bids",), git_folder=git({"k": 1}))


def test_the_command_takes_flags_and_tables(world, git, windsock_command, tmp_path):
    world.execute(CREATE.format("tuning"))
    folder = git({"k": 1})
    (tmp_path / "ads.py").write_text(
        'import windsock\n\n\nclass Ads(windsock.Settings, flag="bids"):\n    k: float = 0.5\n'
    )
    windsock_command(
        *(
            "mirror",
            "once",
            "--flag",
            "teacher",
            "--folder",
            str(world.folder),
            "--git-folder",
            str(folder),
        ),
        *("--learning-config", "bids", "--learning-config", "bids:tuning", "--settings", "ads:Ads"),
        expect=0,
        DATABASE_URL=world.url,
    )
    assert rows(world) == {"k": 1}
    assert world.execute("select key, value from tuning") == [("k", 1)]


@pytest.mark.parametrize(
    ("base", "wanted"),
    [
        ({}, {}),
        ({"k": "0.05"}, {"k": 0.05}),
        ({"k": 46}, {"k": 46.0}),
        ({"limit": "46"}, {"limit": 46}),
        ({"limit": 11.0}, {"limit": 11}),
        ({"winner_detection": {"ctr": "0.2"}}, {"winner_detection": {"ctr": 0.2}}),
    ],
)
def test_sql_has_what_the_class_makes_of_a_partial_or_odd_base(world, git, monkeypatch, base, wanted):
    monkeypatch.setenv("K", "9")  # the mirror's own variables don't count
    world.mirror(settings=(Ads,), learning_config=("bids",), git_folder=git(base)).once()
    found = rows(world)
    assert found == DEFAULTS | wanted
    assert type(found["limit"]) is int


def test_what_the_class_refuses_is_named_and_the_last_good_rows_stay(world, git, messages):
    folder = git({"k": 1})
    world.mirror(settings=(Ads,), learning_config=("bids",), git_folder=folder).once()
    git({"k": 2, "limit": 3, "winner_detection": "no"})
    world.mirror(settings=(Ads,), learning_config=("bids",), git_folder=folder).once()
    assert rows(world) == DEFAULTS | {"k": 1}
    (error,) = messages(logging.ERROR)
    assert "Ads.limit" in error
    assert "Ads.winner_detection" in error


def test_an_edit_by_hand_is_found_and_undone(*, world, git, watching, messages):
    watching(
        world.mirror(settings=(Ads,), learning_config=("bids",), git_folder=git({"k": 1}), poll_seconds=0.2)
    )
    eventually(lambda: rows(world) == DEFAULTS | {"k": 1})
    world.execute("update learning_config set value = '7' where key in ('k', 'limit')")
    eventually(lambda: rows(world) == DEFAULTS | {"k": 1})
    world.execute("delete from learning_config where key = 'k'")
    eventually(lambda: rows(world) == DEFAULTS | {"k": 1})
    eventually(lambda: len([each for each in messages() if "changed by hand" in each]) == 2)
    first, second = (each for each in messages() if "changed by hand" in each)
    assert "(k, limit)" in first
    assert "(k)" in second
