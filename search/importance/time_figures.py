"""Figures of a study's trials in the order of time: what was found when, how each trial learnt, and when it ran."""

from optuna.trial import FrozenTrial, TrialState

from ..pages import ORANGE, STATE_COLORS
from ..stores import STATE_WORDS
from ..text import duration, setting_texts
from .subject import HEIGHT, NONE_FINISHED, Drawn, Subject, plain
from .trials import best_trial, study_of, without_gaps

_LINES, _BARS = 200, 200


def history(subject: Subject) -> Drawn:
    """Draw the values of the finished trials in the order in which they were proposed."""
    if not subject.finished:
        return NONE_FINISHED, ()
    from optuna.visualization import plot_optimization_history

    plot = plain(plot_optimization_history(subject.study, target_name=subject.label), HEIGHT)
    plot["data"] = plot["data"][:2]  # the third is for constraints, of which we have none
    plot["layout"]["xaxis"] = {"title": {"text": "trial"}}
    plot["data"][0]["marker"] = {"size": 7}
    plot["data"][1] |= {"name": "best so far", "line": {"shape": "hv", "width": 2}}
    explanation = (
        "Each point is a finished trial, in the order in which they were proposed; the line is the best so far. "
        "Points that rise or fall towards it show that the search has learnt."
    )
    return explanation, [plot]


def curves(subject: Subject) -> Drawn:
    """Draw the metric over the epochs, a line for each trial."""
    from optuna.visualization import plot_intermediate_values

    # The same three states, in the same order, as Optuna's figure has them.
    states = (TrialState.PRUNED, TrialState.COMPLETE, TrialState.RUNNING)
    trials = [trial for trial in subject.study.get_trials(deepcopy=False, states=states) if trial.intermediate_values]
    if not trials:
        return "No trial has reported a value after an epoch yet.", ()
    best = best_trial(subject.study)
    best_number = None if best is None else best.number
    shown = [*(trial for trial in trials[:-_LINES] if trial.number == best_number), *trials[-_LINES:]]
    plot = plain(plot_intermediate_values(study_of(subject.study.direction, shown)), HEIGHT)
    for trial, trace in zip(shown, plot["data"], strict=True):
        color = STATE_COLORS[STATE_WORDS[trial.state]]
        trace |= {"name": f"trial {trial.number}", "opacity": 0.75, "line": {"color": color, "width": 1.2}}
        trace["marker"] |= {"color": color, "size": 4}
        if trial.number == best_number:
            trace |= {"opacity": 1.0, "line": {"color": ORANGE, "width": 3}, "zorder": 1}
            trace["marker"] |= {"color": ORANGE}
    plot["layout"] |= {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": subject.label}}}
    last = f" Shown are the best and the last {_LINES}." if len(trials) > _LINES else ""
    explanation = (
        f"{subject.metric} after each epoch, a line for each trial: blue finished, yellow pruned, green still running, "
        f"orange the best.{last}"
    )
    return explanation, [plot]


def timeline(subject: Subject) -> Drawn:
    """Draw when each trial ran and how it ended."""
    study = without_gaps(subject.study)
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    if not trials:
        return "There is no trial yet.", ()
    from optuna.visualization import plot_timeline

    shown = min(len(trials), _BARS)
    plot = plain(plot_timeline(study, n_recent_trials=shown), min(150 + 10 * shown, 560))
    for trace in plot["data"]:
        state = STATE_WORDS[TrialState[trace["name"]]]
        trace["name"] = state
        trace["marker"] = {"color": STATE_COLORS[state], "line": {"width": 0}}
        trace["text"] = [_label_of(trials[number]) for number in trace["y"]]
    # Some of the bars are thinner than a pixel gap between them would be.
    plot["layout"] |= {"bargap": 0.1, "xaxis": {"type": "date"}, "yaxis": {"title": {"text": "trial"}}}
    last = f" The last {_BARS} trials are shown." if len(trials) > _BARS else ""
    explanation = f"When each trial ran and how it ended; gaps are time in which nothing was trained.{last}"
    return explanation, [plot]


def _label_of(trial: FrozenTrial) -> str:
    start, end = trial.datetime_start, trial.datetime_complete
    took = [duration((end - start).total_seconds())] if start and end else []
    return "<br>".join([f"trial {trial.number}", *took, *setting_texts(trial.params)])
