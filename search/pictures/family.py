"""All figures and tables of one family, in the order in which they are read."""

from ..pages.drawing import Drawing, Table
from ..results.values import FamilyResult
from . import curves
from .recognition import recognition
from .settings import top_settings


def family_drawings(result: FamilyResult) -> list[Drawing | Table]:
    """Draws what is known of a family at any moment of a study.

    Args:
        result: what is known; what is not there yet becomes a drawing without plots that says which command makes it.

    Returns:
        Learning curves of the best trial, its best against its last weights, training of the retrained models,
        confusion matrix and the largest confusions, accuracy per class, calibration, settings of the top trials.
    """
    return [*curves.best_trial(result), curves.retrained(result), *recognition(result), *top_settings(result)]
