"""What the figures of a study have in common: axes, colours and symbols."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..pages import TEMPLATE, Plot, escaped_text
from ..study import EpochResult, MetricName, Study
from ..text import METRIC_NAMES, shortened

HEIGHT = 320

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")


def figure(traces: Sequence[Plot], x: Plot, y: Plot, *, height: int = HEIGHT, **layout: Any) -> Plot:
    """Return a figure with one pair of axes; the rest of its layout is given by name."""
    return {"data": list(traces), "layout": {"height": height, "xaxis": x, "yaxis": y, **layout}}


def scatter(x: Sequence[Any], y: Sequence[Any], mode: str, **look: Any) -> Plot:
    """Return points that are drawn as `mode` says: "lines", "markers" or "lines+markers"."""
    return {"type": "scatter", "mode": mode, "x": x, "y": y, **look}


def axis(title: str, **options: Any) -> Plot:
    """Return an axis with a title, which is escaped."""
    return {"title": {"text": escaped_text(title)}, **options}


def accuracy_axis(title: str = "accuracy", **options: Any) -> Plot:
    """Return an axis of shares, in per cent with as many digits as the ticks need."""
    return axis(title, tickformat=".3~%", hoverformat=".2%", **options)


def metric_axis(metric: MetricName, values: Iterable[float | None]) -> Plot:
    """Return the axis of a study's metric, for some values of it."""
    words, narrow = METRIC_NAMES[metric], narrow_range(values)
    return accuracy_axis(words, **narrow) if metric.endswith("accuracy") else axis(words, **narrow)


def narrow_range(values: Iterable[float | None]) -> dict[str, Any]:
    """Return the range of an axis whose values are all equal; nothing for others, which plotly's own suits.

    Around a single value plotly's axis spans two units: from below 0 to above 150 per cent.

    >>> narrow_range([0.5, None, 0.5]), narrow_range([0.5, 0.6])
    ({'range': [0.475, 0.525]}, {})
    """
    known = {value for value in values if value is not None and math.isfinite(value)}
    if len(known) != 1:
        return {}
    (value,) = known
    margin = 0.05 * abs(value) or 0.05
    return {"range": [value - margin, value + margin]}


def names_axis(names: Sequence[str], longest: int, **options: Any) -> Plot:
    """Return an axis of names in their order; only the ticks shorten long names.

    Args:
        names: different ones, not escaped; the traces' places are the escaped names.
        longest: characters of a tick's text.
        options: of the axis.
    """
    places = [escaped_text(name) for name in names]
    return {
        "type": "category",  # digits are names here
        "categoryorder": "array",
        "categoryarray": places,
        "tickmode": "array",
        "tickvals": places,
        "ticktext": [escaped_text(shortened(name, longest)) for name in names],
        "showgrid": False,
        **options,
    }


def family_look(index: int) -> tuple[str, str]:
    """Return the colour and symbol of a family by its place in the study, so that all figures agree."""
    colours = TEMPLATE["layout"]["colorway"]
    return colours[index % len(colours)], _SYMBOLS[index // len(colours) % len(_SYMBOLS)]


def logarithmic_axis(title: str, values: Sequence[float], **options: Any) -> Plot:
    """Return a logarithmic axis that spans some positive values, with no more ticks than can be read.

    Plotly labels all of 2 to 9 on an axis of one or two powers of ten, on top of each other on a phone.
    """
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = 0.06 * (high - low) or 0.3
    steps = (1, 2, 5) if high - low < 2 else (1,)  # noqa: PLR2004  powers of ten
    powers = range(math.floor(low - margin), math.ceil(high + margin) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    inside = [tick for tick in ticks if low - margin <= math.log10(tick) <= high + margin]
    # A narrow range may hold none of them, and then plotly's own are few.
    chosen = {"tickvals": inside} if len(inside) > 1 else {"nticks": 5}
    return axis(title, type="log", range=[low - margin, high + margin], **chosen, **options)


def vertical_line(x: object, color: str) -> Plot:
    """Return a dashed line over the whole height of a figure."""
    return {
        "type": "line",
        "x0": x,
        "x1": x,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": color, "width": 1.5, "dash": "dot"},
    }


def finite(epoch: EpochResult | None, name: str) -> float | None:
    """Return a metric of an epoch as JSON can hold it: None where there is none, and where it is not finite."""
    value = None if epoch is None else epoch.metrics().get(name)
    return None if value is None or not math.isfinite(value) else value


def no_trial_finished(study: Study) -> str:
    """Return why nothing can be drawn before a trial of a study is finished."""
    return f"No trial is finished yet: `optrack run {study.name}` goes on with the search."
