import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from optrack.search import Reference
from optrack.search.pages.drawing import Drawing
from optrack.search.pictures import study_drawings
from optrack.search.results.values import FamilyResult, StudyResults, TestResult

HEADINGS = ["Best so far", "Accuracy against size and speed", "Budget spent"]
CLASSES = ("cat", "dog")
HOSTILE = "<b>x</b>"

Families = Callable[..., FamilyResult]
Tests = Callable[..., TestResult]
Results = Callable[..., StudyResults]


def shown(results: StudyResults) -> dict[str, Drawing]:
    return {item.heading: item for item in study_drawings(results) if isinstance(item, Drawing)}


def with_reference(result: FamilyResult, **reported: float) -> FamilyResult:
    study = result.stored.study
    families = [replace(family, reference=Reference(source="a report", **reported)) for family in study.families]
    return replace(result, stored=replace(result.stored, study=replace(study, families=families)))


def with_tests(result: FamilyResult, tests: list[TestResult]) -> FamilyResult:
    models = tuple(replace(model, test=test) for model, test in zip(result.models, tests, strict=True))
    return replace(result, models=models)


def test_figures_are_plain_json_without_title_and_template(family: Families, results: Results) -> None:
    drawings = shown(results(family(parameters=100, seeds=1), family("mlp", parameters=50)))
    assert list(drawings) == HEADINGS
    for plot in (plot for drawing in drawings.values() for plot in drawing.plots):
        assert json.loads(json.dumps(plot, allow_nan=False)) == plot
        assert plot["layout"].keys().isdisjoint({"title", "template"})


@pytest.mark.parametrize(("metric", "best"), [("val_accuracy", [0.6, 0.9, 0.9]), ("val_loss", [0.6, 0.5, 0.5])])
def test_a_line_steps_where_a_trial_beats_all_before_it(
    family: Families, results: Results, metric: str, best: list[float]
) -> None:
    states = ["COMPLETE", "PRUNED", "COMPLETE", "FAIL", "COMPLETE", "RUNNING"]
    values = [0.6, None, 0.9 if metric == "val_accuracy" else 0.5, None, 0.7, None]
    result = family(values=values, states=states, metric=metric)
    trials, seconds = shown(results(result))["Best so far"].plots
    (line,) = trials["data"]
    assert (line["x"], line["y"]) == ([1, 3, 5], best)
    assert line["line"]["shape"] == "hv"
    # Each of the trials that ended took two seconds, the pruned and the failed one, too.
    (line,) = seconds["data"]
    assert (line["x"], line["y"]) == ([2, 6, 10], best)


def test_time_is_counted_in_the_order_in_which_trials_ended(family: Families, results: Results) -> None:
    result = family(values=[0.9, 0.8])
    slow, quick = result.stored.trials
    swapped = (replace(slow, ended=quick.ended), replace(quick, ended=slow.ended))
    result = replace(result, stored=replace(result.stored, trials=swapped))
    _, seconds = shown(results(result))["Best so far"].plots
    assert seconds["data"][0]["y"] == [0.8, 0.9]


def test_a_family_has_the_same_colour_in_all_figures(family: Families, results: Results) -> None:
    drawings = shown(results(family(parameters=100), family("mlp", parameters=50, values=[])))
    lenet, mlp = drawings["Best so far"].plots[0]["data"]
    _, point = drawings["Accuracy against size and speed"].plots[0]["data"]
    assert point["name"] == lenet["name"] == "lenet"
    assert point["marker"]["color"] == lenet["line"]["color"] != mlp["line"]["color"]


def test_a_tested_family_stands_at_the_mean_of_its_seeds_with_their_spread(
    family: Families, tested: Tests, results: Results
) -> None:
    tests = [tested([0, 0, 1, 1], predictions, CLASSES) for predictions in ([0, 0, 1, 1], [0, 0, 1, 0])]
    result = with_tests(family(seeds=2, parameters=100, latency_ms=0.5, latency_device="cpu"), tests)
    drawing = shown(results(with_reference(result, test=0.8, validation=0.7)))[HEADINGS[1]]
    assert "Speed is the median for a single image, on cpu." in drawing.explanation
    size, speed = drawing.plots
    for plot, cost in ((size, 100), (speed, 0.5)):
        _, found, reported = plot["data"]
        assert (found["x"], found["y"]) == ([cost], [0.875])
        assert (found["error_y"]["array"], found["error_y"]["arrayminus"]) == ([0.125], [0.125])
        assert (reported["y"], reported["marker"]["symbol"]) == ([0.8], "circle-open")
        assert plot["layout"]["xaxis"]["type"] == "log"
        assert plot["layout"]["yaxis"]["title"]["text"] == "test accuracy"
    assert speed["layout"]["xaxis"]["title"]["text"] == "milliseconds for one image"


def test_before_all_are_tested_validation_is_shown_of_all_and_said(
    family: Families, tested: Tests, results: Results
) -> None:
    done = family(seeds=1, parameters=100, test=tested([0, 1], [0, 0], CLASSES))
    drawing = shown(results(with_reference(done, test=0.8), family("mlp", values=[0.7], parameters=50)))[HEADINGS[1]]
    (size,) = drawing.plots
    _, *points = size["data"]
    assert [point["y"] for point in points] == [[0.9], [0.7]]
    assert size["layout"]["yaxis"]["title"]["text"] == "validation accuracy"
    assert "validation" in drawing.caution
    assert "`optrack test study`" in drawing.explanation


def test_the_front_joins_the_families_that_no_other_one_beats(family: Families, results: Results) -> None:
    families = [
        family(f"f{number}", values=[value], parameters=parameters)
        for number, (parameters, value) in enumerate([(300, 0.9), (100, 0.7), (200, 0.6)])
    ]
    front = shown(results(*families))[HEADINGS[1]].plots[0]["data"][0]
    assert (front["name"], front["x"], front["y"]) == ("Pareto front", [100, 300], [0.7, 0.9])


def test_a_study_of_losses_still_compares_accuracies(family: Families, results: Results) -> None:
    result = family(values=[0.4], metric="val_loss", parameters=10)
    assert result.candidate is not None
    result = replace(result, candidate=replace(result.candidate, value=1.0))
    _, point = shown(results(result))[HEADINGS[1]].plots[0]["data"]
    assert point["y"] == [0.4]


def test_the_budget_counts_trials_by_state_epochs_and_seconds(family: Families, results: Results) -> None:
    states = ["COMPLETE", "PRUNED", "COMPLETE", "FAIL", "RUNNING", "WAITING"]
    result = family(values=[0.6, None, 0.9, None, None, None], states=states, seeds=2)
    trials, epochs, seconds = shown(results(result, family("mlp", values=[0.5])))["Budget spent"].plots
    assert {bar["name"]: bar["x"] for bar in trials["data"]} == {
        "finished": [2, 1],
        "pruned": [1, 0],
        "failed": [1, 0],
        "running": [1, 0],
        "waiting": [1, 0],
    }
    assert [bar["x"] for bar in epochs["data"]] == [[10, 2]]
    assert {bar["name"]: bar["x"] for bar in seconds["data"]} == {"search": [8, 2], "retraining": [6, 0]}
    assert all(plot["layout"]["barmode"] == "stack" for plot in (trials, epochs, seconds))


@pytest.mark.parametrize("states", [None, [], ["RUNNING"], ["FAIL"], ["PRUNED", "WAITING"]])
def test_without_a_finished_trial_the_figures_say_what_to_run(
    family: Families, results: Results, states: list[str] | None
) -> None:
    begun = [] if states is None else [family(values=[None] * len(states), states=states)]
    drawings = shown(results(*begun))
    said = [drawing.explanation for drawing in drawings.values() if not drawing.plots]
    assert len(said) == (2 if states else 3)
    assert all("`optrack run study`" in text for text in said)


def test_names_of_families_are_text_and_never_markup(family: Families, results: Results, tested: Tests) -> None:
    known: dict[str, Any] = {"parameters": 100, "latency_ms": 1.0, "latency_device": HOSTILE}
    result = family(HOSTILE, seeds=1, test=tested([0], [0], CLASSES), **known)
    drawn = json.dumps([drawing.plots for drawing in shown(results(result)).values()])
    assert "&lt;b&gt;x" in drawn
    assert "<b>" not in drawn


def test_a_long_search_stays_small(family: Families, results: Results) -> None:
    drawings = shown(results(family(values=[0.5] * 2000, params=[{}] * 2000)))
    assert len(json.dumps([drawing.plots for drawing in drawings.values()])) < 10_000


@pytest.mark.parametrize("heading", HEADINGS[:2])
@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_an_axis_around_equal_values_is_narrow(metric: str, heading: str, family: Families, results: Results) -> None:
    equal = [family(name, values=[0.8, 0.8], metric=metric, parameters=10) for name in ("lenet", "mlp")]
    for plot in shown(results(*equal))[heading].plots:
        low, high = plot["layout"]["yaxis"]["range"]
        assert 0.7 < low < 0.8 < high < 0.9
    different = [family("lenet", values=[0.7], metric=metric, parameters=10), equal[1]]
    for plot in shown(results(*different))[heading].plots:
        assert "range" not in plot["layout"]["yaxis"]
