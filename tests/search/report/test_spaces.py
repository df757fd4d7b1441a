import math
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from optrack.search import Categorical, Float, Int
from optrack.search.report.spaces import position, space_rows, top_trials

BEST = {"lr": 1e-3, "depth": 5, "optimizer": "adam"}


@given(st.floats(1e-6, 1e3), st.floats(1.001, 1e6), st.floats(0, 1), st.booleans())
def test_a_value_lies_where_its_share_of_the_scale_puts_it(low: float, factor: float, share: float, log: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    high = low * factor
    value = math.exp(math.log(low) + share * math.log(factor)) if log else low + share * (high - low)
    assert abs(position(Float(low, high, log=log), value) - share) < 1e-5


def test_a_value_outside_of_its_range_lies_at_its_end() -> None:
    assert position(Int(1, 5), 9) == 1.0
    assert position(Int(3, 3), 3) == 0.5


def test_a_row_says_where_the_champion_and_the_top_trials_lie(study_of: Any, stored_of: Any) -> None:
    study = study_of("alpha")
    lower = {**BEST, "lr": 1e-4, "depth": 3}
    stored = stored_of(study, "alpha", [(BEST, 0.9, {}), (lower, 0.8, {}), ({**BEST, "lr": 1e-2}, None, {})])
    lr, depth, optimizer, momentum = space_rows(stored, BEST)
    assert (lr.champion, lr.place, lr.band, lr.found, lr.edge) == ([0.001], 50.0, (0.0, 50.0), "0.0001 to 0.001", "")
    assert lr.picture == "the champion at 50 per cent of the range, top trials from 0 to 50 per cent"
    assert (depth.place, depth.band, depth.edge) == (100.0, (50.0, 50.0), "upper")
    assert optimizer.choices == [("adam", 2, 2, True), ("sgd", 0, 0, False)]
    assert (optimizer.place, optimizer.band, optimizer.found) == (None, None, "adam in 2")
    assert (momentum.champion, momentum.place, momentum.band) == ([], None, None)
    assert momentum.condition == "only with optimizer = sgd"


def test_within_two_per_cent_of_an_end_is_its_edge(study_of: Any, stored_of: Any) -> None:
    study = study_of("alpha")

    def edge(lr: float) -> str:
        return space_rows(stored_of(study, "alpha", []), {**BEST, "lr": lr})[0].edge

    places = (0.0, 0.019, 0.021, 0.979, 0.981, 1.0)
    edges = [edge(10 ** (-4 + 2 * place)) for place in places]
    assert edges == ["lower", "lower", "", "", "upper", "upper"]


def test_a_family_without_trials_has_rows_without_places(study_of: Any, stored_of: Any) -> None:
    study = study_of("alpha")
    rows = space_rows(stored_of(study, "alpha", []), {})
    assert [row.name for row in rows] == ["lr", "depth", "optimizer", "momentum"]
    assert all((row.champion, row.place, row.found, row.edge) == ([], None, "", "") for row in rows)
    assert rows[0].picture == "nothing found yet"


def test_the_top_trials_are_the_lowest_where_the_loss_counts(study_of: Any, stored_of: Any) -> None:
    trials: list[Any] = [(BEST, value, {}) for value in (0.5, 0.1, 0.4, 0.2, 0.3)]
    accuracy = stored_of(study_of("alpha"), "alpha", trials)
    loss = stored_of(study_of("alpha", metric="val_loss"), "alpha", trials)
    assert [trial.value for trial in top_trials(accuracy)] == [0.5, 0.4, 0.3]
    assert [trial.value for trial in top_trials(loss)] == [0.1, 0.2, 0.3]


def test_equal_looking_choices_of_different_types_are_told_apart(study_of: Any, stored_of: Any) -> None:
    study = study_of("alpha")
    family = replace(study.families[0], space={"optimizer": Categorical("1", 1)})
    stored = stored_of(replace(study, families=[family]), "alpha", [])
    (row,) = space_rows(stored, {"optimizer": 1})
    assert row.choices == [("1", 0, 0, False), (1, 0, 0, True)]
