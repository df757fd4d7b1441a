from typing import Annotated, Any, Literal, Optional

import pytest
from annotated_types import Ge, Gt, Le, Lt

from optrack.architectures import ARCHITECTURES, architecture
from optrack.search import StudyError
from optrack.search.study.signature import Parameter, check_options, keyword_parameters
from optrack.search.training import TrainingConfig


class Widget:
    def __init__(
        self,
        size: int,
        *,
        rate: Annotated[float, Gt(0), Le(1)] = 0.5,
        count: Annotated[int, Ge(1)] | None = None,
        kind: Literal["red", "blue"] = "red",
        shiny: bool = False,
    ) -> None: ...


POSITIVE_OR_NONE: Any = Optional[Annotated[int, Ge(1)]]  # noqa: UP045 - pyright knows no other way


def parameter(annotation: Any) -> Parameter:
    return Parameter(name="p", annotation=annotation, default=None)


def test_the_keyword_only_parameters_of_a_class_are_found_in_their_order_with_their_defaults() -> None:
    found = keyword_parameters(Widget)
    assert {name: known.default for name, known in found.items()} == {
        "rate": 0.5,
        "count": None,
        "kind": "red",
        "shiny": False,
    }
    assert list(found) == ["rate", "count", "kind", "shiny"]


def test_the_keyword_only_parameters_of_a_function_are_found() -> None:
    def schedule(step: int, *, warmup: Annotated[float, Ge(0)]) -> float:
        return step * warmup

    found = keyword_parameters(schedule)
    assert list(found) == ["warmup"]
    assert found["warmup"].allowed() == "float, >= 0"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (float, "float"),
        (Annotated[float, Ge(0), Lt(1)], "float, >= 0, < 1"),
        (Annotated[int, Gt(0), Le(9)], "int, > 0, <= 9"),
        (bool, "bool"),
        (Literal["adam", "sgd"], "adam | sgd"),
        (POSITIVE_OR_NONE, "int, >= 1 or none"),
        (Any, "Any"),
    ],
)
def test_type_and_range_are_said_in_words(annotation: Any, words: str) -> None:
    assert parameter(annotation).allowed() == words


@pytest.mark.parametrize(
    ("annotation", "value", "taken"),
    [
        (float, 1, 1.0),
        (Annotated[float, Ge(0)], 0, 0.0),
        (int, 3, 3),
        (int, 2**53 + 1, 2**53 + 1),
        (float, 2**60, float(2**60)),
        (bool, True, True),
        (Literal["a", "b"], "b", "b"),
        (POSITIVE_OR_NONE, None, None),
    ],
)
def test_a_value_is_taken_as_the_type_that_is_asked_for(annotation: Any, value: object, taken: object) -> None:
    got = parameter(annotation).check(value)
    assert (type(got), got) == (type(taken), taken)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (Annotated[float, Gt(0)], 0.0, "p should be greater than 0, but got 0.0"),
        (Annotated[float, Ge(0), Lt(1)], 1, "p should be less than 1, but got 1"),
        (Annotated[float, Ge(0)], float("nan"), "p should be greater than or equal to 0, but got nan"),
        (float, True, "p should be a valid number, but got True"),
        (float, "0.5", "p should be a valid number, but got '0.5'"),
        (int, 3.0, "p should be a valid integer, but got 3.0"),
        (int, True, "p should be a valid integer, but got True"),
        (bool, 1, "p should be a valid boolean, but got 1"),
        (Literal["adam", "adamw", "sgd"], "adm", "p should be 'adam', 'adamw' or 'sgd', but got 'adm'"),
        (POSITIVE_OR_NONE, 0, "p should be greater than or equal to 1, but got 0"),
        (int, None, "p should be a valid integer, but got None"),
        (float, 2**53 + 1, "p must be a number that a float holds exactly, but got 9007199254740993"),
        (Annotated[float, Ge(0)], 10**400, f"p must be a number that a float holds exactly, but got {10**400}"),
    ],
)
def test_a_value_that_is_not_taken_is_told_the_rule_and_then_itself(
    annotation: Any, value: object, message: str
) -> None:
    with pytest.raises(StudyError) as raised:
        parameter(annotation).check(value)
    assert str(raised.value) == message


def test_options_come_back_as_the_function_takes_them() -> None:
    assert check_options("widget", Widget, {"rate": 1, "kind": "blue"}) == {"rate": 1.0, "kind": "blue"}
    assert check_options("widget", Widget, {}) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rat": 1},
            "unknown option of widget 'rat' (did you mean 'rate'?); valid names: rate, count, kind, shiny",
        ),
        ({"size": 1}, "unknown option of widget 'size'; valid names: rate, count, kind, shiny"),
        ({"rate": 2}, "widget: rate should be less than or equal to 1, but got 2"),
    ],
)
def test_options_that_are_not_taken_name_what_they_belong_to(options: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as raised:
        check_options("widget", Widget, options)
    assert str(raised.value) == message


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_architecture_has_a_hyperparameter_of_the_name_of_a_training_setting(name: str) -> None:
    assert not set(keyword_parameters(architecture(name))) & set(keyword_parameters(TrainingConfig))


def test_every_training_setting_takes_its_own_default() -> None:
    for name, known in keyword_parameters(TrainingConfig).items():
        assert known.check(known.default) == known.default, name
