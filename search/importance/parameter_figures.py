"""Figures of what the trials found over their parameters: one at a time, two at a time, and all together."""

import html
from collections.abc import Sequence
from itertools import combinations

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from ..pages import FILL, POOR_TO_GOOD, Plot, escaped_text
from ..text import shortened
from .subject import HEIGHT, NONE_FINISHED, PANEL_HEIGHT, Drawn, Subject, plain
from .trials import finite_trials, value_of

_TICK_LETTERS = 12
_SLICES, _CONTOUR_PARAMETERS = 12, 4
_CONTOUR_TRIALS, _LINES, _POINTS = 80, 200, 1000


def slices(subject: Subject) -> Drawn:
    """Draw the value over each parameter on its own."""
    if not subject.finished:
        return NONE_FINISHED, ()
    from optuna.visualization import plot_slice

    study = subject.sample(_POINTS)
    shown = subject.parameters[:_SLICES]
    plots: list[Plot] = []
    for name in shown:
        plot = plain(plot_slice(study, params=[name], target_name=subject.label), PANEL_HEIGHT)
        for trace in plot["data"]:
            trace["marker"] |= {"colorscale": FILL, "showscale": False, "size": 7}
            trace["marker"]["line"] = {"color": "#808080", "width": 1}
        _unquote_choices(
            plot, next(trial.distributions[name] for trial in finite_trials(study) if name in trial.params)
        )
        plots.append(plot)
    explanation = (
        f"Each point is a finished trial, dark for the early ones and bright for the late ones: "
        f"look where the good values of {subject.metric} gather.{_only(shown, subject)}"
    )
    return explanation, plots


def contours(subject: Subject) -> Drawn:
    """Draw the value over pairs of parameters."""
    from optuna.visualization import plot_contour

    study = subject.sample(_CONTOUR_TRIALS)
    shown = subject.parameters[:_CONTOUR_PARAMETERS]
    pairs = [pair for pair in combinations(shown, 2) if _span_a_plane(finite_trials(study), pair)]
    if not pairs:
        return "This takes two parameters that differ between at least three finished trials.", ()
    plots: list[Plot] = []
    for pair in pairs:
        plot = plain(plot_contour(study, params=list(pair), target_name=subject.label), PANEL_HEIGHT)
        surface, *points = plot["data"]
        surface |= {"colorscale": FILL, "colorbar": {"thickness": 10, "outlinewidth": 0, "nticks": 5}}
        surface["line"] = {"width": 0}
        for trace in points:
            trace["marker"] = {"color": "#ffffff", "size": 5, "line": {"color": "#22262e", "width": 1}}
        plots.append(plot)
    explanation = (
        f"{subject.metric} over two parameters, the yellower the better. Only the points are trials: "
        f"what lies between them is interpolated.{_only(shown, subject)}"
    )
    return explanation, plots


def parallel(subject: Subject) -> Drawn:
    """Draw each trial as a line through all its parameters."""
    if not subject.finished:
        return NONE_FINISHED, ()
    from optuna.visualization import plot_parallel_coordinate

    study = subject.sample(_LINES)
    plot = plain(plot_parallel_coordinate(study, target_name=subject.label), HEIGHT)
    plot["layout"].pop("plot_bgcolor")
    for annotation in plot["layout"]["annotations"]:
        annotation["text"] = escaped_text(shortened(html.unescape(annotation["text"]), _TICK_LETTERS))
    values = [value_of(trial) for trial in finite_trials(study)]
    *lines, scale = plot["data"]
    ends = min(values), max(values)
    worst, best = ends if study.direction == StudyDirection.MAXIMIZE else ends[::-1]
    goodnesses = [1.0 if best == worst else (value - worst) / (best - worst) for value in values]
    ranked = sorted(zip(goodnesses, lines, strict=True), key=lambda pair: pair[0])
    for goodness, line in ranked:
        line["line"]["color"] = _mix(goodness)
        line["opacity"] = 0.4 + 0.5 * goodness
    scale["marker"] |= {"colorscale": [[0, _mix(0)], [1, _mix(1)]]}
    scale["marker"]["colorbar"] = {"thickness": 10, "outlinewidth": 0}
    plot["data"] = [line for _, line in ranked] + [scale]  # the best on top
    explanation = (
        f"Each line is a finished trial, from its {subject.metric} on the left through all its parameters, "
        "the more orange the better: where the orange lines run together, the good values lie. "
        '"None" is where a trial lacks the parameter.'
    )
    return explanation, [plot]


def _unquote_choices(plot: Plot, distribution: BaseDistribution) -> None:
    if not isinstance(distribution, CategoricalDistribution):
        return
    texts = {repr(choice): str(choice) for choice in distribution.choices}
    axis = plot["layout"]["xaxis"]
    axis["categoryarray"] = [texts[choice] for choice in axis["categoryarray"]]
    for trace in plot["data"]:
        trace["x"] = [texts[choice] for choice in trace["x"]]


def _span_a_plane(trials: Sequence[FrozenTrial], pair: tuple[str, str]) -> bool:
    both = [trial.params for trial in trials if all(name in trial.params for name in pair)]
    return len(both) > 2 and all(len({params[name] for params in both}) > 1 for name in pair)  # noqa: PLR2004


def _only(shown: Sequence[str], subject: Subject) -> str:
    if len(shown) == len(subject.parameters):
        return ""
    which = "rank highest" if subject.importances.values else "come first in the alphabet"
    return f" Of {len(subject.parameters)} parameters the {len(shown)} that {which} are shown."


def _mix(goodness: float) -> str:
    channels = (round(poor + goodness * (good - poor)) for poor, good in zip(*POOR_TO_GOOD, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in channels)
