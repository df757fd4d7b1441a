"""Optuna's figures of one study, in one calm look, as JSON that plotly.js draws.

Optuna computes what is drawn; here it is thinned where it would be too much for a page, and coloured.
"""

import html
import json
import math
import warnings
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ..pages.look import BLUE, FILL, GREEN, GREY, ORANGE, POOR_TO_GOOD, YELLOW, Plot
from ..text import shortened, value_text
from .escaped import escaped_text, escaped_trial, study_of
from .resampling import CONFIDENCE

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from .importance import Importances

_PANEL_HEIGHT, _HEIGHT = 260, 360
_TICK_LETTERS = 12
_SLICES, _CONTOUR_PARAMETERS = 12, 4
_CONTOUR_TRIALS, _LINES, _POINTS, _BARS = 80, 200, 1000, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A heading, a sentence, and what is drawn below them.

    Attributes:
        heading: What it shows.
        explanation: How to read it, or why it cannot be drawn.
        plots: The figures, side by side where there is room; none if it cannot be drawn.
        caution: What keeps the figures from being trusted; empty if nothing does.
        minimum_width: Pixels below which a figure cannot be read and has to be scrolled instead; 0 if any will do.
    """

    heading: str
    explanation: str
    plots: tuple[Plot, ...] = ()
    caution: str = ""
    minimum_width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is drawn: copies of a study, so that all figures show the same moment and no string is taken for markup.

    Attributes:
        study: All trials, under their numbers.
        metric: What the study optimizes, for sentences.
        label: The same for figures.
        parameters: Those of the completed trials, the most important first.
        ranked: How many of them have a rank.
        importances: How far that rank can be trusted, if it is known; names in there are not escaped.
    """

    study: optuna.Study
    metric: str
    label: str
    parameters: tuple[str, ...]
    ranked: int
    importances: "Importances | None"

    @property
    def maximize(self) -> bool:
        return self.study.direction == StudyDirection.MAXIMIZE

    @property
    def completed(self) -> list[FrozenTrial]:
        return finite_trials(self.study)

    def sample(self, size: int) -> optuna.Study:
        """The study with at most so many completed trials, evenly spaced from the worst to the best, in their order."""
        trials = self.completed
        if len(trials) <= size:
            return self.study
        by_value = sorted(trials, key=_value)
        kept = {by_value[round(i * (len(trials) - 1) / (size - 1))].number for i in range(size)}
        return study_of(self.study.direction, [trial for trial in trials if trial.number in kept])


_Drawn: TypeAlias = tuple[str, Sequence[Plot]]
"""A sentence and figures; without figures the sentence says why there are none."""

_NONE_COMPLETED = "No trial is completed yet."


@contextmanager
def quiet_optuna() -> Generator[None]:
    """Keeps Optuna's warnings and log lines to itself: what they say is said on the page, in its place."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def finite_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The completed trials of a study that have a number as their value, in their order."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in trials if math.isfinite(_value(trial))]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The best completed trial, the first of equals; None where no trial is completed."""
    best = max if study.direction == StudyDirection.MAXIMIZE else min
    return best(finite_trials(study), key=_value, default=None)


def figures(
    study: optuna.Study,
    *,
    metric: str,
    ranking: Sequence[str] = (),
    caution: str = "",
    importances: "Importances | None" = None,
) -> list[Drawing]:
    """Draws everything that Optuna has to show about a study with one objective.

    Args:
        study: A study in any state, also an empty one.
        metric: What it optimizes, for the axes.
        ranking: Parameters whose importance is shown, the most important first; the figures that show but a few
            parameters show these.
        caution: What to say beside the ranking.
        importances: What `importances(study)` found: shown with its intervals, in the place of `ranking` and `caution`.

    Returns:
        The drawings in the order in which they are read. What cannot be drawn is in there with the reason.
    """
    if importances is not None:
        ranking, caution = tuple(importances.values), importances.note
    with quiet_optuna():
        subject = _subject(study, metric, ranking, importances)
        return [
            Drawing(
                heading="Parameter importance",
                caution=caution,
                **_attempt(_importances, subject),
            ),
            Drawing(heading="Optimization history", **_attempt(_history, subject)),
            Drawing(heading="One parameter at a time", **_attempt(_slices, subject)),
            Drawing(heading="Two parameters at a time", **_attempt(_contours, subject)),
            Drawing(
                heading="All parameters together",
                minimum_width=110 * (len(subject.parameters) + 1),
                **_attempt(_parallel, subject),
            ),
            Drawing(heading="Learning curves", **_attempt(_curves, subject)),
            Drawing(heading="Timeline", **_attempt(_timeline, subject)),
        ]


def _attempt(draw: Callable[[_Subject], _Drawn], subject: _Subject) -> dict[str, Any]:
    try:
        explanation, plots = draw(subject)
    except Exception as error:  # noqa: BLE001  a page with six figures of seven beats none
        explanation, plots = f"Optuna could not draw this: {type(error).__name__}: {error}", ()
    return {"explanation": explanation, "plots": tuple(plots)}


def _importances(subject: _Subject) -> _Drawn:
    ranking = list(subject.parameters[: subject.ranked])
    if len(subject.parameters) == 1:
        return "There is a single parameter, and so nothing to rank.", ()
    if len(ranking) < 2:  # noqa: PLR2004  one alone has nothing to compare with
        return "There are not two parameters yet that can be compared.", ()
    found = subject.importances
    if found is None:
        from optuna.importance import get_param_importances

        return _SHARES["ped_anova"], [_bars(get_param_importances(subject.study, params=ranking))]
    shares = {escaped_text(name): share for name, share in found.values.items()}
    intervals = {escaped_text(name): ends for name, ends in found.intervals.items()}
    plot = _bars(shares, intervals, grey={escaped_text(name) for name in found.unproven})
    return f"{_SHARES[found.evaluator]} {_how_far(found)}", [plot]


_SHARES = {
    "ped_anova": "The share of each parameter in what sets the best tenth of the completed trials apart from the rest "
    "(PED-ANOVA): how much a parameter matters, not which value of it is good. What a search has settled early differs "
    "little between its trials, and so ranks low here; fANOVA and MDI see more of it.",
    "fanova": "The share of each parameter in the variance that single parameters explain in a random forest "
    "(fANOVA): how much a parameter matters from the worst to the best, not which value of it is good.",
    "mdi": "The share of each parameter in what the splits of a random forest tell (mean decrease of impurity, MDI): "
    "how much a parameter matters from the worst to the best, not which value of it is good.",
}


def _how_far(found: "Importances") -> str:
    grey = " Grey bars cannot be told from a parameter without any effect." if found.unproven else ""
    return (
        f"Thin lines are {CONFIDENCE:.0%} intervals of what the share is on average over searches with as many "
        f"completed trials, {found.completed}. Bars whose lines overlap cannot be ordered.{grey}"
    )


def _bars(
    shares: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    *,
    grey: Collection[str] = (),
) -> Plot:
    """Bars of shares, the largest on top, their intervals as thin lines and as text to the right."""
    names = list(shares)[::-1]
    trace: Plot = {
        "type": "bar",
        "orientation": "h",
        "x": [shares[name] for name in names],
        "y": names,
        "marker": {"color": [GREY if name in grey else BLUE for name in names]},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    if intervals:
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [intervals[name][1] - shares[name] for name in names],
            "arrayminus": [shares[name] - intervals[name][0] for name in names],
            "color": YELLOW,
            "thickness": 1.5,
            "width": 3,
        }
    texts = [{"text": share_text(shares[name], intervals[name] if intervals else None), "y": name} for name in names]
    place = {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 6, "yref": "y", "showarrow": False}
    return {
        "data": [trace],
        "layout": {
            "height": 80 + 28 * len(names),
            "annotations": [text | place for text in texts],
            "margin": {"r": 120 if intervals else 48},
            "xaxis": {"title": {"text": "share"}, "rangemode": "tozero"},
            "yaxis": {"showgrid": False, "type": "category"},
        },
    }


def share_text(share: float, ends: tuple[float, float] | None) -> str:
    """A share as people read it, with its interval if it has one.

    >>> share_text(0.714, (0.48, 0.95)), share_text(0.714, None)
    ('0.71 (0.48-0.95)', '0.71')
    """
    return f"{share:.2f}" + (f" ({ends[0]:.2f}-{ends[1]:.2f})" if ends else "")


def _history(subject: _Subject) -> _Drawn:
    if not subject.completed:
        return _NONE_COMPLETED, ()
    from optuna.visualization import plot_optimization_history

    plot = _plain(plot_optimization_history(subject.study, target_name=subject.label), _HEIGHT)
    plot["data"] = plot["data"][:2]  # the third is for constraints, of which we have none
    plot["layout"]["xaxis"] = {"title": {"text": "trial"}}
    plot["data"][0]["marker"] = {"size": 7}
    plot["data"][1] |= {"name": "best so far", "line": {"shape": "hv", "width": 2}}
    explanation = (
        "Each point is a completed trial, in the order in which they were proposed; the line is the best so far. "
        "Points that rise or fall towards it show that the search has learnt."
    )
    return explanation, [plot]


def _slices(subject: _Subject) -> _Drawn:
    if not subject.completed:
        return _NONE_COMPLETED, ()
    from optuna.visualization import plot_slice

    study = subject.sample(_POINTS)
    shown = subject.parameters[:_SLICES]
    plots: list[Plot] = []
    for name in shown:
        plot = _plain(plot_slice(study, params=[name], target_name=subject.label), _PANEL_HEIGHT)
        for trace in plot["data"]:
            trace["marker"] |= {"colorscale": FILL, "showscale": False, "size": 7}
            trace["marker"]["line"] = {"color": "#808080", "width": 1}
        _unquote_choices(plot, _distribution(study, name))
        plots.append(plot)
    explanation = (
        f"Each point is a completed trial, dark for the early ones and bright for the late ones: "
        f"look where the good values of {subject.metric} gather.{_only(shown, subject)}"
    )
    return explanation, plots


def _contours(subject: _Subject) -> _Drawn:
    from optuna.visualization import plot_contour

    study = subject.sample(_CONTOUR_TRIALS)
    shown = subject.parameters[:_CONTOUR_PARAMETERS]
    pairs = [pair for pair in combinations(shown, 2) if _span_a_plane(finite_trials(study), pair)]
    if not pairs:
        return "This takes two parameters that differ between at least three completed trials.", ()
    plots: list[Plot] = []
    for pair in pairs:
        plot = _plain(plot_contour(study, params=list(pair), target_name=subject.label), _PANEL_HEIGHT)
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


def _parallel(subject: _Subject) -> _Drawn:
    if not subject.completed:
        return _NONE_COMPLETED, ()
    from optuna.visualization import plot_parallel_coordinate

    study = subject.sample(_LINES)
    plot = _plain(plot_parallel_coordinate(study, target_name=subject.label), _HEIGHT)
    plot["layout"].pop("plot_bgcolor")
    for annotation in plot["layout"]["annotations"]:
        annotation["text"] = escaped_text(shortened(html.unescape(annotation["text"]), _TICK_LETTERS))
    values = [_value(trial) for trial in finite_trials(study)]
    *lines, scale = plot["data"]
    ranked = sorted(zip(map(_goodness(values, maximize=subject.maximize), values), lines, strict=True), key=_first)
    for goodness, line in ranked:
        line["line"]["color"] = _mix(goodness)
        line["opacity"] = 0.4 + 0.5 * goodness
    scale["marker"] |= {"colorscale": [[0, _mix(0)], [1, _mix(1)]]}
    scale["marker"]["colorbar"] = {"thickness": 10, "outlinewidth": 0}
    plot["data"] = [line for _, line in ranked] + [scale]  # the best on top
    explanation = (
        f"Each line is a completed trial, from its {subject.metric} on the left through all its parameters, "
        "the more orange the better: where the orange lines run together, the good values lie. "
        '"None" is where a trial lacks the parameter.'
    )
    return explanation, [plot]


def _curves(subject: _Subject) -> _Drawn:
    from optuna.visualization import plot_intermediate_values

    # The same three states, in the same order, as Optuna's figure has them.
    states = (TrialState.PRUNED, TrialState.COMPLETE, TrialState.RUNNING)
    trials = [trial for trial in subject.study.get_trials(deepcopy=False, states=states) if trial.intermediate_values]
    if not trials:
        return "No trial has reported a value after an epoch yet.", ()
    best = best_trial(subject.study)
    best_number = None if best is None else best.number
    shown = [*(trial for trial in trials[:-_LINES] if trial.number == best_number), *trials[-_LINES:]]
    plot = _plain(plot_intermediate_values(study_of(subject.study.direction, shown)), _HEIGHT)
    for trial, trace in zip(shown, plot["data"], strict=True):
        color = {TrialState.PRUNED: GREY, TrialState.RUNNING: GREEN}.get(trial.state, BLUE)
        trace |= {"name": f"trial {trial.number}", "opacity": 0.75, "line": {"color": color, "width": 1.2}}
        trace["marker"] |= {"color": color, "size": 4}
        if trial.number == best_number:
            trace |= {"opacity": 1.0, "line": {"color": ORANGE, "width": 3}, "zorder": 1}
            trace["marker"] |= {"color": ORANGE}
    plot["layout"] |= {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": subject.label}}}
    last = f" Shown are the best and the last {_LINES}." if len(trials) > _LINES else ""
    explanation = (
        f"{subject.metric} after each epoch, a line for each trial: blue completed, grey pruned, green still running, "
        f"orange the best.{last}"
    )
    return explanation, [plot]


def _timeline(subject: _Subject) -> _Drawn:
    trials = {trial.number: trial for trial in subject.study.get_trials(deepcopy=False)}
    if not trials:
        return "There is no trial yet.", ()
    from optuna.visualization import plot_timeline

    shown = min(len(trials), _BARS)
    plot = _plain(plot_timeline(subject.study, n_recent_trials=shown), min(150 + 10 * shown, 560))
    colors = {"COMPLETE": BLUE, "FAIL": ORANGE, "PRUNED": YELLOW, "RUNNING": GREEN, "WAITING": GREY}
    for trace in plot["data"]:
        trace["marker"] = {"color": colors.get(trace["name"], GREY), "line": {"width": 0}}
        trace["text"] = [_label_of(trials[number]) for number in trace["y"]]
        trace["name"] = trace["name"].lower()
    # Some of the bars are thinner than a pixel gap between them would be.
    plot["layout"] |= {"bargap": 0.1, "xaxis": {"type": "date"}, "yaxis": {"title": {"text": "trial"}}}
    last = f" The last {_BARS} trials are shown." if len(trials) > _BARS else ""
    explanation = f"When each trial ran and how it ended; gaps are time in which nothing was trained.{last}"
    return explanation, [plot]


def _subject(study: optuna.Study, metric: str, ranking: Sequence[str], importances: "Importances | None") -> _Subject:
    copied = study_of(study.direction, [escaped_trial(trial) for trial in study.get_trials(deepcopy=False)])
    ranked = [escaped_text(name) for name in ranking]
    others = {name for trial in finite_trials(copied) for name in trial.params} - set(ranked)
    parameters = (*ranked, *sorted(others))
    return _Subject(
        study=copied,
        metric=metric,
        label=escaped_text(metric),
        parameters=parameters,
        ranked=len(ranked),
        importances=importances,
    )


def _plain(figure: Any, height: int) -> Plot:
    """Optuna's figure as JSON, without its title, which is a heading of the page, and in our height."""
    plot: Plot = json.loads(figure.to_json())
    layout = plot["layout"]
    layout.pop("title", None)
    layout.pop("template", None)
    layout["height"] = height
    return plot


def _unquote_choices(plot: Plot, distribution: "BaseDistribution") -> None:
    if not isinstance(distribution, CategoricalDistribution):
        return
    plain = {repr(choice): str(choice) for choice in distribution.choices}
    axis = plot["layout"]["xaxis"]
    axis["categoryarray"] = [plain[choice] for choice in axis["categoryarray"]]
    for trace in plot["data"]:
        trace["x"] = [plain[choice] for choice in trace["x"]]


def _distribution(study: optuna.Study, name: str) -> "BaseDistribution":
    return next(trial.distributions[name] for trial in finite_trials(study) if name in trial.distributions)


def _span_a_plane(trials: Sequence[FrozenTrial], pair: tuple[str, str]) -> bool:
    both = [trial.params for trial in trials if all(name in trial.params for name in pair)]
    return len(both) > 2 and all(len({params[name] for params in both}) > 1 for name in pair)  # noqa: PLR2004


def _only(shown: Sequence[str], subject: _Subject) -> str:
    if len(shown) == len(subject.parameters):
        return ""
    which = "rank highest" if subject.ranked else "come first in the alphabet"
    return f" Of {len(subject.parameters)} parameters the {len(shown)} that {which} are shown."


def _goodness(values: Sequence[float], *, maximize: bool) -> Callable[[float], float]:
    """A function from a value to its place between the worst, 0, and the best, 1."""
    worst, best = (min(values), max(values)) if maximize else (max(values), min(values))
    return lambda value: 1.0 if best == worst else (value - worst) / (best - worst)


def _mix(goodness: float) -> str:
    channels = (round(poor + goodness * (good - poor)) for poor, good in zip(*POOR_TO_GOOD, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def _label_of(trial: FrozenTrial) -> str:
    start, end = trial.datetime_start, trial.datetime_complete
    took = [str(timedelta(seconds=round((end - start).total_seconds())))] if start and end else []
    return "<br>".join([f"trial {trial.number}", *took, *setting_texts(trial.params)])


def setting_texts(params: Mapping[str, Any]) -> list[str]:
    """Return parameters as people read them.

    >>> setting_texts({"lr": 0.00123456, "optimizer": "sgd"})
    ['lr = 0.001235', 'optimizer = sgd']
    """
    return [f"{name} = {value_text(value)}" for name, value in params.items()]


def _value(trial: FrozenTrial) -> float:
    return math.nan if trial.value is None else trial.value


def _first(pair: tuple[float, Plot]) -> float:
    return pair[0]
