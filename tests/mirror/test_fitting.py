"""Configurations against the settings classes that read them: named always, held back where that is wanted."""

import json
import logging

import pytest
from pydantic import Field, SecretStr, field_validator
from tests.waiting import eventually

import windsock
from windsock.errors import ConfigurationError


class Teacher(windsock.Settings, flag="teacher"):
    retrieval_top_k: int = Field(10, ge=1, le=200)
    temperature: float = 0.7
    api_key: SecretStr = SecretStr("none")

    @field_validator("api_key")
    @classmethod
    def _starts_with_sk(cls, key):
        if not key.get_secret_value().startswith(("sk-", "none")):
            raise ValueError("a key starts with sk-")
        return key


@pytest.fixture
def checked(world):
    def make(**options):
        return world.mirror(settings=(Teacher,), **options)

    return make


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retrieval_top_k": 999}, "Teacher.retrieval_top_k: Input should be less than or equal to 200"),
        ({"retrieval_topk": 5}, "Teacher.retrieval_topk: "),
        ({"temperature": "warm"}, "Teacher.temperature: Input should be a valid number"),
    ],
)
def test_what_does_not_fit_is_published_and_named_with_its_row(world, checked, settings, message, messages):
    config = world.configuration("misfit", settings)
    user = world.user(config)
    checked().once()
    assert world.served()[user] == settings
    (said,) = [message for message in messages() if "(misfit)" in message]
    assert said.startswith(f"app_configurations {config} (misfit): {message}")
    assert "published all the same" in said
    assert not messages(logging.ERROR), "it serves, so it is a warning"


def test_held_back_it_keeps_its_last_good_settings(world, checked, messages):
    config = world.configuration("tuned", {"retrieval_top_k": 20})
    user = world.user(config)
    new_user = world.user(world.configuration("never good", {"retrieval_top_k": 0}))
    checked(hold_back_misfits=True).once()
    world.execute("update app_configurations set settings = '{\"retrieval_top_k\": 0}' where id = %s", config)
    checked(hold_back_misfits=True).once()
    assert world.served()[user] == {"retrieval_top_k": 20}
    assert new_user not in world.served()
    assert any("its last good settings stay published" in message for message in messages(logging.ERROR))
    assert any("it is not published" in message for message in messages(logging.ERROR))


@pytest.mark.parametrize("held_back", [False, True])
def test_another_applications_profile_is_no_warning(world, checked, messages, held_back):
    world.configuration("theirs", {"discount": 0.2, "banner": "hello"})
    checked(hold_back_misfits=held_back).once()
    (said,) = [each for each in messages(logging.INFO) if "(theirs)" in each]
    assert "it sets no field of the classes here, so it is for another application" in said
    assert not [each for each in messages(logging.WARNING) if "(theirs)" in each]


def test_a_secret_is_in_no_message(world, checked, messages):
    user = world.user(world.configuration("leaky", {"api_key": "hunter2", "temperature": 0.1}))
    checked().once()
    assert world.served()[user]["api_key"] == "hunter2"
    assert any("(leaky): Teacher.api_key: " in message for message in messages())
    assert not any("hunter2" in message for message in messages(logging.DEBUG))


class Aura(windsock.Settings, flag="aura"):
    l1_model: str = "small"
    temperature: float = 0.3


def test_one_row_serves_two_classes_by_their_fields(world, watching, messages):
    """The migrations' own row is the Teacher's; another one tunes both services."""
    both = world.configuration("both", {"retrieval_top_k": 7, "l1_model": "large"})
    ann, bob = world.user(world.seed), world.user(both)
    world.execute(
        "update app_configurations set settings = '{\"retrieval_top_k\": 25}' where id = %s", world.seed
    )
    watching(world.mirror(flags=("teacher", "aura"), settings=(Teacher, Aura)))
    eventually(
        lambda: world.served("teacher.profile") == {ann: {"retrieval_top_k": 25}, bob: {"retrieval_top_k": 7}}
    )
    assert world.served("aura.profile") == {bob: {"l1_model": "large"}}
    assert not messages()
    world.execute(
        """update app_configurations set settings = '{"l1_model": "huge", "temperature": 1}' where id = %s""",
        both,
    )
    eventually(lambda: world.served("aura.profile") == {bob: {"l1_model": "huge"}})
    assert world.served("teacher.profile") == {ann: {"retrieval_top_k": 25}}
    (said,) = messages()
    assert f"{both} (both): settings.temperature is a field of teacher and aura" in said


def test_a_class_whose_flag_is_not_mirrored_is_refused(checked):
    with pytest.raises(ConfigurationError, match="Teacher reads the flag 'teacher', which is not mirrored"):
        checked(flags=("ads",))


def test_the_command_takes_a_class_and_writes_json_lines(world, windsock_command, tmp_path):
    (tmp_path / "app_settings.py").write_text(
        "import windsock\n\n\nclass Teacher(windsock.Settings, flag='teacher'):\n    k: int = 1\n"
    )
    world.user(world.configuration("misfit", {"k": "many"}))
    done = windsock_command(
        "mirror",
        *("once", "--flag", "teacher", "--folder", str(world.folder), "--log-format", "json"),
        *("--settings", "app_settings:Teacher", "--unfit", "hold-back"),
        expect=0,
        DATABASE_URL=world.url,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    (line,) = [line for line in lines if "(misfit)" in line["message"]]
    assert line.keys() == {"time", "level", "logger", "message"}
    assert (line["level"], line["logger"]) == ("ERROR", "windsock.mirror")
    assert "(misfit): Teacher.k: Input should be a valid integer" in line["message"]
    assert "not published" in line["message"]
