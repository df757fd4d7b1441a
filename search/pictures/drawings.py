"""All figures and tables of a study and of each of its families, in the order in which they are read."""

from ..pages import Drawing, Table
from ..results import FamilyResult, StudyResults
from . import curves
from .effort import best_so_far, budget
from .recognition import recognition
from .settings import top_settings
from .trade_offs import trade_offs


def study_drawings(results: StudyResults) -> list[Drawing | Table]:
    """Draw the families of a study side by side, at any moment of it.

    What is not there yet becomes a drawing without plots that says which command makes it.

    Returns:
        The best value so far against trials and against time, accuracy against parameters and against latency with
        the Pareto front, and the budget spent.
    """
    return [best_so_far(results), trade_offs(results), budget(results)]


def family_drawings(result: FamilyResult) -> list[Drawing | Table]:
    """Draw what is known of a family, at any moment of a study, as `study_drawings` does.

    Returns:
        Learning curves of the best trial, its best against its last weights, training of the retrained models,
        confusion matrix and the largest confusions, accuracy per class, calibration, settings of the top trials.
    """
    return [*curves.best_trial(result), curves.retrained(result), *recognition(result), *top_settings(result)]
