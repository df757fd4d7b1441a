from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.search.text import (
    configuration,
    duration,
    metric_text,
    percent_range,
    short,
    shortened,
    value_text,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (12, "12"),
        (True, "True"),
        ("adam", "adam"),
        ("", ""),
        (0.98611111, "0.9861"),
        (1.0, "1"),
        (1.23456e-7, "1.235e-07"),
        (float("nan"), "nan"),
    ],
)
def test_values_are_shown_short(value: object, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [({}, ""), ({"lr": 0.001}, "lr=0.001"), ({"depth": 2, "batch_norm": False}, "depth=2 batch_norm=False")],
)
def test_a_configuration_is_one_line(values: Mapping[str, object], text: str) -> None:
    assert configuration(values) == text


def test_a_setting_that_is_none_is_told_from_a_missing_one() -> None:
    assert (value_text(None), short(None)) == ("none", "-")
    assert configuration({"norm": None}) == "norm=none"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.04, "0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (60.6, "1 min 1 s"),
        (3599.7, "1 h"),
        (3660, "1 h 1 min"),
        (360_000, "100 h"),
    ],
)
def test_a_duration_has_at_most_two_units_and_no_empty_one(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_metric_that_is_not_a_finite_number_is_a_dash(value: float | None) -> None:
    assert metric_text("val_loss", value) == metric_text("val_accuracy", value) == "-"


def test_a_range_of_shares_has_one_sign_or_none() -> None:
    assert percent_range(0.5, 1) == "50.00 to 100.00 %"
    assert percent_range(0.5, 1, sign=False) == "50.00 to 100.00"


@given(st.text(), st.integers(1, 20))
def test_a_shortened_name_fits_and_keeps_both_ends(name: str, longest: int) -> None:
    text = shortened(name, longest)
    assert len(text) == min(len(name), longest)
    if len(name) > longest:
        assert text == f"{name[: longest // 2]}…{name[len(name) - (longest - 1) // 2 :]}"
