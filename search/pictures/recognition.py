"""How a champion did on the test images: confusions, accuracy class by class, and how reliable its confidence is."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StudyError
from ..pages import BLUE, GREY, ORANGE, Drawing, Plot, Table, error_bars, escaped_text
from ..results import (
    FEW_GROUPS,
    FamilyResult,
    TestResult,
    accuracy_interval,
    confusion,
    per_class_accuracy,
    reliability,
)
from ..text import listing, percent, plural
from .charts import accuracy_axis, axis, figure, names_axis, scatter, vertical_line

CONFUSION, CONFUSIONS = "Confusion matrix", "Most frequent confusions"
PER_CLASS, CALIBRATION = "Accuracy per class", "Calibration"

_NUMBERED = 15  # classes up to which a cell has room for its number
_MOST_CELLS, _MOST_CLASSES = 100, 60  # beyond so many classes, so many are shown
_CONFUSIONS = 10
_LABEL = 22  # characters
# See-through at both ends of the scale, so that numbers in a cell can be read on white and on black.
# The smallest share has a colour of its own: one mistake among thousands is seen, but nothing is faint.
_FAINT = "rgba(128,128,128,0.08)"
_RIGHT = [[0, _FAINT], [1, "rgba(43,131,186,0.65)"]]
_WRONG = [[0, _FAINT], [1e-6, "rgba(213,94,0,0.12)"], [1, "rgba(213,94,0,0.8)"]]


def recognition(result: FamilyResult) -> list[Drawing | Table]:
    """Draw the confusion matrix with its largest entries, accuracy per class and calibration of the champion."""
    test = result.champion_test
    if test is None:
        missing = _missing(result)
        return [Drawing(heading=heading, explanation=missing) for heading in (CONFUSION, PER_CLASS, CALIBRATION)]
    counts = confusion(test.labels, test.predictions, len(test.classes))
    return [_confusion(test, counts), *_confusions(test, counts), _per_class(test, counts), _calibration(test)]


def _missing(result: FamilyResult) -> str:
    study = result.stored.study.name
    if result.champion is None:
        return f"Not retrained yet: `optrack retrain {study}`, then `optrack test {study}`."
    return f"Not tested yet: `optrack test {study}` opens the test images, once."


def _confusion(test: TestResult, counts: NDArray[np.int64]) -> Drawing:
    shown = _most_mistaken(counts)
    names = [test.classes[index] for index in shown]
    size = len(shown)
    cells = counts[np.ix_(shown, shown)]
    shares = cells / np.maximum(counts[shown].sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(size, dtype=np.bool_)
    worst = float(shares[~diagonal].max(initial=0.0))
    traces = [
        _cells(names, cells, shares, diagonal, ("right", _RIGHT, 1.0)),
        _cells(names, cells, shares, ~diagonal, ("mistaken", _WRONG, worst or 1.0)),
    ]
    look = {"tickfont": {"size": 12 if size <= _NUMBERED else 9}, "constrain": "domain"}
    upright = size <= _NUMBERED and max(map(len, names)) <= 3  # noqa: PLR2004  characters that fit below a cell
    columns = names_axis(names, _LABEL, title={"text": "taken for"}, tickangle=0 if upright else -90, **look)
    square = {"autorange": "reversed", "scaleanchor": "x", "constraintoward": "top"}
    rows = names_axis(names, _LABEL, title={"text": "right class"}, **square, **look)
    # A square of cells, and names on two of its sides.
    side = min(max(36 * size, 240), max(520, 12 * size)) + 150
    plot = figure(traces, columns, rows, height=side)
    left_out = f" Of {len(counts)} classes the {size} with most mistakes are shown." if size < len(counts) else ""
    explanation = (
        f"Each row is a right class, each column what its images were taken for: blue what was recognised, orange the "
        f"mistakes, the stronger the larger their share of the row (the strongest orange: {percent(worst)}).{left_out}"
    )
    width = 0 if size <= _NUMBERED else 150 + 11 * size
    return Drawing(heading=CONFUSION, explanation=explanation, plots=(plot,), minimum_width=width)


def _most_mistaken(counts: NDArray[np.int64]) -> list[int]:
    """Return the classes that are shown, in their order."""
    if len(counts) <= _MOST_CELLS:
        return list(range(len(counts)))
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    return sorted(np.argsort(-mistakes, kind="stable")[:_MOST_CLASSES].tolist())


def _cells(
    names: Sequence[str],
    counts: NDArray[np.int64],
    shares: NDArray[np.float64],
    mask: NDArray[np.bool_],
    look: tuple[str, list[list[Any]], float],
) -> Plot:
    """Return the cells of a mask as a heat map; the others are left empty for another one."""
    name, scale, most = look
    places = [escaped_text(text) for text in names]
    numbers = np.where(mask & (counts > 0), counts.astype(np.str_), "").tolist()
    return {
        "type": "heatmap",
        "name": name,
        "x": places,
        "y": places,
        "z": _where(mask, np.round(shares, 4)),
        "zmin": 0,
        "zmax": most,
        "customdata": _where(mask, counts),
        "colorscale": scale,
        "showscale": False,
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "%{y}<br>taken for %{x}<br>%{customdata} images, %{z:.1%}<extra></extra>",
        **({"text": numbers, "texttemplate": "%{text}"} if len(names) <= _NUMBERED else {}),
    }


def _where(mask: NDArray[np.bool_], values: NDArray[np.int64] | NDArray[np.float64]) -> list[list[float | None]]:
    return np.where(mask, values, np.array(None)).tolist()


def _confusions(test: TestResult, counts: NDArray[np.int64]) -> list[Table]:
    """List the largest off-diagonal entries; there is no table where every image was recognised."""
    mistakes = counts - np.diag(counts.diagonal())
    largest = np.argsort(-mistakes, axis=None, kind="stable")[:_CONFUSIONS]
    places = [divmod(int(place), len(counts)) for place in largest]
    rows = tuple(
        (test.classes[right], test.classes[taken], str(mistakes[right, taken]), percent(share))
        for right, taken in places
        if mistakes[right, taken]
        for share in [float(mistakes[right, taken] / counts[right].sum())]
    )
    if not rows:
        return []
    all_mistakes = int(mistakes.sum())
    explanation = (
        f"{all_mistakes} of {counts.sum()} test images were mistaken; these confusions make up "
        f"{sum(int(row[2]) for row in rows)} of them. The share is that of the right class's images."
    )
    columns = ("right class", "taken for", "images#", "share#")
    return [Table(heading=CONFUSIONS, explanation=explanation, columns=columns, rows=rows)]


def _per_class(test: TestResult, counts: NDArray[np.int64]) -> Drawing:
    images, right = counts.sum(axis=1), counts.diagonal()
    accuracy = per_class_accuracy(test.labels, test.predictions, len(test.classes))
    tested = np.flatnonzero(images)
    worst_first: list[int] = tested[np.argsort(accuracy[tested], kind="stable")][:_MOST_CLASSES].tolist()
    of_class = [test.labels == index for index in worst_first]
    groups = [None if test.groups is None else test.groups[mask] for mask in of_class]
    intervals = [
        accuracy_interval(test.correct[None, mask], known) for mask, known in zip(of_class, groups, strict=True)
    ]
    names = [test.classes[index] for index in worst_first]
    values = [float(accuracy[index]) for index in worst_first]
    points = scatter(
        values,
        [escaped_text(name) for name in names],
        "markers",
        customdata=[
            [int(right[index]), plural(int(images[index]), "test image") + _in_groups(known)]
            for index, known in zip(worst_first, groups, strict=True)
        ],
        marker={"color": BLUE, "size": 8},
        error_x=error_bars(values, intervals, color=GREY, thickness=1.2, width=0),
        hovertemplate="%{y}: %{x:.2%}<br>%{customdata[0]} of %{customdata[1]}<extra></extra>",
    )
    rows = names_axis(names, 24, autorange="reversed")
    line = vertical_line(test.accuracy, ORANGE)
    plot = figure([points], accuracy_axis(), rows, height=90 + 18 * len(names), shapes=[line])
    shown = f" The {len(names)} worst of {len(tested)} classes are shown." if len(names) < len(tested) else ""
    untested = len(images) - len(tested)
    number = "1 class has" if untested == 1 else f"{untested} classes have"
    empty = f" {number} no test image." if untested else ""
    counted = [len(np.unique(known)) for known in groups if known is not None]
    few = [f"{name} ({number})" for name, number in zip(names, counted, strict=False) if number < FEW_GROUPS]
    rest = f" Few groups to rest on: {listing(few)}; those bars are shorter than they should be." if few else ""
    independent = "images" if test.groups is None else "groups of images that belong together"
    explanation = (
        f"The worst class on top; the dotted line is all test images together, {percent(test.accuracy)}. The thin bars "
        f"are 95 % intervals: the fewer {independent} a class has, the wider.{shown}{empty}{rest}"
    )
    return Drawing(heading=PER_CLASS, explanation=explanation, plots=(plot,))


def _in_groups(groups: NDArray[np.int64] | None) -> str:
    return "" if groups is None else f" in {plural(len(np.unique(groups)), 'group')}"


def _calibration(test: TestResult) -> Drawing:
    try:
        bins = reliability(test.confidences, test.correct)
    except StudyError as error:
        return Drawing(heading=CALIBRATION, explanation=f"This cannot be drawn: {error}")
    dotted = {"color": GREY, "width": 1.5, "dash": "dot"}
    ideal = scatter([0, 1], [0, 1], "lines", name="as it should be", hoverinfo="skip", line=dotted)
    largest = max(part.count for part in bins)
    points = scatter(
        [part.confidence for part in bins],
        [part.accuracy for part in bins],
        "lines+markers",
        cliponaxis=False,
        name="test images",
        customdata=[part.count for part in bins],
        line={"color": BLUE, "width": 1.5},
        marker={
            "color": BLUE,
            "line": {"width": 0},  # plotly outlines points of different sizes in white
            "opacity": 1,
            "size": [6 + 16 * math.sqrt(part.count / largest) for part in bins],
        },
        hovertemplate="confidence %{x:.1%}, accuracy %{y:.1%}<br>%{customdata} images<extra></extra>",
    )
    limits = {"range": [0, 1], "tickformat": ".0%", "constrain": "domain"}
    upwards = axis("accuracy", scaleanchor="x", constraintoward="top", **limits)
    plot = figure(
        [ideal, points], axis("mean confidence", ticklabelstandoff=6, **limits), upwards, height=400, showlegend=False
    )
    explanation = (
        f"How often predictions were right (upwards) that were made with some confidence (to the right); the larger a "
        f"point, the more images. Below the dotted line the network is too sure of itself, above it not sure enough. "
        f"On average over the images it is off by {percent(test.calibration_error)} (expected calibration error)."
    )
    return Drawing(heading=CALIBRATION, explanation=explanation, plots=(plot,))
