"""The figure of the importances: a bar for each parameter's share, with its interval."""

from ..pages import BLUE, GREY, YELLOW, Plot, error_bars, escaped_text
from .importance import Importances
from .resampling import CONFIDENCE
from .subject import Drawn, Subject

_SHARES = {
    "ped_anova": "The share of each parameter in what sets the best tenth of the finished trials apart from the rest "
    "(PED-ANOVA): how much a parameter matters, not which value of it is good. What a search has settled early differs "
    "little between its trials, and so ranks low here; fANOVA and MDI see more of it.",
    "fanova": "The share of each parameter in the variance that single parameters explain in a random forest "
    "(fANOVA): how much a parameter matters from the worst to the best, not which value of it is good.",
    "mdi": "The share of each parameter in what the splits of a random forest tell (mean decrease of impurity, MDI): "
    "how much a parameter matters from the worst to the best, not which value of it is good.",
}


def importance_bars(subject: Subject) -> Drawn:
    """Draw the shares, the largest on top."""
    found = subject.importances
    if len(subject.parameters) == 1:
        return "There is a single parameter, and so nothing to rank.", ()
    if len(found.values) < 2:  # noqa: PLR2004  one alone has nothing to compare with
        return "There are not two parameters yet that can be compared.", ()
    grey = " Grey bars cannot be told from a parameter without any effect." if found.unproven else ""
    explanation = (
        f"{_SHARES[found.evaluator]} Thin lines are {CONFIDENCE:.0%} intervals of what the share is on average over "
        f"searches with as many finished trials, {found.finished}. Bars whose lines overlap cannot be ordered.{grey}"
    )
    return explanation, [_bars(found)]


def _bars(found: Importances) -> Plot:
    """Bars of shares, their intervals as thin lines and as text to the right."""
    names = list(found.values)[::-1]
    labels = [escaped_text(name) for name in names]
    shares = [found.values[name] for name in names]
    intervals = [found.intervals[name] for name in names]
    trace: Plot = {
        "type": "bar",
        "orientation": "h",
        "x": shares,
        "y": labels,
        "marker": {"color": [GREY if name in found.unproven else BLUE for name in names]},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
        "error_x": error_bars(shares, intervals, color=YELLOW, thickness=1.5, width=3),
    }
    place = {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 6, "yref": "y", "showarrow": False}
    texts = [f"{found.values[name]:.2f} ({found.interval_text(name)})" for name in names]
    return {
        "data": [trace],
        "layout": {
            "height": 80 + 28 * len(names),
            "annotations": [{"text": text, "y": label} | place for text, label in zip(texts, labels, strict=True)],
            "margin": {"r": 120},
            "xaxis": {"title": {"text": "share"}, "rangemode": "tozero"},
            "yaxis": {"showgrid": False, "type": "category"},
        },
    }
