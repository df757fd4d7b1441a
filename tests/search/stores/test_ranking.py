from collections.abc import Mapping, Sequence
from typing import Any, cast

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from optrack.search import Data, Family, Float, Study
from optrack.search.stores.ranking import candidates, picked, replicated
from optrack.search.stores.trials import StoredFamily, Trial, trial_of

METRICS = ("val_accuracy", "val_loss")


def study_of(metric: str = "val_accuracy") -> Study:
    family = Family("f", architecture="mlp", options={"width": 16}, space={"lr": Float(0.0, 9.0)})
    return Study("s", data=Data("digits"), metric=cast("Any", metric), families=[family])


def a_trial(number: int, lr: float, value: float, state: TrialState = TrialState.COMPLETE) -> Trial:
    made = create_trial(
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        params={"lr": lr},
        distributions={"lr": FloatDistribution(0.0, 9.0)},
        user_attrs={"best_epoch": number + 1, "epochs": [{"epoch": 1, "val_loss": value}]},
    )
    made.number = number
    return trial_of(made)


def stored_of(trials: Sequence[Trial], metric: str = "val_accuracy") -> StoredFamily:
    # Optuna's study is not looked at.
    none = cast("optuna.Study", None)
    return StoredFamily(name="f", optuna_study=none, study=study_of(metric), trials=tuple(trials), kept={})


@st.composite
def families(draw: st.DrawFn) -> StoredFamily:
    """A few configurations, tried once or several times, with values that are often equal."""
    states = st.sampled_from([TrialState.COMPLETE] * 3 + [TrialState.PRUNED, TrialState.FAIL])
    drawn = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), states), max_size=10))
    trials = [a_trial(number, lr, value / 4, state) for number, (lr, value, state) in enumerate(drawn)]
    return stored_of(trials, draw(st.sampled_from(METRICS)))


@st.composite
def races(draw: st.DrawFn, trials: Sequence[int], count: int) -> dict[int, list[float]]:
    values = st.lists(st.integers(0, 8).map(float), min_size=count, max_size=count)
    return {trial: draw(values) for trial in trials}


def finished(stored: StoredFamily) -> list[Trial]:
    return [trial for trial in stored.trials if trial.state == "finished"]


@given(stored=families(), count=st.integers(0, 12))
def test_each_configuration_is_named_once_with_its_best_value_and_the_best_comes_first(
    stored: StoredFamily, count: int
) -> None:
    best_of = max if stored.study.objective.maximize else min
    values: dict[float, float] = {}
    for trial in finished(stored):
        lr = trial.params["lr"]
        values[lr] = best_of(values.get(lr, trial.value or 0.0), trial.value or 0.0)
    found = candidates(stored, count)
    assert len({each.params["lr"] for each in found}) == len(found) == min(count, len(values))
    assert [each.value for each in found] == sorted(values.values(), reverse=stored.study.objective.maximize)[:count]
    assert all(each.value == values[each.params["lr"]] for each in found)
    assert found == candidates(stored, len(stored.trials))[:count]


@given(stored=families())
def test_without_a_race_the_best_of_the_search_is_picked(stored: StoredFamily) -> None:
    chosen = picked(stored, {})
    assert (chosen and chosen.number) == (stored.best and stored.best.number)


@given(data=st.data(), stored=families())
def test_the_winner_of_a_whole_race_is_picked(data: st.DataObject, stored: StoredFamily) -> None:
    raced = [each.number for each in candidates(stored, data.draw(st.integers(1, 4)))]
    values = data.draw(races(raced, data.draw(st.integers(1, 3))))
    chosen = picked(stored, values)
    if chosen is None:
        assert not finished(stored)
        return
    means = {trial: sum(found) / len(found) for trial, found in values.items()}
    assert means[chosen.number] == (max if stored.study.objective.maximize else min)(means.values())
    assert chosen in candidates(stored, len(stored.trials))


@given(data=st.data(), stored=families())
def test_a_race_is_compared_over_the_seeds_that_all_of_its_configurations_have(
    data: st.DataObject, stored: StoredFamily
) -> None:
    raced = [each.number for each in candidates(stored, 3)]
    values = data.draw(races(raced, 2))
    more = {trial: [*found, *data.draw(st.lists(st.floats(0, 1), max_size=2))] for trial, found in values.items()}
    shortest = min(map(len, more.values()), default=0)
    assert picked(stored, more) == picked(stored, {trial: found[:shortest] for trial, found in more.items()})
    assert picked(stored, {trial: [] for trial in raced}) == picked(stored, {})


@given(data=st.data(), stored=families())
def test_a_race_without_the_best_of_the_search_does_not_count(data: st.DataObject, stored: StoredFamily) -> None:
    raced = [each.number for each in candidates(stored, 4)][1:]
    assert picked(stored, data.draw(races(raced, 2))) == picked(stored, {})


@pytest.mark.parametrize(("metric", "winner"), [("val_accuracy", 0), ("val_loss", 1)])
def test_a_race_is_won_by_the_mean_over_its_seeds(metric: str, winner: int) -> None:
    stored = stored_of([a_trial(0, 0.1, 0.5), a_trial(1, 0.2, 0.5)], metric)
    chosen = picked(stored, {0: [0.9, 0.1, 0.8], 1: [0.5, 0.5, 0.5]})
    assert chosen is not None
    assert chosen.number == winner


@pytest.mark.parametrize(
    ("params", "number"),
    [({"lr": 0.5}, 2), ({"lr": 0.25}, None), ({"lr": 0.75}, 3), ({}, None), ({"lr": 0.5, "more": 1}, None)],
)
def test_a_replicate_repeats_the_first_finished_trial_with_its_configuration(
    params: Mapping[str, Any], number: int | None
) -> None:
    trials = [
        a_trial(0, 0.5, 0.1, TrialState.FAIL),
        a_trial(1, 0.25, 0.1, TrialState.PRUNED),
        a_trial(2, 0.5, 0.1),
        a_trial(3, 0.75, 0.1),
        a_trial(4, 0.5, 0.9),
    ]
    assert replicated(params, finished(stored_of(trials))) == number
