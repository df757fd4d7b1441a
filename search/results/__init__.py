"""What is known about a study after its search: predictions, scores, the verdict."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .collecting import collect, recorded_runs, retrained_models
    from .judgement import FamilyScore, Verdict, verdict
    from .predictions import encoded
    from .scores import confusion, expected_calibration_error, per_class_accuracy, reliability
    from .values import FamilyResult, RetrainedModel, StudyResults, TestResult

__all__ = [
    "FamilyResult",
    "FamilyScore",
    "RetrainedModel",
    "StudyResults",
    "TestResult",
    "Verdict",
    "collect",
    "confusion",
    "encoded",
    "expected_calibration_error",
    "per_class_accuracy",
    "recorded_runs",
    "reliability",
    "retrained_models",
    "verdict",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "collecting": ["collect", "recorded_runs", "retrained_models"],
            "judgement": ["FamilyScore", "Verdict", "verdict"],
            "predictions": ["encoded"],
            "scores": ["confusion", "expected_calibration_error", "per_class_accuracy", "reliability"],
            "values": ["FamilyResult", "RetrainedModel", "StudyResults", "TestResult"],
        },
    )
