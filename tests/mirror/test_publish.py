"""What is published of a database: whole readings, changes, and what is held back."""

import json
import logging
import random
import uuid

import psycopg
import pytest

from windsock.errors import ConfigurationError, DatabaseUnfitError, GuardError
from windsock.flag_names import shard_of
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.postgres.migrations import connect, migrate, read_migrations
from windsock.providers import FilesProvider

SETTINGS = {"retrieval_top_k": 25, "rerank_top_n": 5, "reasoning_model": "gpt-4o", "temperature": 0.2}


def test_an_assigned_user_is_served_and_others_are_not(world):
    ann, _ = world.user(world.seed), world.user()
    written = world.mirror().once()
    assert (written.assigned, written.files) == (1, ("profiles.flagd.json",))
    assert world.served() == {ann: SETTINGS}


def test_the_same_database_gives_the_same_bytes_and_writes_nothing(world):
    for _ in range(10):
        world.user(world.seed)
    world.mirror().once()
    before = (world.folder / "profiles.flagd.json").stat()
    assert world.mirror().once().files == ()
    after = (world.folder / "profiles.flagd.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert world.mirror().differences() == ()


def test_the_documents_are_on_the_disk_when_they_count_as_written(world, synced):
    world.user(world.seed)
    mirror = world.mirror(shards=3)
    mirror._take_over()
    noted = synced(world.folder)
    mirror.once()
    names = [name for name, _ in noted]
    assert names.pop(0).startswith(".mirror.json."), "which mirror writes, before it does"
    assert names[3] == world.folder.name, "the names, when all of them are there"
    assert names[4:] == [names[4]]
    assert names[4].startswith(".mirror.json."), "the guard's memory, when the documents are there"
    world.mirror().once()
    assert len(noted) == 7, "what is not written is not synced; which mirror writes is"
    assert noted[6][0].startswith(".mirror.json.")


def test_inactive_configurations_are_left_out_and_their_users_with_them(world):
    world.user(world.configuration("off", {"retrieval_top_k": 1}, active=False))
    ann = world.user(world.seed)
    world.mirror().once()
    assert set(world.served()) == {ann}
    assert set(world.flags()["teacher.profile"]["variants"]) == {"none", world.seed}


def test_a_configuration_that_does_not_say_whether_it_is_active_is(world):
    config = world.configuration("null", {"a": 1}, active=None)
    ann = world.user(config)
    mirror = world.mirror()
    assert mirror.once().assigned == 1
    assert world.served() == {ann: {"a": 1}}
    with mirror._connected() as source:
        with source.read() as reading:
            assert reading.users == {config: 1}
        world.execute("update app_configurations set settings = '{\"a\": 2}' where name = 'null'")
        mirror._publisher.publish_changes(source.changes(reading.cursor))
    assert world.served() == {ann: {"a": 2}}


def test_the_number_of_shards_is_published_once_every_shard_exists(world):
    """It is in the first document, which is written last; that waits for the others: see `test_files`."""
    files = world.mirror(shards=4).once().files
    assert files == tuple(f"profiles.{number:02}.flagd.json" for number in (1, 2, 3, 0))


def test_names_that_differ_by_case_are_two_configurations(world):
    one, two = world.configuration("Fast", {"a": 1}), world.configuration("fast", {"a": 2})
    ann, bob = world.user(one), world.user(two)
    world.mirror().once()
    assert world.served() == {ann: {"a": 1}, bob: {"a": 2}}
    names = world.flags()["teacher.profile"]["metadata"]
    assert names == {f"config.{one}": "Fast", f"config.{two}": "fast"}


HOSTILE_IDS = [
    'double " quote',
    "single ' quote",
    "back\\slash",
    ",",
    '","',
    "new\nline\ttab\b\f\r",
    "\x01\x1f\x7f",
    "Zoë",
    "Zoe\u0308",
    "用户 🙂",
    "\u2028\u2029",
    "</script>&amp;",
    "{{ x }} %s {shards} $ref",
    "x" * 100_000,
    "null",
    "0",
    " ",
]


@pytest.fixture
def text_world(empty_database, make_world):
    """Users whose ids are text, as they are where another system makes them."""
    with connect(empty_database) as connection:
        connection.execute("create table profiles (id text, name text)")
        connection.execute("create unique index on profiles (md5(id))")  # 100 kB do not fit an ordinary index
        migrate(connection, read_migrations())
    return make_world(empty_database)


@pytest.mark.parametrize("shards", [1, 7])
def test_hostile_user_ids_arrive_unchanged(text_world, shards):
    for user_id in [*HOSTILE_IDS, ""]:
        text_world.user(text_world.seed, user_id) if user_id else text_world.execute(
            "insert into profiles (id, config_id) values ('', %s)", text_world.seed
        )
    text_world.mirror(shards=shards).once()
    assert set(text_world.served()) == set(HOSTILE_IDS), "the empty id would be every anonymous request"


def test_an_id_with_nul_cannot_be_stored_by_postgresql(text_world):
    with pytest.raises(psycopg.DataError, match="NUL"):
        text_world.user(text_world.seed, "a\0b")


def test_hostile_settings_and_names_arrive_unchanged(world):
    settings = {'q"uo\\te': ["</script>", "\u2028", "🙂", {"deep": [None, True, 1.5, -0.1, 10**15]}], "": {}}
    config = world.configuration('a "name"\n{{x}} & <b>', settings)
    ann = world.user(config)
    world.mirror().once()
    assert world.served() == {ann: settings}
    assert world.flags()["teacher.profile"]["metadata"][f"config.{config}"] == 'a "name"\n{{x}} & <b>'


@pytest.mark.parametrize(
    "settings",
    [
        "[1]",
        "null",
        '{"a": 1e400}',
        '{"a": 9007199254740993}',
        '{"a": {"$ref": "x"}}',
        '{"a": {"' + "k" * 120_000 + '": ["x"]}}',
        '{"a": "' + "x" * 5_000_000 + '"}',
        '{"a":' * 50 + "1" + "}" * 50,
    ],
    ids=lambda text: text[:20],
)
def test_a_bad_row_is_held_back_alone_and_named_once(world, messages, settings):
    ann = world.user(world.seed)
    config = world.configuration("bad", settings)
    world.user(config)
    mirror = world.mirror()
    mirror.once()
    mirror.once()
    assert set(world.served()) == {ann}
    (message,) = messages()
    assert message.startswith(f"app_configurations {config} (bad): settings")
    assert message.endswith("its users have the defaults")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("[]", "settings are a list, not an object"),
        (
            json.dumps({"tags": {"k" * 20_000: ["x"] * 5_000}}),
            "settings.tags: the keys that lead to a list or an object in it have more than 1,000 characters",
        ),
    ],
    ids=["a list", "a long key"],
)
def test_a_row_that_turns_bad_keeps_its_last_good_settings(world, messages, settings, reason):
    ann = world.user(world.seed)
    world.mirror().once()
    world.execute("update app_configurations set settings = %s::jsonb", settings)
    bob = world.user(world.seed)
    world.mirror().once()
    assert world.served() == {ann: SETTINGS, bob: SETTINGS}
    (message,) = messages()
    assert message == (
        f"app_configurations {world.seed} (experimental_v1): {reason}; its last good settings stay published"
    )


def test_several_flags_nest_by_name_and_a_class_without_settings_has_no_variant(world):
    both = world.configuration("both", {"teacher": {"k": 1}, "ads": {"x": 2}})
    one = world.configuration("one", {"ads": {"x": 3}})
    ann, bob = world.user(both), world.user(one)
    world.mirror(flags=("teacher", "ads")).once()
    assert world.served("teacher.profile") == {ann: {"k": 1}}
    assert world.served("ads.profile") == {ann: {"x": 2}, bob: {"x": 3}}


@pytest.mark.slow
def test_more_shards_than_a_flagd_server_can_watch_are_read_by_a_service(world):
    for _ in range(300):
        world.user(world.seed)
    moved, other = world.user(world.seed), world.configuration("other", {"retrieval_top_k": 7})
    mirror = world.mirror(shards=120)
    mirror.once()
    assert len(list(world.folder.glob("*.flagd.json"))) == 120
    assert world.served() == world.assigned()
    world.assign(moved, other)
    shard = shard_of(moved, 120)
    assert mirror.once().files == (f"profiles.{shard:02}.flagd.json",)
    provider = FilesProvider(world.folder)
    provider.refresh()
    count = provider.compiled["teacher.profile.shards"].evaluate({}).value
    assert count == 120
    for user, settings in world.assigned().items():
        profile = provider.compiled[f"teacher.profile.{shard_of(user, count)}"]
        assert profile.evaluate({"targetingKey": user}).value == settings


def test_another_number_of_shards_is_refused_for_a_folder_that_is_set_up(world):
    world.mirror(shards=3).once()
    assert len(list(world.folder.glob("*.flagd.json"))) == 3
    with pytest.raises(ConfigurationError, match="another number of shards"):
        world.mirror(shards=5).once()
    assert world.mirror().once().files == (), "without the option the folder's own number is used"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flags": ()}, "no flag to mirror"),
        ({"flags": ("a b",)}, "'a b' isn't a flag name"),
        ({"shards": 1_001}, "from 1 to 1,000"),
        ({"shards": -1}, "from 1 to 1,000"),
    ],
)
def test_options_that_cannot_work_are_refused(world, options, message):
    with pytest.raises(ConfigurationError, match=message):
        world.mirror(**options)


@pytest.mark.parametrize("table", ["profiles", "app_configurations"])
def test_an_empty_table_does_not_empty_the_files(world, table):
    ann = world.user(world.seed)
    world.mirror().once()
    world.execute(f"truncate {table} cascade")
    with pytest.raises(GuardError, match="is empty, and 1 assignments are published"):
        world.mirror().once()
    assert set(world.served()) == {ann}
    world.mirror(allow_shrink=True).once()
    assert world.served() == {}


def test_a_mass_removal_is_stopped_and_a_few_are_not(world):
    users = [world.user(world.seed) for _ in range(30)]
    world.mirror().once()
    world.execute("update profiles set config_id = null where id = any(%s::uuid[])", users[:11])
    with pytest.raises(
        GuardError, match=r"11 of 30 published assignments are gone from profiles or .*, more than the 20%"
    ):
        world.mirror().once()
    assert len(world.served()) == 30
    world.assign(users[0], world.seed)
    world.mirror().once()
    assert len(world.served()) == 20


def test_a_permission_to_shrink_is_for_one_publication(world):
    users = [world.user(world.seed) for _ in range(30)]
    mirror = world.mirror(allow_shrink=True)
    mirror.once()
    world.execute("update profiles set config_id = null where id = any(%s::uuid[])", users[:11])
    with pytest.raises(GuardError, match="11 of 30"):
        mirror.once()


def test_deactivating_a_configuration_is_meant_and_not_guarded(world):
    for _ in range(30):
        world.user(world.seed)
    world.mirror().once()
    world.execute("update app_configurations set is_active = false")
    world.mirror().once()
    assert world.served() == {}


def test_row_level_security_is_an_error_and_not_silence(world, role):
    world.user(world.seed)
    world.mirror().once()
    world.execute("alter table profiles enable row level security")
    world.execute(f"grant select on profiles, app_configurations to {role}")
    with pytest.raises(
        DatabaseUnfitError, match=r'row-level security policy for table "profiles".*windsock_mirror'
    ):
        world.mirror(url=world.url + f"&user={role}").once()
    assert len(world.served()) == 1


def test_a_role_without_rights_learns_what_it_lacks(world, role):
    with pytest.raises(DatabaseUnfitError, match="permission denied for table app_configurations"):
        world.mirror(url=world.url + f"&user={role}").once()


def test_the_migrations_role_is_enough(world):
    world.execute("alter role windsock_mirror login")
    world.execute("alter table profiles enable row level security")
    ann = world.user(world.seed)
    world.mirror(url=world.url + "&user=windsock_mirror").once()
    assert set(world.served()) == {ann}


def test_a_database_without_the_tables_says_what_to_run(empty_database, tmp_path):
    mirror = Mirror(MirrorOptions(url=empty_database, folder=tmp_path, flags=("teacher",)))
    with pytest.raises(DatabaseUnfitError, match=r"no table public\.profiles .*run `windsock migrate`"):
        mirror.once()


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("flags", [("teacher",), ("teacher", "ads")])
def test_following_changes_gives_the_bytes_of_a_whole_reading(*, world, tmp_path, caplog, shards, flags):
    """Random changes, followed step by step from the change log, against everything read anew."""
    dice = random.Random(f"{shards} {flags}")
    caplog.set_level(logging.CRITICAL, logger="windsock.mirror")
    configurations = [world.seed]
    users = [world.user(dice.choice([None, world.seed])) for _ in range(60)]
    follower = world.mirror(shards=shards, flags=flags, max_shrink=1.0)
    with follower._connected() as source:
        follower._take_over()
        _, cursor = follower._publish_all(source)
        for step in range(60):
            for _ in range(dice.randint(1, 4)):
                _change(world, dice, configurations, users)
            changes = source.changes(cursor)
            if changes is None or follower._publisher.publish_changes(changes) is None:
                _, cursor = follower._publish_all(source)
            else:
                cursor = changes.cursor
            fresh = world.mirror(shards=shards, flags=flags, folder=tmp_path / f"fresh{step}")
            # the last good settings of a row that turned bad are only in the followed folder
            fresh._publisher.published.profiles = dict(follower._publisher.published.profiles)
            with fresh._connected() as other, other.read() as reading:
                for name, data in fresh._publisher.documents(reading):
                    assert (world.folder / name).read_bytes() == data, f"after step {step}"


def _change(world, dice, configurations, users):
    config, user = dice.choice(configurations), dice.choice(users)
    match dice.randint(0, 9):
        case 0:
            configurations.append(world.configuration(str(uuid.uuid4()), {"teacher": {"k": dice.random()}}))
        case 1:
            settings = dice.choice(['{"teacher": {"k": 1}}', '{"teacher": {}, "ads": {"x": 1}}', "[]", "{}"])
            world.execute(
                "update app_configurations set settings = %s::jsonb where id = %s", settings, config
            )
        case 2:
            world.execute("update app_configurations set is_active = not is_active where id = %s", config)
        case 3 if len(configurations) > 2:
            world.execute("delete from app_configurations where id = %s", config)
            configurations.remove(config)
        case 4:
            users.append(world.user(config))
        case 5:
            world.execute("delete from profiles where id = %s", user)
        case 6:
            world.execute("update profiles set id = %s where id = %s", str(uuid.uuid4()), user)
        case _:
            world.assign(user, dice.choice([None, config]))
