import pytest

from optrack.datasets import DataError
from optrack.datasets.errors import listed


def test_a_message_is_one_line() -> None:
    assert str(DataError("one\n  two\r\n\nthree")) == "one two three"


def test_a_data_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="wrong"):
        raise DataError("wrong")


def test_long_lists_are_cut() -> None:
    assert listed([str(number) for number in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert listed(["x"] * 13).endswith("x and 3 more")
