"""What names the place of the data may be a password's: no error repeats it."""

import pytest

from windsock.errors import UnreachableError
from windsock.experiments.data.warehouse import open_warehouse


@pytest.mark.parametrize("length", [10, 300, 5_000])
def test_a_long_connection_string_is_no_path(length) -> None:
    with pytest.raises(UnreachableError) as told:
        open_warehouse(f"host=127.0.0.1 port=1 password=hunter2 application_name={'a' * length}")
    assert "hunter2" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_database_that_is_down_is_told_on_one_line(tmp_path) -> None:
    with pytest.raises(UnreachableError, match="the database does not answer: ") as told:
        open_warehouse(f"postgresql:///shop?host={tmp_path}")
    assert "\n" not in str(told.value)
    assert "Is the server running" not in str(told.value)
