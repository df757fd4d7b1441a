"""Where the best values lie: each hyperparameter's range, with the champion and the best trials in it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..stores import StoredFamily, Trial
from ..study import Categorical, Condition, Float, Int
from ..text import listing, value_text

TOP_SHARE, TOP_AT_LEAST = 0.2, 3

EDGE = 0.02
"""Share of a range that counts as its edge: beyond it there may be something better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRow:
    """One searched hyperparameter, and the values that trials had; trials that lack it are left out.

    Args:
        name: of the hyperparameter.
        distribution: what it was drawn from.
        champion: the one value of the champion's; empty where it has none.
        tried: values of the finished trials, the best first.
        top: those of the top trials.
    """

    name: str
    distribution: Float | Int | Categorical
    champion: Sequence[Any]
    tried: Sequence[Any]
    top: Sequence[Any]

    @property
    def kind(self) -> str:
        """How it is sampled: "float, logarithmic", "int" or "choice"."""
        if isinstance(self.distribution, Categorical):
            return "choice"
        log = ", logarithmic" if self.distribution.log else ""
        step = f", in steps of {self.distribution.step}" if self.distribution.step not in (None, 1) else ""
        return f"{self.distribution.type}{log}{step}"

    @property
    def condition(self) -> str:
        """When it exists; empty for always."""
        return condition_text(self.distribution.when)

    @property
    def choices(self) -> list[tuple[Any, int, int, bool]]:
        """Each choice, its finished and its top trials, and whether it is the champion's; empty for a range."""
        if not isinstance(self.distribution, Categorical):
            return []
        tried, top, champion = (list(map(_key, values)) for values in (self.tried, self.top, self.champion))
        keys = [(choice, _key(choice)) for choice in self.distribution.choices]
        return [(choice, tried.count(key), top.count(key), key in champion) for choice, key in keys]

    @property
    def place(self) -> float | None:
        """Where the champion lies in the range, in percent of its scale; None without a value, and for a choice."""
        if isinstance(self.distribution, Categorical) or not self.champion:
            return None
        return 100 * position(self.distribution, self.champion[0])

    @property
    def band(self) -> tuple[float, float] | None:
        """Start and width of the top trials' span, in percent of the scale; None without any, and for a choice."""
        if isinstance(self.distribution, Categorical) or not self.top:
            return None
        low, high = (100 * position(self.distribution, end(self.top)) for end in (min, max))
        return low, high - low

    @property
    def found(self) -> str:
        """The values of the top trials in words; empty without any."""
        if isinstance(self.distribution, Categorical):
            return ", ".join(f"{value_text(choice)} in {top}" for choice, _, top, _ in self.choices if top)
        return " to ".join(dict.fromkeys(value_text(end(self.top)) for end in (min, max))) if self.top else ""

    @property
    def edge(self) -> str:
        """The edge of the range at which the champion lies, "lower" or "upper"; empty elsewhere."""
        if self.place is None or EDGE < self.place / 100 < 1 - EDGE:
            return ""
        return "lower" if self.place < 50 else "upper"  # noqa: PLR2004  per cent

    @property
    def picture(self) -> str:
        """The drawn range in words, for screen readers."""
        where = "" if self.place is None else f"the champion at {self.place:.0f} per cent of the range"
        band = "" if self.band is None else f"top trials from {self.band[0]:.0f} to {sum(self.band):.0f} per cent"
        return ", ".join(text for text in (where, band) if text) or "nothing found yet"


def space_rows(stored: StoredFamily, champion: Mapping[str, Any]) -> tuple[SpaceRow, ...]:
    """Return the space of a family, one row for each hyperparameter; `champion` is empty before one is chosen."""
    tried, top = ([trial.params for trial in trials] for trials in (stored.ranked, top_trials(stored)))
    return tuple(
        SpaceRow(
            name=name,
            distribution=distribution,
            champion=_values(name, [champion]),
            tried=_values(name, tried),
            top=_values(name, top),
        )
        for name, distribution in stored.family.space.items()
    )


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


def _values(name: str, params: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [own[name] for own in params if name in own]


def _key(value: object) -> tuple[str, str]:
    """Return a key that tells apart what Python takes for equal, such as 1 and True."""
    return (type(value).__name__, str(value))
