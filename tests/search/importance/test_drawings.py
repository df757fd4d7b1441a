import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from optrack.search.importance.drawings import figures
from optrack.search.importance.importance import Importances
from optrack.search.importance.trials import best_trial
from optrack.search.pages.drawing import Drawing
from optrack.search.stores.trials import compared_study

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING

Direction = Literal["maximize", "minimize"]

HEADINGS = [
    "Parameter importance",
    "Optimization history",
    "One parameter at a time",
    "Two parameters at a time",
    "All parameters together",
    "Learning curves",
    "Timeline",
]

LR = FloatDistribution(1e-4, 1e-1, log=True)
DROPOUT = FloatDistribution(0.0, 0.5)
DEPTH = IntDistribution(1, 4)
OPTIMIZER = CategoricalDistribution(("adam", "sgd"))
MOMENTUM = FloatDistribution(0.8, 0.99)

NOTHING = Importances(values={}, finished=30, left_out={})

EVERYTHING = (COMPLETE, COMPLETE, PRUNED, COMPLETE, FAIL) * 6 + (RUNNING, WAITING)


def a_trial(number: int, state: TrialState, space: Mapping[str, BaseDistribution], rng: random.Random) -> FrozenTrial:
    params: dict[str, Any] = {}
    for name, distribution in space.items():
        if name == "momentum" and params["optimizer"] != "sgd":
            continue
        if isinstance(distribution, CategoricalDistribution):
            params[name] = rng.choice(distribution.choices)
        elif isinstance(distribution, IntDistribution):
            params[name] = rng.randint(distribution.low, distribution.high)
        elif isinstance(distribution, FloatDistribution):
            params[name] = rng.uniform(distribution.low, distribution.high)
    start = datetime(2026, 1, 1) + timedelta(minutes=number)  # noqa: DTZ001  Optuna's times are naive
    value = rng.uniform(0.5, 0.9)
    if state == WAITING:
        params = {}
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value if state in (COMPLETE, PRUNED) else None,
        datetime_start=None if state == WAITING else start,
        datetime_complete=start + timedelta(seconds=30) if state.is_finished() else None,
        params=params,
        distributions={name: space[name] for name in params},
        user_attrs={"epochs": "metrics of every epoch"},
        system_attrs={},
        intermediate_values={} if state == WAITING else {1: value / 2, 2: value},
    )


def a_study(
    states: Sequence[TrialState],
    space: Mapping[str, BaseDistribution] | None = None,
    direction: Direction = "maximize",
) -> optuna.Study:
    rng = random.Random(0)  # noqa: S311  made-up trials
    full: Mapping[str, BaseDistribution] = {
        "lr": LR,
        "dropout": DROPOUT,
        "depth": DEPTH,
        "optimizer": OPTIMIZER,
        "momentum": MOMENTUM,
    }
    study = optuna.create_study(direction=direction)
    study.add_trials([a_trial(i, state, space or full, rng) for i, state in enumerate(states)])
    return study


def ranked(*names: str) -> Importances:
    return Importances(
        values={name: 1 / len(names) for name in names},
        finished=30,
        left_out={},
        intervals=dict.fromkeys(names, (0.1, 0.9)),
    )


def drawn(study: optuna.Study, importances: Importances = NOTHING) -> dict[str, Drawing]:
    drawings = figures(study, metric="val_accuracy", importances=importances)
    return {drawing.heading: drawing for drawing in drawings}


def reasons(study: optuna.Study) -> dict[str, str]:
    return {heading: drawing.explanation for heading, drawing in drawn(study).items() if not drawing.plots}


def test_a_full_study_gets_all_seven_figures() -> None:
    drawings = drawn(a_study(EVERYTHING), ranked("lr", "dropout"))
    assert list(drawings) == HEADINGS
    assert all(drawing.plots for drawing in drawings.values())
    assert len(drawings["One parameter at a time"].plots) == 5
    assert len(drawings["Two parameters at a time"].plots) == 6


def test_figures_are_plain_json_without_title_and_template_and_with_a_height() -> None:
    for drawing in figures(a_study(EVERYTHING), metric="val_accuracy", importances=ranked("lr", "dropout")):
        for plot in drawing.plots:
            assert json.loads(json.dumps(plot, allow_nan=False)) == plot
            assert plot["layout"].keys().isdisjoint({"title", "template"})
            assert 100 < plot["layout"]["height"] < 600


def test_an_empty_study_gets_a_reason_for_each_figure() -> None:
    assert list(reasons(a_study([]))) == HEADINGS


@pytest.mark.parametrize("state", [COMPLETE, PRUNED, FAIL, RUNNING, WAITING])
@pytest.mark.parametrize("count", [1, 2])
def test_few_trials_of_one_state_raise_nothing_and_say_why(state: TrialState, count: int) -> None:
    said = reasons(a_study([state] * count)).values()
    assert not [reason for reason in said if reason.startswith("Optuna could not")]


def test_a_single_parameter_is_not_ranked_and_not_paired() -> None:
    said = reasons(a_study(EVERYTHING, {"lr": LR}))
    assert set(said) == {"Parameter importance", "Two parameters at a time"}
    assert said["Parameter importance"] == "There is a single parameter, and so nothing to rank."


def test_parameters_that_never_vary_raise_nothing() -> None:
    fixed = {"lr": FloatDistribution(0.1, 0.1), "optimizer": CategoricalDistribution(("adam",))}
    assert "Two parameters at a time" in reasons(a_study(EVERYTHING, fixed))


def test_trials_without_epochs_get_no_learning_curves() -> None:
    study = optuna.create_study()
    study.add_trial(optuna.trial.create_trial(value=1.0, params={"lr": 0.01}, distributions={"lr": LR}))
    assert reasons(study)["Learning curves"] == "No trial has reported a value after an epoch yet."


def test_an_infinite_value_is_left_out() -> None:
    study = a_study([COMPLETE] * 5)
    study.add_trial(
        optuna.trial.create_trial(value=float("inf"), params={"lr": 0.01}, distributions={"lr": LR}),
    )
    best = best_trial(study)
    assert best is not None
    assert best.number < 5
    assert not [reason for reason in reasons(study).values() if reason.startswith("Optuna could not")]


def test_choices_of_mixed_types_are_drawn() -> None:
    mixed = {"size": CategoricalDistribution((None, 1, "two", True, 2.5)), "lr": LR}
    assert set(reasons(a_study([COMPLETE] * 20, mixed))) == {"Parameter importance"}


def test_the_metric_names_the_axes() -> None:
    drawings = drawn(a_study(EVERYTHING))
    for heading in ("Optimization history", "One parameter at a time", "Learning curves"):
        assert drawings[heading].plots[0]["layout"]["yaxis"]["title"]["text"] == "val_accuracy"


def test_the_best_trial_is_the_one_curve_that_stands_out() -> None:
    study = a_study(EVERYTHING)
    curves = drawn(study)["Learning curves"].plots[0]["data"]
    best = best_trial(study)
    assert best is not None
    assert [trace["name"] for trace in curves if trace["line"]["width"] > 2] == [f"trial {best.number}"]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_line_is_orange_and_on_top(direction: Direction) -> None:
    study = a_study([COMPLETE] * 5, direction=direction)
    *lines, _ = drawn(study)["All parameters together"].plots[0]["data"]
    assert lines[-1]["line"]["color"] == "#d55e00"
    assert lines[-1]["customdata"][0][1] == f"{study.best_value:.3g}"


def test_figures_of_few_parameters_show_those_that_rank_highest_and_say_so() -> None:
    space = {f"p{i}": DROPOUT for i in range(6)}
    drawing = drawn(a_study([COMPLETE] * 10, space), ranked("p5", "p4", "p3", "p2"))["Two parameters at a time"]
    axes = {plot["layout"][axis]["title"]["text"] for plot in drawing.plots for axis in ("xaxis", "yaxis")}
    assert axes == {"p2", "p3", "p4", "p5"}
    assert drawing.explanation.endswith("Of 6 parameters the 4 that rank highest are shown.")


def test_without_a_ranking_the_first_in_the_alphabet_are_shown() -> None:
    drawing = drawn(a_study([COMPLETE] * 10))["Two parameters at a time"]
    assert drawing.explanation.endswith("Of 5 parameters the 4 that come first in the alphabet are shown.")


def test_the_caution_stands_beside_the_importance_alone() -> None:
    drawings = drawn(a_study(EVERYTHING), FOUND)
    assert {heading: drawing.caution for heading, drawing in drawings.items() if drawing.caution} == {
        "Parameter importance": "too few trials to rank: 18 finished, 20 needed"
    }


FOUND = Importances(
    values={"lr": 0.7, "dropout": 0.3},
    finished=18,
    left_out={},
    evaluator="mdi",
    intervals={"lr": (0.5, 0.95), "dropout": (0.0, 0.6)},
    chance={"lr": 0.4, "dropout": 0.4},
)


def test_importances_are_drawn_with_their_intervals_and_the_unproven_in_grey() -> None:
    (plot,) = drawn(a_study(EVERYTHING), FOUND)["Parameter importance"].plots
    (bars,) = plot["data"]
    assert (bars["y"], bars["x"]) == (["dropout", "lr"], [0.3, 0.7])
    assert bars["error_x"]["array"] == pytest.approx([0.3, 0.25])
    assert bars["error_x"]["arrayminus"] == pytest.approx([0.3, 0.2])
    assert bars["marker"]["color"] == ["#8a94a6", "#2b83ba"]
    texts = {text["y"]: text["text"] for text in plot["layout"]["annotations"]}
    assert texts == {"lr": "0.70 (0.50-0.95)", "dropout": "0.30 (0.00-0.60)"}


def test_the_sentence_says_what_the_intervals_are_and_how_many_trials_they_rest_on() -> None:
    drawing = drawn(a_study(EVERYTHING), FOUND)["Parameter importance"]
    assert "MDI" in drawing.explanation
    assert "90% intervals" in drawing.explanation
    assert "finished trials, 18. Bars whose lines overlap cannot be ordered." in drawing.explanation
    assert drawing.explanation.endswith("Grey bars cannot be told from a parameter without any effect.")
    assert drawing.caution == "too few trials to rank: 18 finished, 20 needed"


def test_the_timeline_says_how_trials_ended_in_our_words() -> None:
    (plot,) = drawn(a_study(EVERYTHING))["Timeline"].plots
    assert {trace["name"] for trace in plot["data"]} == {"finished", "pruned", "failed", "running", "waiting"}


def test_names_and_choices_are_text_and_never_markup() -> None:
    hostile = '<a href="https://example.org">x</a>'
    space: dict[str, BaseDistribution] = {hostile: LR, "optimizer": CategoricalDistribution((hostile, "adam"))}
    study = a_study([COMPLETE] * 10, space)
    shares, ends = {hostile: 0.6, "optimizer": 0.4}, {hostile: (0.5, 0.7), "optimizer": (0.3, 0.5)}
    found = Importances(values=shares, finished=10, left_out={}, intervals=ends, chance=shares)
    drawings = figures(study, metric=hostile, importances=found)
    assert drawings[0].plots
    assert "<a " not in json.dumps([drawing.plots for drawing in drawings])


def test_what_a_trial_carries_besides_its_parameters_is_not_drawn() -> None:
    assert "metrics of every epoch" not in json.dumps([d.plots for d in drawn(a_study(EVERYTHING)).values()])


def test_a_long_study_is_thinned_but_keeps_its_best_trial() -> None:
    study = a_study([COMPLETE] * 300)
    drawings = drawn(study)
    lines = drawings["All parameters together"].plots[0]["data"]
    curves = drawings["Learning curves"].plots[0]["data"]
    bars = drawings["Timeline"].plots[0]["data"]
    best = best_trial(study)
    assert best is not None
    assert len(lines) == 201
    assert f"trial {best.number}" in {trace["name"] for trace in curves}
    assert len(curves) in (200, 201)
    assert sum(len(trace["y"]) for trace in bars) == 200
    assert len(json.dumps([drawing.plots for drawing in drawings.values()])) < 2_000_000


def test_optuna_says_nothing_and_the_study_stays_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    study = a_study([COMPLETE, RUNNING])
    before = study.trials
    capfd.readouterr()
    figures(study, metric="val_accuracy", importances=ranked("lr", "dropout"))
    assert capfd.readouterr() == ("", "")
    assert study.trials == before
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING


def test_a_figure_that_optuna_cannot_draw_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr("optuna.visualization.plot_slice", fail)
    assert {
        heading: drawing.explanation for heading, drawing in drawn(a_study(EVERYTHING)).items() if not drawing.plots
    } == {
        "Parameter importance": "There are not two parameters yet that can be compared.",
        "One parameter at a time": "Optuna could not draw this: ValueError: no such thing",
    }


def test_trials_keep_their_numbers_where_others_are_kept_apart() -> None:
    study = optuna.create_study(direction="maximize")
    for trial in a_study([COMPLETE] * 6).trials:
        trial.user_attrs = {"planned_epochs": 4 if trial.number in (2, 5) else 2}
        study.add_trial(trial)
    drawings = drawn(compared_study(study, epochs=4))
    [history] = drawings["Optimization history"].plots
    assert history["data"][0]["x"] == [2, 5]
    [timeline] = drawings["Timeline"].plots
    assert [trace["y"] for trace in timeline["data"]] == [[2, 5]]
