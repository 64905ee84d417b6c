"""The system's programs: what a person has to mend, they say in a line."""

import os
import subprocess
import sys

import pytest
from tests.examples.ad_learning.conftest import REPOSITORY

pytestmark = pytest.mark.usefixtures("served")

NOBODY = "postgresql://nobody@127.0.0.1:1/none"
NO_DATABASE = "DATABASE_URL is not set; name the database that was migrated\n"


@pytest.mark.parametrize(
    ("module", "variables", "said"),
    [
        ("migrate", {"DATABASE_URL": ""}, NO_DATABASE),
        ("migrate", {}, "the database cannot be reached: "),
        ("self_learning_worker", {"DATABASE_URL": ""}, NO_DATABASE),
        ("rag_worker", {"DATABASE_URL": ""}, NO_DATABASE),
        ("safe_executor", {"DATABASE_URL": ""}, NO_DATABASE),
        (
            "safe_executor",
            {"LEARNING_CONFIG_PATH": "/gone.json"},
            "Learning config not found. Tried: /gone.json",
        ),
    ],
)
def test_a_program_that_cannot_start_says_why_in_a_line(module, variables, said):
    done = subprocess.run(
        [sys.executable, "-m", f"examples.ad_learning.{module}"],
        cwd=REPOSITORY,
        env=os.environ | {"DATABASE_URL": NOBODY} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(said), done.stderr


@pytest.mark.parametrize("module", ["rag_worker", "safe_executor"])
def test_a_database_that_is_not_prepared_is_named_with_what_to_run(module, make_database, migrated_template):
    program = subprocess.Popen(
        [sys.executable, "-m", f"examples.ad_learning.{module}"],
        cwd=REPOSITORY,
        env=os.environ | {"DATABASE_URL": make_database(migrated_template)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        said = next(line for line in program.stderr if "does not exist" in line)
        program.terminate()
    assert said.endswith("run `python -m examples.ad_learning.migrate` first\n")


def test_migrate_says_what_it_applied_and_that_nothing_is_left(make_database):
    environment = os.environ | {"DATABASE_URL": make_database()}
    command = [sys.executable, "-m", "examples.ad_learning.migrate"]
    said = [
        subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert "applied 20260301000001_ad_learning_tables.sql\n" in said[0]
    assert said[1] == "nothing to apply\n"
