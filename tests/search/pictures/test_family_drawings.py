import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optrack.search.pages.drawing import Drawing, Table
from optrack.search.pictures import family_drawings
from optrack.search.results.values import FamilyResult, TestResult

CLASSES = ("cat", "dog", "bird")
HOSTILE = '<a href="https://example.org">x</a>'
HEADINGS = [
    "Learning curves of the best trial",
    "Best against last weights",
    "Training of the models",
    "Confusion matrix",
    "Most frequent confusions",
    "Accuracy per class",
    "Calibration",
    "Settings of the top trials",
    "Top trials",
]

Families = Callable[..., FamilyResult]
Tests = Callable[..., TestResult]


def shown(result: FamilyResult) -> dict[str, Any]:
    return {item.heading: item for item in family_drawings(result)}


def plots_of(result: FamilyResult) -> list[Any]:
    return [item.plots for item in family_drawings(result) if isinstance(item, Drawing)]


@pytest.fixture
def whole(family: Families, tested: Tests) -> FamilyResult:
    return family(seeds=3, test=tested([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 2, 2], CLASSES))


def test_a_family_that_is_tested_gets_every_figure_and_table_in_order(whole: FamilyResult) -> None:
    items = family_drawings(whole)
    assert [item.heading for item in items] == HEADINGS
    assert all(item.rows if isinstance(item, Table) else item.plots for item in items)


def test_figures_are_plain_json_without_title_and_template_and_with_a_height(whole: FamilyResult) -> None:
    for plot in (plot for plots in plots_of(whole) for plot in plots):
        assert json.loads(json.dumps(plot, allow_nan=False)) == plot
        assert plot["layout"].keys().isdisjoint({"title", "template"})
        assert 100 < plot["layout"]["height"] < 600


def test_a_table_has_a_cell_for_each_column(whole: FamilyResult) -> None:
    for table in (item for item in family_drawings(whole) if isinstance(item, Table)):
        assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_the_best_epoch_is_marked_where_it_was(family: Families, epoch: int) -> None:
    accuracy, loss = shown(family(best_epoch=epoch))["Learning curves of the best trial"].plots
    for plot, value in ((accuracy, 0.9), (loss, 1.0)):
        training, validation, best = plot["data"]
        assert training["x"] == validation["x"] == [1, 2, 3, 4, 5]
        assert (best["x"], best["y"]) == ([epoch], [value])
        assert validation["y"][epoch - 1] == value
        assert [line["x0"] for line in plot["layout"]["shapes"]] == [epoch]


def test_the_table_of_weights_has_the_best_and_the_last_epoch(family: Families) -> None:
    table = shown(family(best_epoch=3))["Best against last weights"]
    assert table.columns == ("metric", "best, epoch 3#", "last, epoch 5#")
    assert table.rows == (
        ("training loss", "0.6667", "0.4000"),
        ("training accuracy", "70.00 %", "82.00 %"),
        ("validation loss", "1.0000", "3.0000"),
        ("validation accuracy", "90.00 %", "88.00 %"),
    )


def test_each_seed_has_a_training_curve_and_the_champion_comes_first(family: Families) -> None:
    for plot in shown(family(seeds=3))["Training of the models"].plots:
        assert [trace["name"] for trace in plot["data"]] == ["champion", "seed 2", "seed 3"]
        assert all(trace["x"] == [1, 2, 3] for trace in plot["data"])


@settings(max_examples=40)
@given(pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_each_row_of_the_confusion_matrix_holds_the_images_of_its_class_once(
    family: Families, tested: Tests, pairs: list[tuple[int, int]]
) -> None:
    labels, predictions = zip(*pairs, strict=True)
    result = family(seeds=1, test=tested(labels, predictions, [f"class {index}" for index in range(5)]))
    right, wrong = shown(result)["Confusion matrix"].plots[0]["data"]
    for label in range(5):
        row = zip(right["customdata"][label], wrong["customdata"][label], strict=True)
        cells = [sum(count for count in cell if count is not None) for cell in row]
        assert cells == [pairs.count((label, taken)) for taken in range(5)]
    for label, row in enumerate(right["z"]):
        assert [value is not None for value in row] == [taken == label for taken in range(5)]


@pytest.mark.parametrize(("classes", "numbered"), [(15, True), (16, False)])
def test_cells_hold_numbers_as_long_as_there_is_room(
    family: Families,
    tested: Tests,
    classes: int,
    numbered: bool,  # noqa: FBT001
) -> None:
    labels = list(range(classes))
    result = family(seeds=1, test=tested(labels, labels, [f"class {index}" for index in labels]))
    drawing = shown(result)["Confusion matrix"]
    right, _ = drawing.plots[0]["data"]
    assert ("texttemplate" in right) is numbered
    assert bool(drawing.minimum_width) is not numbered


def test_of_very_many_classes_those_with_most_mistakes_are_shown(family: Families, tested: Tests) -> None:
    names = [f"class {index}" for index in range(300)]
    labels = list(range(300)) * 2
    predictions = [*range(300), *(299 - index if index < 10 else index for index in range(300))]
    items = shown(family(seeds=1, test=tested(labels, predictions, names)))
    matrix = items["Confusion matrix"]
    right, _ = matrix.plots[0]["data"]
    mistaken = {f"class {index}" for index in (*range(10), *range(290, 300))}
    assert len(right["x"]) == 60
    assert mistaken <= set(right["x"])
    assert "Of 300 classes the 60 with most mistakes are shown." in matrix.explanation
    assert "The 60 worst of 300 classes are shown." in items["Accuracy per class"].explanation
    assert set(items["Accuracy per class"].plots[0]["data"][0]["y"][:10]) == {f"class {index}" for index in range(10)}


def test_the_largest_confusions_come_first_with_their_share_of_the_class(whole: FamilyResult) -> None:
    table = shown(whole)["Most frequent confusions"]
    assert table.rows == (("cat", "dog", "2", "66.67 %"), ("dog", "bird", "1", "50.00 %"))
    assert table.explanation.startswith("3 of 6 test images were mistaken; these confusions make up 3 of them.")


def test_without_a_mistake_there_is_no_table_of_confusions(family: Families, tested: Tests) -> None:
    result = family(seeds=1, test=tested([0, 1, 2], [0, 1, 2], CLASSES))
    assert "Most frequent confusions" not in shown(result)
    assert "(the strongest orange: 0.00 %)" in shown(result)["Confusion matrix"].explanation


def test_classes_are_sorted_from_the_worst_with_their_test_images(whole: FamilyResult) -> None:
    plot = shown(whole)["Accuracy per class"].plots[0]
    (points,) = plot["data"]
    assert points["y"] == ["cat", "dog", "bird"]
    assert points["x"] == pytest.approx([1 / 3, 1 / 2, 1])
    assert points["customdata"] == [[1, "3 test images"], [1, "2 test images"], [1, "1 test image"]]
    assert plot["layout"]["yaxis"]["categoryarray"] == points["y"]
    assert [line["x0"] for line in plot["layout"]["shapes"]] == [0.5]


def test_the_interval_of_a_class_is_that_of_wilson(whole: FamilyResult) -> None:
    (points,) = shown(whole)["Accuracy per class"].plots[0]["data"]
    bars = points["error_x"]
    # 1 of 2: 0.0945 to 0.9055 (Wilson 1927, with z = 1.96).
    assert points["x"][1] - bars["arrayminus"][1] == pytest.approx(0.0945, abs=1e-4)
    assert points["x"][1] + bars["array"][1] == pytest.approx(0.9055, abs=1e-4)


def test_a_class_without_test_images_is_left_out_and_counted(family: Families, tested: Tests) -> None:
    drawing = shown(family(seeds=1, test=tested([0, 1], [0, 2], CLASSES)))["Accuracy per class"]
    assert drawing.plots[0]["data"][0]["y"] == ["dog", "cat"]
    assert "1 class has no test image." in drawing.explanation


def test_calibration_counts_every_image_and_names_its_error(whole: FamilyResult) -> None:
    drawing = shown(whole)["Calibration"]
    _, points = drawing.plots[0]["data"]
    assert sum(points["customdata"]) == 6
    assert "off by 3.25 % (expected calibration error)" in drawing.explanation


def test_confidences_that_are_no_numbers_leave_the_other_figures(family: Families, tested: Tests) -> None:
    test = tested([0, 1], [0, 0], CLASSES)
    diverged = replace(test, confidences=np.full(2, np.nan, dtype=np.float32), calibration_error=float("nan"))
    items = shown(family(seeds=1, test=diverged))
    assert items["Calibration"].plots == ()
    assert "confidences must lie in [0, 1]" in items["Calibration"].explanation
    assert items["Confusion matrix"].plots


def test_epochs_without_a_finite_loss_are_gaps(family: Families) -> None:
    result = family()
    assert result.candidate is not None
    epochs = [replace(epoch, train_loss=float("nan"), val_loss=float("inf")) for epoch in result.candidate.epochs]
    items = shown(replace(result, candidate=replace(result.candidate, epochs=tuple(epochs))))
    _, loss = items["Learning curves of the best trial"].plots
    assert all(value is None for trace in loss["data"] for value in trace["y"])
    assert [row[1] for row in items["Best against last weights"].rows][::2] == ["-", "-"]


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_the_top_trials_are_the_best_ten_by_the_metric(family: Families, metric: str) -> None:
    values = [0.5 + 0.01 * (number * 7 % 12) for number in range(12)]
    items = shown(family(values=values, metric=metric))
    ranked = sorted(range(12), key=lambda number: values[number], reverse=metric == "val_accuracy")[:10]
    assert [int(row[0]) for row in items["Top trials"].rows] == ranked
    (points,) = items["Settings of the top trials"].plots[0]["data"]
    assert points["customdata"] == ranked
    assert points["x"] == [0.001 * (number + 1) for number in ranked]
    assert points["marker"]["color"].count("#d55e00") == 1
    assert points["marker"]["color"][0] == "#d55e00"


def test_learning_rates_stand_on_a_logarithmic_axis_over_all_that_was_searched(family: Families) -> None:
    axis = shown(family())["Settings of the top trials"].plots[0]["layout"]["xaxis"]
    low, high = axis["range"]
    assert axis["type"] == "log"
    assert low < -4 < -1 < high
    assert axis["tickvals"] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])


def test_settings_that_a_family_lacks_are_left_out(family: Families) -> None:
    def titles(*params: dict[str, Any]) -> list[str]:
        drawing = shown(family(values=[0.5] * len(params), params=params)).get(HEADINGS[7])
        return [] if drawing is None else [plot["layout"]["xaxis"]["title"]["text"] for plot in drawing.plots]

    assert titles({"dropout": 0.1}) == []
    assert titles({"lr": 0.1}) == ["learning rate"]
    both = ["learning rate", "batch norm momentum", "batch norm"]
    assert titles({"lr": 0.1, "batch_norm": True, "bn_momentum": 0.1}, {"lr": 0.1, "batch_norm": False}) == both


def test_a_parameter_that_a_trial_lacks_is_a_dash(family: Families) -> None:
    params = ({"batch_norm": True, "bn_momentum": 0.12345678}, {"batch_norm": False})
    table = shown(family(values=[0.9, 0.8], params=params))["Top trials"]
    assert table.columns == ("trial#", "validation accuracy#", "batch_norm", "bn_momentum#")
    assert table.rows == (("0", "90.00 %", "True", "0.1235"), ("1", "80.00 %", "False", "-"))


def empty_ones(result: FamilyResult) -> dict[str, str]:
    return {item.heading: item.explanation for item in family_drawings(result) if not getattr(item, "plots", True)}


@pytest.mark.parametrize("states", [[], ["RUNNING"], ["FAIL", "WAITING"], ["PRUNED"]])
def test_without_a_finished_trial_all_figures_say_what_to_run(family: Families, states: list[str]) -> None:
    said = empty_ones(family(values=[None] * len(states), states=states))
    assert list(said) == [heading for heading in HEADINGS if heading != "Most frequent confusions"]
    assert all("`optrack run study`" in said[heading] for heading in (*HEADINGS[:2], *HEADINGS[7:]))
    assert all("`optrack retrain study`" in said[heading] for heading in HEADINGS[2:4])


def test_before_retraining_and_test_the_figures_of_these_say_what_to_run(family: Families) -> None:
    said = empty_ones(family())
    assert list(said) == ["Training of the models", "Confusion matrix", "Accuracy per class", "Calibration"]
    assert all("`optrack retrain study`" in text for text in said.values())


def test_before_the_test_its_figures_say_what_to_run(family: Families) -> None:
    said = empty_ones(family(seeds=2))
    assert list(said) == ["Confusion matrix", "Accuracy per class", "Calibration"]
    assert all("`optrack test study`" in text and "retrain" not in text for text in said.values())


def test_names_of_classes_are_text_and_never_markup(family: Families, tested: Tests) -> None:
    result = family(HOSTILE, seeds=1, test=tested([0, 1], [1, 1], (HOSTILE, "<b>dog</b>")))
    drawn = json.dumps(plots_of(result))
    assert "&lt;a href=" in drawn
    assert "<a" not in drawn
    assert "<b>" not in drawn


def test_a_class_on_few_groups_of_images_is_named_and_its_interval_is_theirs(whole: FamilyResult) -> None:
    (model,) = [model for model in whole.models if model.test is not None][:1]
    assert model.test is not None
    labels = np.repeat(np.arange(3), [60, 60, 1])
    numbers = np.arange(len(labels))
    test = replace(
        model.test,
        labels=labels,
        predictions=np.where(numbers % 60 < 6, 2, labels),
        confidences=np.full(len(labels), 0.5, dtype=np.float32),
        groups=numbers // 6,
    )
    grouped = replace(whole, models=(replace(model, test=test), *whole.models[1:]))
    alone = replace(whole, models=(replace(model, test=replace(test, groups=None)), *whole.models[1:]))
    drawing, independent = shown(grouped)["Accuracy per class"], shown(alone)["Accuracy per class"]
    (points,), (others,) = drawing.plots[0]["data"], independent.plots[0]["data"]
    assert points["customdata"][0][1] == "60 test images in 10 groups"
    assert points["error_x"]["arrayminus"][0] > 1.5 * others["error_x"]["arrayminus"][0]
    assert "Few groups to rest on: bird (1); those bars are shorter than they should be." in drawing.explanation
    assert "groups" not in independent.explanation
