"""All figures across the families of a study, in the order in which they are read."""

from ..pages.drawing import Drawing, Table
from ..results.values import StudyResults
from .effort import best_so_far, budget
from .trade_offs import trade_offs


def study_drawings(results: StudyResults) -> list[Drawing | Table]:
    """Draws the families of a study side by side, at any moment of it.

    Args:
        results: what is known; what is not there yet becomes a drawing without plots that says which command makes it.

    Returns:
        The best value so far against trials and against time, accuracy against parameters and against latency with
        the Pareto front, and the budget spent.
    """
    return [best_so_far(results), trade_offs(results), budget(results)]
