"""A test's result as two artifacts: predictions per image as NumPy arrays, scores as JSON."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrackingError
from .scores import confusion, per_class_accuracy
from .values import TestResult

PREDICTIONS_FILE = "test/predictions.npz"
RESULT_FILE = "test/result.json"


def encoded(result: TestResult, probabilities: NDArray[np.float32]) -> dict[str, bytes]:
    """Return the artifacts of a test by file name; float32 [N, C] are stored as float16, exact to a thousandth."""
    arrays: dict[str, Any] = {
        "labels": result.labels,
        "predictions": result.predictions,
        "confidences": result.confidences,
        "probabilities": probabilities.astype(np.float16),
    }
    if result.groups is not None:
        arrays["groups"] = result.groups
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    by_class = per_class_accuracy(result.labels, result.predictions, len(result.classes))
    figures: dict[str, Any] = {
        "images": len(result.labels),
        "accuracy": result.accuracy,
        "loss": result.loss,
        "calibration_error": result.calibration_error,
        "digest": result.digest,
        "classes": list(result.classes),
        "class_accuracy": [None if np.isnan(value) else float(value) for value in by_class],
        "confusion": confusion(result.labels, result.predictions, len(result.classes)).tolist(),
    }
    return {PREDICTIONS_FILE: file.getvalue(), RESULT_FILE: json.dumps(figures, indent=2).encode()}


def decoded(files: Mapping[str, bytes], *, openings: int) -> TestResult:
    """Return the result whose files `encoded` made; `openings` is how often the test part was opened for the model.

    Raises:
        TrackingError: the files are broken.
    """
    try:
        figures: dict[str, Any] = json.loads(files[RESULT_FILE])
        with np.load(io.BytesIO(files[PREDICTIONS_FILE])) as arrays:
            return TestResult(
                classes=tuple(figures["classes"]),
                labels=arrays["labels"],
                predictions=arrays["predictions"],
                confidences=arrays["confidences"],
                loss=figures["loss"],
                calibration_error=figures["calibration_error"],
                openings=openings,
                digest=figures["digest"],
                groups=arrays.get("groups"),
            )
    except Exception as error:  # noqa: BLE001 - zipfile and NumPy raise whatever broken bytes lead to
        raise TrackingError(f"the recorded result of a test is broken: {error!r}") from None
