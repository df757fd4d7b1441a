import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optrack.search import StudyError
from optrack.search.results.scores import (
    BINS,
    ReliabilityBin,
    confusion,
    expected_calibration_error,
    per_class_accuracy,
    reliability,
)

CLASSES = 4
Pairs = list[tuple[int, int]]
Judged = list[tuple[float, bool]]
PAIRS = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=40)
JUDGED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def columns(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    labels, predictions = np.array(pairs, dtype=np.int64).T
    return labels, predictions


def judged(predictions: Judged) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.array([confidence for confidence, _ in predictions]), np.array([right for _, right in predictions])


def test_a_confusion_has_right_classes_as_rows_and_predicted_ones_as_columns() -> None:
    counts = confusion(np.array([0, 0, 0, 1, 2]), np.array([0, 1, 1, 1, 0]), 3)
    assert counts.dtype == np.int64
    assert counts.tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 0]]


def test_classes_that_appear_nowhere_have_their_place_in_a_confusion() -> None:
    assert confusion(np.array([2]), np.array([2]), 4).tolist() == np.diag([0, 0, 1, 0]).tolist()


@given(pairs=PAIRS)
def test_every_image_is_counted_once_in_a_confusion(pairs: Pairs) -> None:
    labels, predictions = columns(pairs)
    counts = confusion(labels, predictions, CLASSES)
    assert counts.sum(axis=1).tolist() == np.bincount(labels, minlength=CLASSES).tolist()
    assert counts.sum(axis=0).tolist() == np.bincount(predictions, minlength=CLASSES).tolist()


@given(pairs=PAIRS)
def test_accuracy_per_class_is_the_confusions_diagonal_over_its_rows(pairs: Pairs) -> None:
    counts = confusion(*columns(pairs), CLASSES)
    images = counts.sum(axis=1)
    expected = np.full(CLASSES, np.nan)
    np.divide(counts.diagonal(), images, out=expected, where=images > 0)
    found = per_class_accuracy(*columns(pairs), CLASSES)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


def test_a_class_without_test_images_has_no_accuracy() -> None:
    found = per_class_accuracy(np.array([0, 0, 2]), np.array([0, 1, 2]), 3)
    np.testing.assert_array_equal(found, [0.5, np.nan, 1.0])


def bins(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("optrack.search.results.scores.BINS", count)


def test_confidences_are_sorted_into_equal_bins_and_empty_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bins(monkeypatch, 5)
    confidences = np.array([0.0625, 0.125, 0.5625, 0.9375, 0.8125])
    correct = np.array([False, True, True, True, False])
    assert reliability(confidences, correct) == (
        ReliabilityBin(confidence=0.09375, accuracy=0.5, count=2),
        ReliabilityBin(confidence=0.5625, accuracy=1.0, count=1),
        ReliabilityBin(confidence=0.875, accuracy=0.5, count=2),
    )


def test_confidences_of_0_and_1_are_inside_and_those_between_bins_in_the_upper_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bins(monkeypatch, 4)
    found = reliability(np.array([0.0, 0.5, 0.75, 1.0]), np.ones(4, dtype=bool))
    assert [(part.confidence, part.count) for part in found] == [(0.0, 1), (0.5, 1), (0.875, 2)]


@given(predictions=JUDGED)
def test_no_prediction_is_lost_between_the_bins(predictions: Judged) -> None:
    confidences, correct = judged(predictions)
    found = reliability(confidences, correct)
    assert sum(part.count for part in found) == len(predictions)
    assert sum(part.count * part.accuracy for part in found) == pytest.approx(correct.sum())
    assert sum(part.count * part.confidence for part in found) == pytest.approx(confidences.sum())
    assert [part.confidence for part in found] == sorted(part.confidence for part in found)


def test_the_calibration_error_weighs_each_bins_gap_by_its_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    bins(monkeypatch, 2)
    # Two bins: 3 of 5 predictions with confidence 0.9, of which one is right; 2 with 0.3, of which one is right.
    confidences = np.array([0.9, 0.9, 0.9, 0.3, 0.3])
    correct = np.array([True, False, False, True, False])
    expected = 3 / 5 * abs(1 / 3 - 0.9) + 2 / 5 * abs(1 / 2 - 0.3)
    assert expected_calibration_error(confidences, correct) == pytest.approx(expected)


def test_too_much_and_too_little_confidence_cancel_out_within_a_bin_but_not_between_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    confidences, correct = np.array([0.2, 0.8]), np.array([True, False])
    bins(monkeypatch, 1)
    assert expected_calibration_error(confidences, correct) == 0
    bins(monkeypatch, 2)
    assert expected_calibration_error(confidences, correct) == pytest.approx(0.8)


def test_certainty_that_is_always_right_is_perfect_and_that_is_always_wrong_the_worst() -> None:
    certain = np.ones(7, dtype=np.float32)
    assert expected_calibration_error(certain, np.ones(7, dtype=bool)) == 0
    assert expected_calibration_error(certain, np.zeros(7, dtype=bool)) == 1


@given(predictions=JUDGED)
def test_the_calibration_error_lies_between_0_and_1(predictions: Judged) -> None:
    assert 0 <= expected_calibration_error(*judged(predictions)) <= 1


@given(predictions=JUDGED, data=st.data())
def test_the_order_of_the_images_does_not_change_the_calibration_error(
    predictions: Judged, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(predictions))
    before, after = (expected_calibration_error(*judged(order)) for order in (predictions, shuffled))
    assert after == pytest.approx(before, abs=1e-12)


@given(groups=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=8))
def test_confidence_that_is_the_accuracy_of_its_group_is_perfectly_calibrated(groups: list[tuple[int, int]]) -> None:
    assume(all(right <= images for images, right in groups))
    confidences = np.concatenate([np.full(images, right / images) for images, right in groups])
    correct = np.concatenate([np.arange(images) < right for images, right in groups])
    assert expected_calibration_error(confidences, correct) == pytest.approx(0, abs=1e-12)


@given(predictions=JUDGED)
def test_no_calibration_error_is_below_the_gap_over_all_predictions(predictions: Judged) -> None:
    confidences, correct = judged(predictions)
    assert expected_calibration_error(confidences, correct) >= abs(correct.mean() - confidences.mean()) - 1e-12


@pytest.mark.parametrize("confidence", [-0.1, 1.5, np.nan])
def test_confidences_that_are_no_probabilities_are_refused(confidence: float) -> None:
    with pytest.raises(StudyError, match=rf"must lie in \[0, 1\], but got {confidence}"):
        expected_calibration_error(np.array([0.5, confidence]), np.array([True, True]))


def test_without_predictions_there_is_no_bin_and_no_calibration_error() -> None:
    nothing = np.empty(0), np.empty(0, dtype=bool)
    assert reliability(*nothing) == ()
    assert np.isnan(expected_calibration_error(*nothing))


def test_fifteen_bins_are_the_default() -> None:
    confidences = (np.arange(BINS) + 0.5) / BINS
    assert len(reliability(confidences, np.ones(BINS, dtype=bool))) == BINS == 15


def test_the_module_is_imported_without_the_heavy_libraries() -> None:
    heavy = "{'torch', 'optuna', 'mlflow', 'sklearn', 'scipy'}"
    code = f"import sys, optrack.search.results.scores; print(sorted({heavy} & {{*sys.modules}}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
