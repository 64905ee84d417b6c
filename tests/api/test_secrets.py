"""A secret that stands in a flag file is not answered."""

import json

from tests.api.conftest import PATH, document


def test_a_secret_that_an_environment_overrides_is_masked(client, flag_file):
    content = document()
    variants = content["flags"]["thing"]["variants"]
    variants["staging"] = variants["staging"] | {"token": "s3cret-value"}
    flag_file.write_text(json.dumps(content))
    answer = client.get(PATH)
    assert answer.json()["environments"]["staging"] == {"token": "**********"}
    assert "s3cret-value" not in answer.text
