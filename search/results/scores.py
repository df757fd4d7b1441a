"""Scores of predictions on test images: confusion matrix, accuracy per class, calibration."""

# SciPy and scikit-learn have no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StudyError

BINS = 15
"""Equal-width bins of the confidences, as in the tables of Guo et al. 2017."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The predictions whose confidences lie in one part of [0, 1].

    Args:
        confidence: their mean confidence, in [0, 1].
        accuracy: the share of them that is right, in [0, 1].
        count: number of predictions, at least 1.
    """

    confidence: float
    accuracy: float
    count: int


def confusion(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count how often each class is predicted for each right class, int64 [C, C] with a row for each right class.

    Args:
        labels: int64 [N], the right classes, in [0, C).
        predictions: int64 [N], the predicted classes, in [0, C).
        classes: C.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 0, 0]])
    """
    from sklearn.metrics import confusion_matrix  # takes seconds to import

    return confusion_matrix(labels, predictions, labels=np.arange(classes)).astype(np.int64)


def per_class_accuracy(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return the share of each class's images that is recognised (recall), float64 [C]; NaN where there are none.

    The arguments are those of `confusion`.

    >>> per_class_accuracy(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    array([0.5, 1. , nan])
    """
    from sklearn.metrics import recall_score  # takes seconds to import

    options: dict[str, Any] = {"average": None, "zero_division": np.nan}
    return np.asarray(recall_score(labels, predictions, labels=np.arange(classes), **options))


def reliability(confidences: NDArray[np.floating], correct: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Return accuracy against confidence: the bins that hold anything, from low to high confidence.

    A confidence on the boundary of two bins belongs to the upper one, and 1 to the last.

    Args:
        confidences: float [N], the probability of the predicted class, in [0, 1].
        correct: bool [N], whether the prediction is right.

    Raises:
        StudyError: a confidence lies outside [0, 1] or is NaN.
    """
    outside = confidences[~((confidences >= 0) & (confidences <= 1))]
    if outside.size:
        raise StudyError(f"confidences must lie in [0, 1], but got {outside[0]}: did the training diverge?")
    from scipy.stats import binned_statistic  # takes a second to import

    summands = [confidences, correct, np.ones(confidences.shape)]
    sums = binned_statistic(confidences, summands, statistic="sum", bins=BINS, range=(0, 1)).statistic
    return tuple(
        ReliabilityBin(confidence=float(confidence / count), accuracy=float(right / count), count=int(count))
        for confidence, right, count in sums.T
        if count
    )


def expected_calibration_error(confidences: NDArray[np.floating], correct: NDArray[np.bool_]) -> float:
    """Return how far confidence and accuracy lie apart on average, in [0, 1]; NaN without predictions.

    sum over bins of count / N * |accuracy - mean confidence| (Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern
    Neural Networks", ICML 2017, arXiv:1706.04599, eq. 3). Arguments and errors are those of `reliability`.

    >>> expected_calibration_error(np.array([0.75, 0.75]), np.array([True, False]))
    0.25
    """
    if not confidences.size:
        return math.nan
    filled = reliability(confidences, correct)
    return math.fsum(part.count * abs(part.accuracy - part.confidence) for part in filled) / confidences.size
