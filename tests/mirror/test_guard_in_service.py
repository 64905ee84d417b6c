"""The guard of a mirror that publishes: what it stops, what it lets through, and what it remembers."""

import itertools
import json

import pytest
from tests.waiting import eventually

from windsock.errors import GuardError


@pytest.fixture
def crowd(world):
    """A thousand users of the seed, and a second configuration with 50 of its own."""
    other = world.configuration("other", {"retrieval_top_k": 3})
    for config, count in ((world.seed, 950), (other, 50)):
        world.execute(
            "insert into profiles (id, config_id) select gen_random_uuid(), %s from generate_series(1, %s)",
            config,
            count,
        )
    return other


def remove(world, count):
    world.execute(
        "delete from profiles where id in (select id from profiles where config_id = %s limit %s)",
        world.seed,
        count,
    )


def served_of(world, config):
    """How many users have this configuration in the documents."""
    wanted = world.execute("select settings from app_configurations where id = %s", config)[0][0]
    return sum(settings == wanted for settings in world.served().values())


def deactivate(world, config):
    world.execute("update app_configurations set is_active = false where id = %s", config)


def test_a_deactivation_goes_out_while_a_mass_removal_is_stopped(*, world, crowd, watching, messages):
    mirror = watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: len(world.served()) == 1000)
    remove(world, 600)
    eventually(lambda: any("that an hour may remove" in each for each in messages()))
    deactivate(world, crowd)
    eventually(lambda: len(world.served()) == 950)
    for stops in range(1, 4):  # each refusal used to forgive the 50 again
        deactivate(world, crowd)
        eventually(lambda stops=stops: mirror.status.guard_stops > stops)
    assert len(world.served()) == 950
    assert mirror.status.trouble


@pytest.mark.parametrize("is_logged", [True, False])
def test_deleting_a_configuration_but_not_its_assignments_is_a_removal(*, world, crowd, watching, is_logged):
    """Without the foreign key, or while nothing checks it, as in a restore."""
    mirror = watching(world.mirror(poll_seconds=0.1, audit_seconds=0.1))
    eventually(lambda: len(world.served()) == 1000)
    if is_logged:
        world.execute("alter table profiles drop constraint profiles_config_id_fkey")
    else:
        world.execute("set session_replication_role = replica")
    world.execute("delete from app_configurations where id = %s", world.seed)
    eventually(lambda: "950 of 1,000 published assignments are gone" in mirror.status.trouble)
    assert len(world.served()) == 1000


def test_moving_users_to_an_inactive_configuration_is_a_removal(*, world, crowd, watching):
    off = world.configuration("off", {"retrieval_top_k": 9}, active=False)
    mirror = watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: len(world.served()) == 1000)
    world.execute("update profiles set config_id = %s where config_id = %s", off, world.seed)
    eventually(lambda: "that an hour may remove" in mirror.status.trouble)
    assert len(world.served()) == 1000


def test_users_of_configurations_that_are_not_published_hide_no_removal(world, crowd):
    """Another group of mirrors may publish those."""
    flags = ("teacher", "tutor")
    world.execute("update app_configurations set settings = jsonb_build_object('teacher', settings)")
    foreign = world.configuration("foreign", {"grader": {"strict": True}})
    world.mirror(flags=flags).once()
    world.execute(
        "insert into profiles (id, config_id) select gen_random_uuid(), %s from generate_series(1, 2000)",
        foreign,
    )
    remove(world, 900)
    with pytest.raises(GuardError, match="900 of 1,000 published assignments"):
        world.mirror(flags=flags).once()
    assert len(world.served()) == 1000


def test_a_configuration_that_is_emptied_goes_out_however_many_have_it(world, crowd):
    flags = ("teacher", "tutor")
    world.execute("update app_configurations set settings = jsonb_build_object('teacher', settings)")
    world.mirror(flags=flags).once()
    world.execute("update app_configurations set settings = '{}' where id = %s", world.seed)
    world.mirror(flags=flags).once()
    assert len(world.served()) == 50


def test_retries_do_not_open_the_guard(world, crowd):
    mirror = world.mirror()
    mirror.once()
    remove(world, 600)
    deactivate(world, crowd)
    for _ in range(40):
        with pytest.raises(GuardError):
            mirror.once()
    assert len(world.served()) == 950
    for _ in range(40):
        with pytest.raises(GuardError):
            world.mirror().once()
    assert len(world.served()) == 950
    assert world.mirror(allow_shrink=True).once().assigned == 350


def test_a_correction_goes_out_while_a_mass_removal_is_stopped(*, world, crowd, watching, messages):
    watching(world.mirror(poll_seconds=600))
    eventually(lambda: len(world.served()) == 1000)
    remove(world, 600)
    eventually(lambda: any("that an hour may remove" in each for each in messages()))
    world.execute("update app_configurations set settings = '{\"retrieval_top_k\": 9}' where id = %s", crowd)
    eventually(lambda: served_of(world, crowd) == 50)
    assert len(world.served()) == 1000


def test_restarts_do_not_open_the_guard(world, crowd):
    world.mirror().once()
    remove(world, 190)
    assert world.mirror().once().assigned == 810
    for _ in range(5):
        remove(world, 100)
        with pytest.raises(GuardError, match="of 1,000 published"):
            world.mirror().once()
    assert len(world.served()) == 810


class Killed(BaseException):
    """What ends a mirror at a chosen point."""


@pytest.fixture
def kill_after(monkeypatch):
    """End a mirror's publication when so many documents are written, or when only its memory isn't."""

    def arrange(mirror, documents):
        write, done = mirror._folder.write, itertools.count()

        def end(*_):
            raise Killed

        def write_some(name, data):
            if "flagd" in name and next(done) >= documents:
                end()
            return write(name, data)

        monkeypatch.setattr(mirror._folder, "write", write_some)
        monkeypatch.setattr(mirror._publisher, "_remember", end)

    return arrange


@pytest.mark.parametrize("documents", [1, 3, 4])
def test_a_mirror_that_is_killed_while_a_configuration_goes_is_not_stopped(
    world, crowd, kill_after, documents
):
    world.mirror(shards=4).once()
    deactivate(world, world.seed)
    mirror = world.mirror(shards=4)
    kill_after(mirror, documents)
    with pytest.raises(Killed):
        mirror.once()
    assert len(world.served()) < 1000
    assert world.mirror(shards=4).once().assigned == 50
    world.execute(
        "delete from profiles where id in (select id from profiles where config_id = %s limit 11)", crowd
    )
    for _ in range(2):  # what the guard forgave was the deactivation, and that once
        with pytest.raises(GuardError, match="11 of 50 published"):
            world.mirror(shards=4).once()


@pytest.mark.parametrize("damage", [b"{", b"", None], ids=["cut", "empty", "deleted"])
def test_a_damaged_document_does_not_open_the_guard(world, crowd, damage):
    world.mirror(shards=4).once()
    damaged = world.folder / "profiles.02.flagd.json"
    damaged.unlink() if damage is None else damaged.write_bytes(damage)
    world.execute("delete from profiles where config_id = %s", world.seed)
    deactivate(world, crowd)
    for _ in range(2):
        with pytest.raises(GuardError):
            world.mirror(shards=4).once()
    served = {
        user
        for number in (0, 1, 3)
        for rule in [
            world.flags(f"profiles.{number:02}.flagd.json")[f"teacher.profile.{number}"]["targeting"]["if"]
        ]
        for user in rule[0]["in"][1]
    }
    assert 500 < len(served) <= 950, "users of the deactivated configuration are gone, and no others"
    world.execute(
        "insert into profiles (id, config_id) select gen_random_uuid(), %s from generate_series(1, 1000)",
        world.seed,
    )
    assert world.mirror(shards=4).once().assigned == 1000


def memory(*, folder="0123456789abcdef0123456789abcdef", peaks):
    return f'{{"group": "default", "folder": "{folder}", "peaks": {peaks}}}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"group": 1}',
        memory(peaks="3"),
        memory(peaks="[[0, Infinity]]"),
        memory(peaks="[[NaN, 7]]"),
        memory(peaks="[[0, 1e400]]"),
        memory(peaks=f"[[{10**400}, 7]]"),
        memory(peaks="[" * 100_000 + "]" * 100_000),
        memory(folder="x" * 60_000, peaks="[]"),
        memory(folder="\\u0000", peaks="[]"),
        memory(folder="\\ud800", peaks="[]"),
    ],
    ids=itertools.count(),
)
def test_a_damaged_memory_is_reported_and_rebuilt(*, world, crowd, watching, messages, text):
    world.mirror().once()
    (world.folder / "mirror.json").write_text(text)
    mirror = watching(world.mirror())
    eventually(lambda: mirror.status.is_ready)
    assert messages()
    assert all("not the mirror's memory" in each for each in messages())
    assert json.loads((world.folder / "mirror.json").read_text())["peaks"][0][1] == 1000
