"""What the search of each family cost, and what had been found for how much of it."""

from collections.abc import Iterable
from datetime import datetime

from ..pages import BLUE, GREY, STATE_COLORS, Drawing, Plot, escaped_text
from ..results import StudyResults
from ..stores import OPTUNA_STATES, Trial
from ..study import Metric
from .charts import axis, family_look, figure, metric_axis, names_axis, no_trial_finished, scatter

PROGRESS, BUDGET = "Best so far", "Budget spent"

_MINUTE, _HOUR = 60.0, 3600.0


def best_so_far(results: StudyResults) -> Drawing:
    """Draw the best value that a family had reached against its trials, and against the time that these took."""
    study, families = results.study, results.families
    if all(family.stored.best is None for family in families):
        return Drawing(heading=PROGRESS, explanation=no_trial_finished(study))
    unit, divisor = _time_unit(max(family.stored.seconds for family in families))
    against_trials: list[Plot] = []
    against_time: list[Plot] = []
    for place, family in enumerate(families):
        by_number = [(1.0, trial) for trial in family.stored.ended]
        against_trials.append(_steps(place, family.name, by_number, study.objective))
        by_end = [(trial.seconds / divisor, trial) for trial in sorted(family.stored.ended, key=_end)]
        against_time.append(_steps(place, family.name, by_end, study.objective))
    reached = [best for line in (*against_trials, *against_time) for best in line["y"]]
    value = metric_axis(study.metric, reached)
    plots = (
        figure(against_trials, axis("trials", rangemode="tozero"), value, showlegend=True),
        figure(against_time, axis(f"{unit} of training", rangemode="tozero"), value, showlegend=True),
    )
    explanation = (
        "The value of each family's best finished trial after so many trials, and after so much training; pruned and "
        "failed trials count in both. Times of trials that ran side by side are added up."
    )
    return Drawing(heading=PROGRESS, explanation=explanation, plots=plots)


def budget(results: StudyResults) -> Drawing:
    """Draw trials by state, epochs and time of each family."""
    stored = [family.stored for family in results.families]
    if not any(family.trials for family in stored):
        missing = f"There is no trial yet: `optrack run {results.study.name}` starts the search."
        return Drawing(heading=BUDGET, explanation=missing)
    spent = [family.seconds for family in stored]
    retrained = [family.retraining_seconds for family in results.families]
    unit, divisor = _time_unit(max(search + again for search, again in zip(spent, retrained, strict=True)))
    names = [family.name for family in stored]
    numbers = {state: [family.counts[state] for family in stored] for state in OPTUNA_STATES}
    by_state = [_bars(names, state, STATE_COLORS[state], found) for state, found in numbers.items() if any(found)]
    epochs = [family.epochs for family in stored]
    times = [_bars(names, "search", BLUE, [seconds / divisor for seconds in spent])]
    beside = ", with that of retraining" if any(retrained) else ""
    if beside:
        times.append(_bars(names, "retraining", GREY, [seconds / divisor for seconds in retrained]))
    plots = (
        _stacked(names, by_state, "trials"),
        _stacked(names, [_bars(names, "epochs", BLUE, epochs)], "epochs of all trials"),
        _stacked(names, times, f"{unit} of training"),
    )
    explanation = (
        f"Trials by how they ended, epochs that they trained, and the time that this took{beside}. Times of trials "
        f"that ran side by side are added up."
    )
    return Drawing(heading=BUDGET, explanation=explanation, plots=plots)


def _steps(place: int, name: str, costs: Iterable[tuple[float, Trial]], metric: Metric) -> Plot:
    """Return a line that steps where a trial beat all before it, and ends where the last trial did."""
    color, symbol = family_look(place)
    spent, best, points = 0.0, None, list[tuple[float, float, str]]()
    for cost, trial in costs:
        spent += cost
        if trial.value is not None and metric.better(trial.value, best):
            best = trial.value
            points.append((spent, best, f"trial {trial.number}"))
    if best is not None and points[-1][0] < spent:
        points.append((spent, best, "until the last trial"))
    return scatter(
        [x for x, _, _ in points],
        [y for _, y, _ in points],
        "lines+markers",
        name=escaped_text(name),
        text=[text for _, _, text in points],
        line={"shape": "hv", "width": 2, "color": color},
        marker={"size": 6, "color": color, "symbol": symbol},
        hovertemplate="%{fullData.name}, %{text}<br>%{x:.4~g}: %{y}<extra></extra>",
    )


def _bars(names: list[str], label: str, color: str, values: list[int] | list[float]) -> Plot:
    return {
        "type": "bar",
        "orientation": "h",
        "name": label,
        "x": values,
        "y": [escaped_text(name) for name in names],
        "marker": {"color": color},
        "hovertemplate": "%{y}: %{x:.4~g} %{fullData.name}<extra></extra>",
    }


def _stacked(names: list[str], bars: list[Plot], title: str) -> Plot:
    rows = names_axis(names, 20, autorange="reversed")
    # The legend of five states takes two lines on a phone.
    height = 130 + 34 * len(names)
    counts = axis(title, rangemode="tozero", nticks=6)
    legend = {"traceorder": "normal"}
    return figure(bars, counts, rows, height=height, barmode="stack", showlegend=True, legend=legend)


def _end(trial: Trial) -> tuple[datetime, int]:
    return trial.ended or datetime.max, trial.number  # noqa: DTZ901  Optuna's times are naive


def _time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which a time is read, and its length in seconds.

    >>> _time_unit(100), _time_unit(5000), _time_unit(50000)
    (('seconds', 1.0), ('minutes', 60.0), ('hours', 3600.0))
    """
    if seconds < 10 * _MINUTE:
        return "seconds", 1.0
    return ("minutes", _MINUTE) if seconds < 4 * _HOUR else ("hours", _HOUR)
