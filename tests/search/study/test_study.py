import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from optrack.search import (
    Budget,
    Categorical,
    Data,
    Family,
    Float,
    Int,
    OptrackError,
    Pruner,
    Sampler,
    Study,
    StudyError,
)
from optrack.search.study import first_problem

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


ONE_VALUE = "must be one value (bool, int, float, str or None)"
KINDS = "must be Float, Int or Categorical"


def odd(value: object) -> Any:
    return value


def of(**parts: Any) -> Family:
    return Family("f", architecture="a", **parts)


def smallest(**changes: Any) -> Study:
    parts: dict[str, Any] = {"name": "s", "data": Data("digits"), "families": [Family("f", architecture="mlp")]}
    return Study(**{**parts, **changes})


@given(study=...)
def test_a_study_comes_back_from_json_as_it_was(study: Study) -> None:
    back = Study.from_json(study.to_json())
    assert back == study
    assert repr(back) == repr(study)  # 1, 1.0 and True are equal, and differ here
    assert back.to_json() == study.to_json()


@pytest.mark.parametrize("value", [True, False, 1, 1.0, -0.0, "1", "", None, 1e22, 2**60, "a\nb", "é"])
def test_a_value_keeps_its_type_through_json(value: Any) -> None:
    family = Family(
        "f",
        architecture="a",
        options={"fixed": value},
        space={"a": Categorical(value), "b": Int(0, 1, when={"a": value}), "c": Int(0, 1, when={"a": (value,)})},
        start=[{"a": value}],
    )
    back = Study.from_json(smallest(families=[family], sampler=Sampler("x", o=value)).to_json())
    kept = back.families[0]
    space: Any = kept.space
    found = [kept.options["fixed"], space["a"].choices[0], space["b"].when["a"], space["c"].when["a"][0]]
    assert [(type(one), one) for one in [*found, kept.start[0]["a"], back.sampler.options["o"]]] == 6 * [
        (type(value), value)
    ]


@given(text=st.text(st.characters(codec=None)) | st.binary() | JSON.map(json.dumps))
def test_text_that_is_no_study_raises_a_study_error_alone(text: str | bytes) -> None:
    with pytest.raises(StudyError) as raised:
        Study.from_json(text)
    assert len(str(raised.value).splitlines()) == 1
    assert str(raised.value).startswith("not a study: ")


def keys_of(tree: Any) -> list[Any]:
    return list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container in a tree with each of its keys."""
    keys = keys_of(tree)
    return [(tree, key) for key in keys] + [place for key in keys for place in places(tree[key])]


@settings(max_examples=300)
@given(study=..., data=st.data())
def test_a_study_with_a_mutation_is_a_study_or_a_study_error(study: Study, data: st.DataObject) -> None:
    tree = json.loads(study.to_json())
    found = places(tree)
    container, key = found[data.draw(st.integers(0, len(found) - 1))]
    match data.draw(st.sampled_from(["replace", "delete", "add"])):
        case "replace":
            container[key] = data.draw(JSON)
        case "delete":
            del container[key]
        case _ if isinstance(container, dict):
            container[data.draw(st.text(max_size=4) | st.sampled_from(["self", "name", "values", "options"]))] = (
                data.draw(JSON)
            )
        case _:
            container.append(data.draw(JSON))
    try:
        mutated = Study.from_json(json.dumps(tree))
    except StudyError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - most mutations raise, not all
    else:
        assert Study.from_json(mutated.to_json()) == mutated


CHANGES: list[tuple[Callable[[Any], object], str]] = [
    (lambda tree: tree.pop("data"), "data"),
    (lambda tree: tree.update(sampler={}), "name"),
    (lambda tree: tree.update(sampler={"name": "tpe", "options": [1]}), "not a study"),
    (lambda tree: tree.update(metric="f1"), "'val_accuracy' or 'val_loss', but got 'f1'"),
    (lambda tree: tree["budget"].update(trials=0), "budget.trials should be greater than or equal to 1, but got 0"),
    (lambda tree: tree["budget"].update(epochs=1.5), "budget.epochs"),
    (lambda tree: tree["data"].update(validation="x\ny"), "data.validation"),
    (lambda tree: tree["families"][0].update(space={"a\nb": {"type": "float", "low": 2, "high": 1}}), "low must"),
    (lambda tree: tree["families"][0].update(space={"a": {"type": "real"}}), "space.a"),
]


@pytest.mark.parametrize(("change", "says"), CHANGES)
def test_what_is_wrong_in_the_json_of_a_study_is_said_in_one_line(
    change: Callable[[Any], object], says: str, json_of: Callable[[Study], Any]
) -> None:
    tree = json_of(smallest())
    change(tree)
    with pytest.raises(StudyError) as raised:
        Study.from_json(json.dumps(tree))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_text_of_an_error_is_one_line() -> None:
    assert str(OptrackError("first\nsecond")) == "first second"


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".a", "-a", "a" * 65, "ä", "a\n"])
def test_a_name_that_cannot_stand_in_paths_and_urls_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        smallest(name=name)
    with pytest.raises(ValidationError, match=r"name|0"):
        Family(name, architecture="a")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Budget(trials=0),
        lambda: Budget(epochs=True),
        lambda: Budget(patience=0),
        lambda: Budget(total_epochs=0),
        lambda: Budget(timeout_seconds=0),
        lambda: Budget(timeout_seconds=float("inf")),
        lambda: Data(""),
        lambda: Data("digits", image_size=0),
        lambda: Data("digits", validation=0.0),
        lambda: Data("digits", validation=1.0),
        lambda: Data("digits", split_seed=-1),
        lambda: Data("digits", split_seed=2**32),
        lambda: smallest(seed=2**32),
        lambda: smallest(seed=-1),
        lambda: smallest(families=[]),
        lambda: smallest(metric="accuracy"),
        lambda: smallest(speed=1),
        lambda: Sampler("tpe", seeds=[1]),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: Pruner(3),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_value_out_of_its_range_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValidationError):
        make()


def test_two_families_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="families must have distinct names, but 'f' is used twice"):
        smallest(families=2 * [Family("f", architecture="a")])


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        (
            {"options": {"lr": 0.1}, "space": {"lr": Float(0.1, 1)}},
            "lr is in both options and space of family 'f'",
        ),
        (
            {"space": {"a": Float(0, 1), "b": Float(0, 1, when={"a": 0.5})}},
            "the condition of b in family 'f' must depend on a categorical hyperparameter or a fixed option",
        ),
        ({"space": {"b": Float(0, 1, when={"a": 1})}}, "but names 'a'"),
        ({"space": {"a": Categorical(1, 2), "b": Int(0, 1, when={"a": (2, 3)})}}, "requires a=3, which is not one of"),
        ({"space": {"a": Categorical(1, 2), "b": Int(0, 1, when={"a": True})}}, "requires a=True, which is not one of"),
        ({"space": {"a": Categorical(1, when={"a": 1})}}, "in a circle"),
        (
            {"space": {"lr": Float(0.1, 1)}, "start": [{"lr": 0.5}, {"lr": 2.0}]},
            "a start configuration of family 'f' lies outside its space: lr must be a float from 0.1 to 1.0, but",
        ),
        ({"start": [{"lr": 0.5}]}, "lies outside its space: lr is not in the space"),
    ],
)
def test_a_family_that_makes_no_sense_is_refused_with_the_rule(parts: Any, rule: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Family("f", architecture="a", **parts)
    assert rule in str(raised.value)


def test_a_condition_may_look_at_a_fixed_option_of_any_value() -> None:
    family = Family("f", architecture="a", options={"o": 1}, space={"a": Int(0, 1, when={"o": 2})})
    assert family.configurations() == 1


def test_higher_accuracy_and_lower_loss_are_better() -> None:
    assert smallest(metric="val_accuracy").objective.maximize
    assert not smallest(metric="val_loss").objective.maximize


@pytest.mark.parametrize(
    ("made", "given", "named", "problem"),
    [
        (Data, ("digits",), {"image_sise": 32}, "unknown argument 'image_sise' (did you mean 'image_size'?); "),
        (
            Budget,
            (),
            {"trails": 3},
            "unknown argument 'trails' (did you mean 'trials'?); valid names: trials, epochs, ",
        ),
        (
            Float,
            (0.1, 1),
            {"stp": True},
            "unknown argument 'stp' (did you mean 'step'?); valid names: low, high, log, ",
        ),
        (Categorical, (1, 2), {"wen": {}}, "unknown argument 'wen' (did you mean 'when'?); valid names: choices, when"),
        (Data, ("digits", 32), {}, "32 must be given by name; names: name, image_size, "),
        (Family, ("f",), {}, "architecture is missing"),
    ],
)
def test_a_wrong_argument_is_named_with_the_nearest_one(
    made: Any, given: tuple[Any, ...], named: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        made(*given, **named)
    assert first_problem(caught.value).startswith(f"{made.__name__}: {problem}")


BOTH = "; Categorical(256, 512) chooses among them"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Float(odd((0.1, 0.2)), 1), "Float: low should be a valid number, but got (0.1, 0.2)"),
        (lambda: Int(256, odd((512,))), "Int: high should be a valid integer, but got (512,)"),
        (lambda: Categorical(odd((256, 512))), f"Categorical: each choice {ONE_VALUE}, but got (256, 512){BOTH}"),
        (lambda: Categorical(1, odd([256, 512])), f"Categorical: each choice {ONE_VALUE}, but got [256, 512]{BOTH}"),
        (lambda: Categorical(1, odd({})), f"Categorical: each choice {ONE_VALUE}, but got {{}}"),
        (lambda: Categorical(float("nan")), f"Categorical: each choice {ONE_VALUE}, finite, but got nan"),
        (Categorical, "Categorical: at least one choice is needed"),
        (lambda: of(options={"width": (256, 512)}), f"Family: options.width {ONE_VALUE}, but got (256, 512){BOTH}"),
        (lambda: of(options={"width": {"a": 1}}), f"Family: options.width {ONE_VALUE}, but got {{'a': 1}}"),
        (lambda: of(options={"lr": Float(1, 2)}), f"Family: options.lr {ONE_VALUE}, but got Float(low=1.0, "),
        (lambda: of(space={"width": (256, 512)}), f"Family: space.width {KINDS}, but got (256, 512){BOTH}"),
        (lambda: of(space={"width": [256, 512]}), f"Family: space.width {KINDS}, but got [256, 512]{BOTH}"),
        (lambda: of(space={"width": 256}), f"Family: space.width {KINDS}, but got 256"),
        (lambda: of(space={"width": Int}), f"Family: space.width {KINDS}, but got <class "),
        (lambda: of(space={"width": {"low": 1}}), f"Family: space.width {KINDS}, but got {{'low': 1}}"),
        (lambda: of(space={"width": {"type": "int"}}), f"Family: space.width {KINDS}, but got {{'type': 'int'}}"),
        (
            lambda: of(space={"width": Int(1, 999)}, start=[{"width": (256, 512)}]),
            f"Family: start.width {ONE_VALUE}, but got (256, 512){BOTH}",
        ),
        (lambda: of(start={"width": 256}), "Family: start should be a list"),
        (lambda: of(options=[256]), "Family: options should be a dict, but got [256]"),
        (lambda: Int(1, 2, when={"a": odd(((1, 2),))}), f"Int: when.a {ONE_VALUE}, but got (1, 2)"),
        (lambda: Int(1, 2, when=odd(("a", 1))), "Int: when should be a dict, but got ('a', 1)"),
        (lambda: Sampler("tpe", n=odd((256, 512))), f"Sampler: options.n {ONE_VALUE}, but got (256, 512)"),
        (lambda: Data(odd(("digits",))), "Data: name should be a valid string, but got ('digits',)"),
        (lambda: smallest(sampler="tpe"), "Study: sampler should be an instance of Sampler, but got 'tpe'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_what_is_allowed(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make()
    found = first_problem(caught.value)
    assert found.startswith(sentence)
    assert ("chooses among" in found) == ("chooses among" in sentence)


def test_a_choice_of_several_numbers_is_refused_in_json_in_the_same_words(json_of: Callable[[Study], Any]) -> None:
    tree = json_of(smallest(families=[of(space={"width": Categorical(1, 2)})]))
    tree["families"][0]["space"]["width"]["choices"][1] = [256, 512]
    with pytest.raises(StudyError, match=rf"each choice {re.escape(ONE_VALUE)}, but got \[256, 512\]"):
        Study.from_json(json.dumps(tree))


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 + 1, 10**30 + 1])
def test_a_whole_number_is_exact_however_large_it_is(number: int) -> None:
    study = smallest(families=[of(options={"width": number}, space={"depth": Categorical(number, number + 1)})])
    back = Study.from_json(study.to_json()).families[0]
    assert back.options["width"] == number
    assert back.space["depth"] == Categorical(number, number + 1)


def test_numbers_of_numpy_are_taken_as_what_they_are() -> None:
    options: dict[str, Any] = {"a": np.int64(2**53 + 1), "b": np.float64(0.1), "c": np.float32(0.5), "d": np.uint8(7)}
    kept = of(options=options).options
    assert [(type(value), value) for value in kept.values()] == [(int, 2**53 + 1), (float, 0.1), (float, 0.5), (int, 7)]
    assert Categorical(*np.array([256, 512])) == Categorical(256, 512)
