"""Where the best values lie: each hyperparameter's range, with the champion and the best trials in it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..stores import StoredFamily, Trial
from ..study import Categorical, Condition, Family, Float, Int
from ..text import listing, value_text

TOP_SHARE, TOP_AT_LEAST = 0.2, 3

EDGE = 0.02
"""Share of a range that counts as its edge: beyond it there may be something better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceCount:
    """One of the values of a categorical hyperparameter.

    Args:
        text: the value.
        tried: finished trials with it.
        top: top trials with it.
        chosen: whether it is the champion's.
    """

    text: str
    tried: int
    top: int
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRow:
    """One searched hyperparameter.

    Args:
        name: of the hyperparameter.
        kind: how it is sampled: "float, logarithmic", "int" or "choice".
        low: lower end as text; empty for a choice.
        high: upper end as text; empty for a choice.
        condition: when it exists; empty for always.
        value: the champion's; empty where the champion has none.
        place: where that lies in the range, in percent of its scale; None without a value, and for a choice.
        top: values of the top trials in words; empty without any.
        band: start and width of their span, in percent of the scale; None without any, and for a choice.
        choices: of a categorical hyperparameter.
        edge: "lower" or "upper" where the champion lies at that edge of the range, else empty.
    """

    name: str
    kind: str
    low: str = ""
    high: str = ""
    condition: str = ""
    value: str = ""
    place: float | None = None
    top: str = ""
    band: tuple[float, float] | None = None
    choices: tuple[ChoiceCount, ...] = ()
    edge: str = ""

    @property
    def picture(self) -> str:
        """The drawn range in words, for screen readers."""
        where = "" if self.place is None else f"the champion at {self.place:.0f} per cent of the range"
        band = "" if self.band is None else f"top trials from {self.band[0]:.0f} to {sum(self.band):.0f} per cent"
        return ", ".join(text for text in (where, band) if text) or "nothing found yet"


def space_rows(stored: StoredFamily, family: Family, champion: Trial | None) -> tuple[SpaceRow, ...]:
    """Return the space of a family, one row for each hyperparameter.

    Args:
        stored: the trials.
        family: whose space it is.
        champion: the trial whose configuration was chosen; None before there is one.
    """
    top = top_trials(stored)
    rows: list[SpaceRow] = []
    for name, distribution in family.space.items():
        if isinstance(distribution, Categorical):
            rows.append(_choice_row(name, distribution, champion, stored.ranked, top))
        else:
            rows.append(_range_row(name, distribution, champion, top))
    return tuple(rows)


def top_trials(stored: StoredFamily) -> list[Trial]:
    """Return the best fifth of the finished trials, at least three of them, the best first."""
    return stored.ranked[: max(TOP_AT_LEAST, round(TOP_SHARE * len(stored.ranked)))]


def condition_text(condition: Condition) -> str:
    """Return when a hyperparameter exists, in words.

    >>> condition_text({"optimizer": ("sgd", "adamw")})
    'only with optimizer = sgd or adamw'
    """
    parts: list[str] = []
    for name, wanted in condition.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        parts.append(f"{name} = {' or '.join(value_text(value) for value in values)}")
    return f"only with {listing(parts)}" if parts else ""


def position(distribution: Float | Int, value: float) -> float:
    """Return where a value lies in a range, from 0 to 1 on its own scale.

    >>> position(Float(1e-4, 1e-2, log=True), 1e-3)
    0.5
    """
    low, high = float(distribution.low), float(distribution.high)
    if low == high:
        return 0.5
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return round(min(max((value - low) / (high - low), 0.0), 1.0), 6)


def _range_row(name: str, distribution: Float | Int, champion: Trial | None, top: Sequence[Trial]) -> SpaceRow:
    value = champion.params.get(name) if champion else None
    place = None if value is None else position(distribution, value)
    found = sorted(trial.params[name] for trial in top if name in trial.params)
    log = ", logarithmic" if distribution.log else ""
    step = f", in steps of {distribution.step}" if distribution.step not in (None, 1) else ""
    return SpaceRow(
        name=name,
        kind=f"{distribution.type}{log}{step}",
        low=value_text(distribution.low),
        high=value_text(distribution.high),
        condition=condition_text(distribution.when),
        value="" if value is None else value_text(value),
        place=None if place is None else 100 * place,
        top=_span(found),
        band=_band(distribution, found),
        edge=_edge(distribution, place),
    )


def _edge(distribution: Float | Int, place: float | None) -> str:
    if place is None or distribution.low == distribution.high:
        return ""
    if place <= EDGE:
        return "lower"
    return "upper" if place >= 1 - EDGE else ""


def _span(found: Sequence[float]) -> str:
    if not found:
        return ""
    low, high = value_text(found[0]), value_text(found[-1])
    return low if low == high else f"{low} to {high}"


def _band(distribution: Float | Int, found: Sequence[float]) -> tuple[float, float] | None:
    if not found:
        return None
    low, high = (100 * position(distribution, value) for value in (found[0], found[-1]))
    return low, high - low


def _choice_row(
    name: str,
    distribution: Categorical,
    champion: Trial | None,
    finished: Sequence[Trial],
    top: Sequence[Trial],
) -> SpaceRow:
    has_value = champion is not None and name in champion.params
    value: Any = champion.params[name] if champion is not None and has_value else None
    tried, best = (
        Counter(_key(trial.params[name]) for trial in trials if name in trial.params) for trials in (finished, top)
    )
    choices = tuple(
        ChoiceCount(
            text=value_text(choice),
            tried=tried[_key(choice)],
            top=best[_key(choice)],
            chosen=has_value and _key(choice) == _key(value),
        )
        for choice in distribution.choices
    )
    return SpaceRow(
        name=name,
        kind="choice",
        condition=condition_text(distribution.when),
        value=value_text(value) if has_value else "",
        top=", ".join(f"{choice.text} in {choice.top}" for choice in choices if choice.top),
        choices=choices,
    )


def _key(value: object) -> tuple[str, str]:
    """Return a key that tells apart what Python takes for equal, such as 1 and True."""
    return (type(value).__name__, str(value))
