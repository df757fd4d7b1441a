"""What the best trials of a family have in common: their learning rates, their batch norms, and all their values."""

from collections.abc import Sequence
from typing import Any

from ..pages import BLUE, ORANGE, Drawing, Plot, Table, escaped_text
from ..results import FamilyResult
from ..stores import Trial
from ..study import MetricName
from ..text import METRIC_NAMES, NOTHING, metric_text, value_text
from .charts import axis, figure, logarithmic_axis, metric_axis, no_trial_finished, scatter

SETTINGS, TOP = "Settings of the top trials", "Top trials"

_TOP = 10
_HEIGHT = 260
_SHOWN = {"lr": "learning rate", "bn_momentum": "batch norm momentum", "batch_norm": "batch norm"}
_LOGARITHMIC = ("lr", "bn_momentum")
_SWITCHES = {True: "with", False: "without"}


def top_settings(result: FamilyResult) -> list[Drawing | Table]:
    """Draw the value against each of these settings that is searched, and list the best trials."""
    study = result.stored.study
    top = result.stored.ranked[:_TOP]
    if not top:
        return [Drawing(heading=heading, explanation=no_trial_finished(study)) for heading in (SETTINGS, TOP)]
    table = _table(top, study.metric)
    searched = [name for name in _SHOWN if any(name in trial.params for trial in top)]
    if not searched:
        return [table]
    many = f"The best {len(top)} finished trials" if len(top) > 1 else "The only finished trial"
    explanation = (
        f"{many}, the best in orange. An axis of numbers spans what was searched: where the points gather, the search "
        f"has settled; points at an end say that a wider range may hold something better."
    )
    plots = tuple(_against(name, top, result) for name in searched)
    return [Drawing(heading=SETTINGS, explanation=explanation, plots=plots), table]


def _against(name: str, top: Sequence[Trial], result: FamilyResult) -> Plot:
    shown = [trial for trial in top if name in trial.params]
    points = scatter(
        [_place(name, trial.params[name]) for trial in shown],
        [trial.value for trial in shown],
        "markers",
        customdata=[trial.number for trial in shown],
        marker={"color": [ORANGE if trial is top[0] else BLUE for trial in shown], "size": 9},
        hovertemplate="trial %{customdata}<br>%{x}: %{y}<extra></extra>",
    )
    return figure([points], _setting_axis(name, result), _value_axis(shown, result), height=_HEIGHT)


def _value_axis(shown: Sequence[Trial], result: FamilyResult) -> Plot:
    return metric_axis(result.stored.study.metric, [trial.value for trial in shown])


def _place(name: str, value: Any) -> Any:
    return value if name in _LOGARITHMIC else _SWITCHES.get(value, escaped_text(str(value)))


def _setting_axis(name: str, result: FamilyResult) -> Plot:
    words = _SHOWN[name]
    if name not in _LOGARITHMIC:
        return axis(words, type="category", categoryorder="array", categoryarray=list(_SWITCHES.values()))
    values = _searched(name, result)
    return logarithmic_axis(words, values, tickformat="~g") if min(values) > 0 else axis(words)


def _searched(name: str, result: FamilyResult) -> list[float]:
    """Return the values of a setting in all trials, and the ends of their ranges."""
    values = [trial.params[name] for trial in result.stored.trials if name in trial.params]
    distributions = [trial.distributions[name] for trial in result.stored.trials if name in trial.distributions]
    # A list of choices has no ends; its values are all that is known.
    ends = [getattr(distribution, end, None) for distribution in distributions for end in ("low", "high")]
    return [*values, *(end for end in ends if end is not None)]


def _table(top: Sequence[Trial], metric: MetricName) -> Table:
    names = list(dict.fromkeys(name for trial in top for name in trial.params))
    numeric = [name for name in names if all(_is_number(trial.params.get(name, 0)) for trial in top)]
    columns = ("trial#", f"{METRIC_NAMES[metric]}#", *(f"{name}#" if name in numeric else name for name in names))
    rows = tuple(
        (
            str(trial.number),
            metric_text(metric, trial.value),
            *(value_text(trial.params[name]) if name in trial.params else NOTHING for name in names),
        )
        for trial in top
    )
    best = "one" if len(top) == 1 else f"{len(top)} best ones"
    return Table(
        heading=TOP,
        explanation=f"Of the finished trials the {best}, with all that was searched; a dash where a trial lacks it.",
        columns=columns,
        rows=rows,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
