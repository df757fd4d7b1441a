from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from optrack.search import Categorical, Family, Float, Int
from optrack.search.study.space import Space, applies, describe, misfit, ordered, size


@pytest.mark.parametrize(
    ("low", "high", "more", "rule"),
    [
        (2.0, 1.0, {}, "low must not be above high, but got 2.0 and 1.0"),
        (0.0, 1.0, {"log": True}, "low must be above 0 on a logarithmic scale, but got 0.0"),
        (1.0, 2.0, {"log": True, "step": 0.5}, "a logarithmic scale has no step"),
        (0.0, 1.0, {"step": 0.3}, "whole number of steps of 0.3, but got 1.0"),
        (0.0, 0.1 + 0.2, {"step": 0.1}, "whole number of steps of 0.1, but got 0.30000000000000004"),
        (0.0, 1e308, {"step": 1e-300}, "whole number of steps"),
        (-1e308, 1e308, {"step": 1.0}, "whole number of steps"),
        (0.0, 1.0, {"step": 0.0}, "greater than 0"),
        (0.0, float("inf"), {}, "finite"),
        (float("nan"), 1.0, {}, "finite"),
        ("0", 1.0, {}, "valid number"),
        (True, 1.0, {}, "valid number"),
        (0.0, 1.0, {"steps": 3}, "[Uu]nexpected"),
        (2**53 + 1, 1e20, {}, r"must be a number that a float holds exactly, but got 9007199254740993"),
        (0, 10**20 + 1, {}, r"must be a number that a float holds exactly, but got 100000000000000000001"),
        (0, 10**400, {}, "must be a number that a float holds exactly, but got 1000"),
        (0, 2 * (2**53 + 1), {"step": 2**53 + 1}, "must be a number that a float holds exactly"),
    ],
)
def test_a_float_that_makes_no_sense_is_refused_with_the_rule(low: Any, high: Any, more: Any, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Float(low, high, **more)


@pytest.mark.parametrize(
    ("low", "high", "more", "rule"),
    [
        (2, 1, {}, "low must not be above high, but got 2 and 1"),
        (0, 1, {"log": True}, "low must be above 0 on a logarithmic scale, but got 0"),
        (1, 9, {"log": True, "step": 2}, "a logarithmic scale has no step"),
        (0, 10, {"step": 3}, "whole number of steps of 3, but got 10"),
        (0, 10, {"step": 0}, "greater than or equal to 1"),
        (0, 1.0, {}, "valid integer"),
        (True, 2, {}, "valid integer"),
        (0, 2**53 + 1, {}, r"less than or equal to 9007199254740992"),
        (-(2**53) - 1, 0, {}, r"greater than or equal to -9007199254740992"),
    ],
)
def test_an_int_that_makes_no_sense_is_refused_with_the_rule(low: Any, high: Any, more: Any, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Int(low, high, **more)


@pytest.mark.parametrize(
    ("choices", "rule"),
    [
        ((), "at least 1 item"),
        ((1, 2, 1), "choices must differ, but got 1 twice"),
        ((1, True), "choices must differ, but got True twice"),
        ((0.0, 0), "choices must differ, but got 0 twice"),
        ((float("nan"),), "finite"),
        (([1],), "valid"),
        ((b"x",), "valid"),
    ],
)
def test_choices_that_make_no_sense_are_refused_with_the_rule(choices: Any, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Categorical(*choices)


def test_a_distribution_cannot_be_changed() -> None:
    for distribution in (Float(0, 1), Int(0, 1), Categorical(1)):
        with pytest.raises((AttributeError, ValidationError)):
            distribution.when = {"a": 1}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("distribution", "inside", "outside"),
    [
        (Int(-(2**53), 2**53), [2**53, -(2**53)], [2**53 + 1]),
        (Float(0, 2**60), [2**53, 2**60], [2**53 + 1, 10**400]),
        (Float(0.5, 1), [0.5, 1, 1.0, 0.7], [0.49, 1.01, True, "1", None, float("nan"), float("inf")]),
        (Float(0, 0.9, step=0.3), [0, 0.3, 0.6, 0.9, 0.1 * 3], [0.1, 0.45, 1.2, -0.3]),
        (Int(1, 9, step=4), [1, 5, 9], [0, 2, 13, 5.0, True, "5", None]),
        (Categorical(1, "1", None, False), [1, "1", None, False], [True, 1.0, 0, "", "None"]),
        (Categorical(1.0), [1.0], [1, True]),
    ],
)
def test_a_value_lies_in_a_distribution_only_with_its_type_range_and_grid(
    distribution: Float | Int | Categorical, inside: list[Any], outside: list[Any]
) -> None:
    assert [value for value in inside if not distribution.contains(value)] == []
    assert [value for value in outside if distribution.contains(value)] == []


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        (Float(1e-4, 0.1, log=True), "a float from 0.0001 to 0.1, logarithmic"),
        (Float(0, 1, step=0.25), "a float from 0.0 to 1.0 in steps of 0.25"),
        (Int(2, 8, step=2), "an int from 2 to 8 in steps of 2"),
        (Int(2, 8), "an int from 2 to 8"),
        (Categorical("adam", None, 1), "one of 'adam', None, 1"),
    ],
)
def test_a_distribution_in_words_says_type_range_and_scale(distribution: Float | Int | Categorical, words: str) -> None:
    assert describe(distribution) == words


@given(family=...)
def test_every_name_comes_after_those_that_its_condition_looks_at(family: Family) -> None:
    names = ordered(family.space)
    assert sorted(names) == sorted(family.space)
    for position, name in enumerate(names):
        assert all(parent in family.options or parent in names[:position] for parent in family.space[name].when)


def test_names_without_conditions_keep_their_order() -> None:
    assert ordered({"b": Int(0, 1), "a": Int(0, 1), "c": Int(0, 1, when={"d": 1}), "d": Categorical(1)}) == [
        "b",
        "a",
        "d",
        "c",
    ]


def test_conditions_in_a_circle_are_refused() -> None:
    circle: Space = {"a": Categorical(1, when={"b": 1}), "b": Categorical(1, when={"a": 1}), "c": Int(0, 1)}
    with pytest.raises(ValueError, match="the conditions of a, b depend on each other in a circle"):
        ordered(circle)
    with pytest.raises(ValueError, match="the conditions of a depend on each other in a circle"):
        ordered({"a": Categorical(1, when={"a": 1})})


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ({}, {}, True),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {}, False),
        ({"a": None}, {}, False),
        ({"a": (1, 2)}, {"a": 2}, True),
        ({"a": (1, 2), "b": "x"}, {"a": 2, "b": "y"}, False),
    ],
)
def test_a_condition_holds_when_every_name_has_a_wanted_value_of_the_same_type(
    condition: Any,
    values: Any,
    holds: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert applies(condition, values) is holds


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"optimizer": "sgd", "momentum": 0.5}, None),
        ({"momentum": 0.5}, None),  # the optimizer is still to be drawn
        ({}, None),
        ({"speed": 1}, "speed is not in the space (optimizer, momentum, depth)"),
        ({"optimizer": "adm"}, "optimizer must be one of 'adam', 'sgd', but got 'adm'"),
        ({"momentum": 1.5}, "momentum must be a float from 0.0 to 0.9, but got 1.5"),
        ({"optimizer": "adam", "momentum": 0.5}, "momentum exists only when optimizer is 'sgd'"),
        ({"depth": 1}, "depth exists only when norm is True"),
    ],
)
def test_a_configuration_outside_its_space_is_told_what_is_wrong(values: Any, problem: str | None) -> None:
    space: Space = {
        "optimizer": Categorical("adam", "sgd"),
        "momentum": Float(0, 0.9, when={"optimizer": "sgd"}),
        "depth": Int(1, 3, when={"norm": True}),
    }
    assert misfit(space, values, {"norm": False}) == problem


def test_a_space_with_a_continuous_range_has_no_size() -> None:
    assert size({"lr": Float(0, 1), "depth": Int(1, 3)}, {}) is None


def test_a_continuous_range_that_never_exists_does_not_count() -> None:
    space: Space = {"lr": Float(0, 1, when={"optimizer": "sgd"}), "depth": Int(1, 3)}
    assert size(space, {"optimizer": "adam"}) == 3
    assert size(space, {"optimizer": "sgd"}) is None


@pytest.mark.parametrize(
    ("space", "configurations"),
    [
        ({}, 1),
        ({"a": Float(0, 1, step=0.1)}, 11),
        ({"a": Float(0.5, 0.5)}, 1),
        ({"a": Int(1, 9, step=2), "b": Categorical(1, 2)}, 10),
        ({"a": Categorical(1, 2, 3), "b": Int(1, 4, when={"a": (1, 2)}), "c": Int(1, 2, when={"b": 1})}, 9),
        ({"c": Int(1, 5, when={"b": 1}), "b": Categorical(1, 2, when={"a": 1}), "a": Categorical(1, 2)}, 7),
    ],
)
def test_the_size_of_a_space_counts_each_configuration_once(space: Space, configurations: int) -> None:
    assert size(space, {}) == configurations


@given(value=st.floats(0, 2))
def test_what_a_grid_contains_is_a_whole_number_of_steps_from_low(value: float) -> None:
    grid = Float(0, 2, step=0.5)
    assert grid.contains(value) == (value in {0.0, 0.5, 1.0, 1.5, 2.0} or abs(value * 2 - round(value * 2)) < 1e-9)
