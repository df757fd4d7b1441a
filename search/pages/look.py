"""The look that all figures share: it can be read on white and on black, and by people who are colour-blind."""

import html
from collections.abc import Sequence
from typing import Any, TypeAlias

Plot: TypeAlias = dict[str, Any]
"""A figure as plotly.js takes it: `data`, a list of traces, and `layout`, without a template."""

# Where points may lie on both white and black, neither end of a scale may be either of them.
BLUE, ORANGE, GREEN, YELLOW, GREY = "#2b83ba", "#d55e00", "#009e73", "#e69f00", "#8a94a6"
POOR_TO_GOOD = ((138, 148, 166), (213, 94, 0))
FILL = "Cividis"
STATE_COLORS = {"finished": BLUE, "pruned": YELLOW, "failed": ORANGE, "running": GREEN, "waiting": GREY}

_AXIS = {
    "automargin": True,
    "exponentformat": "e",  # 1e-4 is how people write it, not 100µ
    "gridcolor": "rgba(128,128,128,0.25)",
    "linecolor": "rgba(128,128,128,0.6)",
    "title": {"standoff": 8},
    "zeroline": False,
}
TEMPLATE: Plot = {
    "layout": {
        "bargap": 0.25,
        "colorway": [BLUE, ORANGE, GREEN, "#cc79a7", YELLOW, "#56b4e9"],
        "dragmode": False,  # a finger on a figure scrolls the page
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#767676"},
        "hoverlabel": {"bgcolor": "#22262e", "bordercolor": "#22262e", "font": {"color": "#ffffff"}},
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#767676", "activecolor": "#2b83ba"},
        "margin": {"l": 48, "r": 16, "t": 24, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
}
"""The look that all figures share; whoever draws a `Plot` puts it at `layout.template`."""


def escaped_text(text: str) -> str:
    """Return a text for a figure in which nothing is markup: plotly draws `<b>` and `<a href>`.

    >>> escaped_text('<b>"cats" & dogs</b>')
    '&lt;b&gt;"cats" &amp; dogs&lt;/b&gt;'
    """
    return html.escape(text, quote=False)


def error_bars(values: Sequence[float], intervals: Sequence[tuple[float, float]], **look: Any) -> Plot:
    """Return bars that reach from each value to both ends of its interval.

    Args:
        values: [N] where the points lie.
        intervals: [N] lower and upper ends.
        **look: colour, thickness and width in pixels, by plotly's names.
    """
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, high - value) for value, (_, high) in zip(values, intervals, strict=True)],
        "arrayminus": [max(0.0, value - low) for value, (low, _) in zip(values, intervals, strict=True)],
        **look,
    }
