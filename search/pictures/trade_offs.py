"""How accurate each family is for its size and its speed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..pages import GREY, Drawing, Plot, error_bars, escaped_text
from ..results import FamilyResult, StudyResults
from .charts import accuracy_axis, family_look, figure, logarithmic_axis, narrow_range, no_trial_finished, scatter

TRADE_OFFS = "Accuracy against size and speed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A family in a figure; accuracies are those of each seed's test, or the one on the validation images."""

    place: int
    result: FamilyResult
    cost: float
    accuracies: tuple[float, ...]
    tested: bool

    @property
    def accuracy(self) -> float:
        return sum(self.accuracies) / len(self.accuracies)

    @property
    def reported(self) -> float | None:
        """The accuracy that was reported elsewhere on the same kind of images."""
        reference = self.result.reference
        return reference and (reference.test if self.tested else reference.validation)


def trade_offs(results: StudyResults) -> Drawing:
    """Accuracy against number of parameters and against latency, with the Pareto front."""
    study = results.study.name
    size = _points(results, [family.parameters for family in results.families])
    speed = _points(results, [family.latency_ms for family in results.families])
    if not size and not speed:
        return Drawing(heading=TRADE_OFFS, explanation=_nothing(results))
    plots = [_trade_off(size, "parameters", tickformat="~s", hoverformat=".4~s")] if size else []
    if speed:
        plots.append(_trade_off(speed, "milliseconds for one image", tickformat="~g", hoverformat=".3~g"))
    shown = [*size, *speed]
    measured = (
        f" Speed is the median for a single image{_device(results)}."
        if speed
        else f" Speed is measured when the models are tested: `optrack test {study}`."
    )
    averaged = any(len(point.accuracies) > 1 for point in shown)
    seeds = " Test accuracy is the mean over seeds, with a bar from the lowest to the highest." if averaged else ""
    hollow = (
        " Hollow: what was reported elsewhere, at our network's place."
        if any(point.reported for point in shown)
        else ""
    )
    explanation = (
        f"Further left is cheaper, higher is better: no family beats one on the dotted line in both."
        f"{seeds}{hollow}{measured}"
    )
    caution = (
        ""
        if all(point.tested for point in shown)
        else "Accuracy is that on validation images, on which the configurations were chosen, until all are tested."
    )
    return Drawing(heading=TRADE_OFFS, explanation=explanation, plots=tuple(plots), caution=caution)


def _trade_off(points: Sequence[_Point], title: str, **ticks: str) -> Plot:
    front = [points[place] for place in pareto_front([(point.cost, point.accuracy) for point in points])]
    line = scatter(
        [point.cost for point in front],
        [point.accuracy for point in front],
        "lines",
        name="Pareto front",
        hoverinfo="skip",
        line={"shape": "hv", "color": GREY, "width": 1.5, "dash": "dot"},
    )
    reported = [
        _marker(point, point.reported, ", reported", "-open", showlegend=False)
        for point in points
        if point.reported is not None
    ]
    costs = logarithmic_axis(title, [point.cost for point in points], **ticks)
    shown = [accuracy for point in points for accuracy in (*point.accuracies, point.reported)]
    words = "test accuracy" if points[0].tested else "validation accuracy"
    worth = accuracy_axis(words, **narrow_range(shown))
    return figure([line, *map(_found, points), *reported], costs, worth, showlegend=True)


def _points(results: StudyResults, costs: Sequence[float | None]) -> list[_Point]:
    """Return the families whose cost and accuracy are known.

    Accuracies on different images cannot be compared, so it is the test of all of them or of none.
    """
    known = [
        (place, family, cost)
        for place, (family, cost) in enumerate(zip(results.families, costs, strict=True))
        if cost is not None and cost > 0
    ]
    tested = all(family.tests for _, family, _ in known)
    points: list[_Point] = []
    for place, family, cost in known:
        validated = family.candidate and family.candidate.val_accuracy
        searched = () if validated is None else (validated,)
        accuracies = tuple(test.accuracy for test in family.tests) if tested else searched
        if accuracies:
            points.append(_Point(place=place, result=family, cost=cost, accuracies=accuracies, tested=tested))
    return points


def _found(point: _Point) -> Plot:
    if len(point.accuracies) == 1:
        return _marker(point, point.accuracy)
    spread, color = (min(point.accuracies), max(point.accuracies)), family_look(point.place)[0]
    bars = error_bars([point.accuracy], [spread], color=color, thickness=1.5, width=4)
    return _marker(point, point.accuracy, error_y=bars)


def _marker(point: _Point, accuracy: float | None, words: str = "", shape: str = "", **look: Any) -> Plot:
    color, symbol = family_look(point.place)
    return scatter(
        [point.cost],
        [accuracy],
        "markers",
        name=f"{escaped_text(point.result.name)}{words}",
        marker={"color": color, "size": 11, "symbol": f"{symbol}{shape}", "line": {"width": 2, "color": color}},
        hovertemplate="%{fullData.name}<br>%{x}: %{y:.2%}<extra></extra>",
        **look,
    )


def _nothing(results: StudyResults) -> str:
    if all(family.candidate is None for family in results.families):
        return no_trial_finished(results.study)
    return "Neither size nor speed is known of a family whose accuracy is."


def _device(results: StudyResults) -> str:
    """Return where latency was measured, for a sentence; empty where that differs or is not known."""
    devices = {family.latency_device for family in results.families if family.latency_ms is not None}
    device = devices.pop() if len(devices) == 1 else None
    return f", on {device}" if device else ""


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the points for which no other one costs at most as much, is at least as good, and differs in one of these.

    Args:
        points: [N] cost (less is better) and worth (more is better).

    Returns:
        Their places in the sequence, by rising cost, and so by rising worth; equal points all stand on it.

    >>> pareto_front([(1, 0.5), (2, 0.4), (3, 0.9)])
    [0, 2]
    """
    front: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if not front or points[place][1] > points[front[-1]][1] or points[place] == points[front[-1]]:
            front.append(place)
    return front
