"""The value of a secret field reaches neither the file nor the audit, a log or an answer."""

import json

import pytest
from tests.api.conftest import PATH, document

SECRET = "s3cret-value"


def test_a_secret_that_an_environment_overrides_is_masked(client, flag_file):
    content = document()
    variants = content["flags"]["thing"]["variants"]
    variants["staging"] = variants["staging"] | {"token": "s3cret-value"}
    flag_file.write_text(json.dumps(content))
    answer = client.get(PATH)
    assert answer.json()["environments"]["staging"] == {"token": "**********"}
    assert "s3cret-value" not in answer.text


def planted(flag_file):
    """The flag file, with a secret in its base."""
    content = document()
    for variant in content["flags"]["thing"]["variants"].values():
        variant["token"] = SECRET
    flag_file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"token": SECRET}, "/token"),
        ({"environments": {"staging": {"token": SECRET}}}, "/environments/staging/token"),
        ({"environments": {"new": {"token": {"deep": [SECRET]}}}}, "/environments/new/token"),
    ],
)
def test_a_secret_is_not_taken(client, flag_file, audit, body, pointer):
    before = flag_file.read_bytes()
    answer = client.put(PATH, json=body)
    assert answer.status_code == 422
    assert {"pointer": pointer, "message": answer.json()["detail"][0]["message"]} in answer.json()["detail"]
    assert "set it in the service's environment" in answer.text
    assert SECRET not in answer.text
    assert (flag_file.read_bytes(), audit()) == (before, [])


@pytest.mark.parametrize(
    "body", [{"threshold": 0.7}, {"environments": {"new": {"threshold": 0.7}}}, {"limits": {"low": 2}}]
)
def test_a_secret_that_the_file_holds_is_in_no_answer_and_no_audit(client, flag_file, audit, caplog, body):
    planted(flag_file)
    answers = [client.get(PATH), client.put(PATH, json=body), client.post(f"{PATH}/reload")]
    assert [answer.status_code for answer in answers] == [200] * 3
    (row,) = audit()
    assert SECRET not in "".join(answer.text for answer in answers) + str(row) + caplog.text


def test_a_message_that_quotes_a_secret_is_masked(client, flag_file, audit, caplog):
    planted(flag_file)
    answer = client.put(PATH, json={"name": "quoted"})
    assert answer.status_code == 422
    assert "name may not be quoted beside" in answer.text
    assert SECRET not in answer.text + caplog.text
    assert audit() == []


def test_a_message_that_quotes_the_password_of_a_url_masks_it(client):
    answer = client.put(
        PATH, json={"name": "quoted", "extra": {"at": f"postgresql://ann:{SECRET}@db/lessons"}}
    )
    assert answer.status_code == 422
    assert "name may not be quoted beside" in answer.text
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": f"postgresql://ann:{SECRET}@db/lessons"}, "/name"),
        ({"channels": ["mail", f"host=db password={SECRET}"]}, "/channels/1"),
        ({"extra": {"at": {"db": f"see *** redis://:{SECRET}@cache"}}}, "/extra/at/db"),
        ({"environments": {"staging": {"name": f"smtp://ann:{SECRET}@mail"}}}, "/environments/staging/name"),
    ],
)
def test_a_mask_that_comes_back_does_not_replace_the_password(client, flag_file, body, pointer):
    assert client.put(PATH, json=body).status_code == 200
    before = flag_file.read_bytes()
    shown = client.get(PATH).json()
    overrides = shown.pop("environments")
    del shown["token"]
    answer = client.put(PATH, json={**shown, "environments": {"staging": overrides["staging"]}})
    assert answer.status_code == 422
    message = "the asterisks stand for a password; leave the field out to keep it, or send the password"
    assert {"pointer": pointer, "message": message} in answer.json()["detail"]
    assert flag_file.read_bytes() == before


@pytest.mark.parametrize("text", ["**********", "a\n**********\nb", "https://docs.example/**********"])
def test_asterisks_that_mask_nothing_are_text(client, text):
    assert client.put(PATH, json={"name": text}).status_code == 200
    assert client.get(PATH).json()["name"] == text
