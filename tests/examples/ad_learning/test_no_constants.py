"""No hardcoded values: each number in the code of the system is a setting, or is listed here with its reason."""

import ast
import re
from pathlib import Path

import pytest

SYSTEM = Path(__file__).parents[3] / "examples" / "ad_learning"
SETTINGS_AND_DEMONSTRATION = {
    "settings.py",
    "ad_platform_endpoint.py",
    "demo.py",
    "demo_system.py",
    "node_variables.py",
    "train.py",
}
ANYWHERE = {0, 1, 2}  # positions, "none", and the doubling of a wait
NOT_SETTINGS = {
    "ad_platform.py": {
        *(4, 17, 32, 102, 104, 190, 368, 613, 80_000, 80_015),  # Meta's error codes
        500,  # HTTP: the server's own error
        60,  # seconds of a minute
    },
    "safe_executor.py": {100, 1000},  # percent, milliseconds of a second
    "winners.py": {1e-9},  # the rounding of a float, as in SQL
    "queries.sql": {3600},  # seconds of an hour
}


def numbers_in_python(path):
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and type(node.value) in {int, float}
    }


def numbers_in_sql(path):
    code = re.sub(r"--.*", "", path.read_text())
    return {float(each) for each in re.findall(r"(?<![\w.])\d+(?:\.\d+)?\b", code)}


@pytest.mark.parametrize(
    "name",
    [path.name for path in sorted(SYSTEM.glob("*.py")) if path.name not in SETTINGS_AND_DEMONSTRATION],
)
def test_every_number_in_python_is_a_setting_or_has_a_reason(name):
    assert numbers_in_python(SYSTEM / name) - ANYWHERE == NOT_SETTINGS.get(name, set())


def test_every_number_in_a_query_is_a_parameter_or_has_a_reason():
    assert numbers_in_sql(SYSTEM / "queries.sql") - ANYWHERE == NOT_SETTINGS["queries.sql"]
