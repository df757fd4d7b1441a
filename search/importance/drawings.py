"""All of Optuna's figures of one study, in one calm look, as JSON that plotly.js draws."""

from collections.abc import Callable

import optuna

from ..pages import Drawing
from .importance import Importances
from .importance_bars import importance_bars
from .parameter_figures import contours, parallel, slices
from .subject import Drawn, Subject, subject_of
from .time_figures import curves, history, timeline
from .trials import quiet_optuna


def figures(study: optuna.Study, *, metric: str, importances: Importances) -> list[Drawing]:
    """Draw everything that Optuna has to show about a study with one objective, in any state, even an empty one.

    The metric is what it optimizes, for the axes; figures that show only a few parameters show the most important ones.
    The drawings come in the order in which they are read. What cannot be drawn is in there with the reason.
    """
    with quiet_optuna():
        subject = subject_of(study, metric, importances)
        width = 110 * (len(subject.parameters) + 1)
        return [
            _attempt("Parameter importance", importance_bars, subject, caution=importances.note),
            _attempt("Optimization history", history, subject),
            _attempt("One parameter at a time", slices, subject),
            _attempt("Two parameters at a time", contours, subject),
            _attempt("All parameters together", parallel, subject, minimum_width=width),
            _attempt("Learning curves", curves, subject),
            _attempt("Timeline", timeline, subject),
        ]


def _attempt(
    heading: str, draw: Callable[[Subject], Drawn], subject: Subject, *, caution: str = "", minimum_width: int = 0
) -> Drawing:
    try:
        explanation, plots = draw(subject)
    except Exception as error:  # noqa: BLE001  a page with six figures of seven beats none
        explanation, plots = f"Optuna could not draw this: {type(error).__name__}: {error}", ()
    return Drawing(
        heading=heading, explanation=explanation, plots=tuple(plots), caution=caution, minimum_width=minimum_width
    )
