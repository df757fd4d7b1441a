"""Two families on the same test images: the difference, what it is uncertain by, and the sentence that says it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ..text import count
from .significance import LEVEL, holm, mcnemar, p_text
from .uncertainty import Estimate, difference_estimate, images_needed, seeds_needed
from .values import TestResult

Finding = Literal["better by more", "practically equal", "better", "not enough to tell"]
"""What the test images show of two families; the first of them that holds."""

SEEDS_WITH_IMAGES = (10, 20, 50)
"""How many seeds are proposed beside more images, where neither suffices alone; the fewest that do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What would show a difference as large as the margin, with a probability of 80 %, corrected for all pairs.

    Args:
        seeds: for each family; None where no number of them does.
        images: of the test; None where no number of them does.
        groups: that so many images come in; None where images are independent.
        together: whether it takes both; otherwise either is enough.
    """

    seeds: int | None
    images: int | None
    groups: int | None
    together: bool = False

    @classmethod
    def of(cls, pair: "Pair", margin: float, *, level: float) -> Self:
        """Return what it takes, given two families that were tested, and the level at which they are compared."""
        found, test = pair.estimate, pair.tests[0][0]
        seeds = seeds_needed(found, margin, level=level) if found.trainings else None
        times, together = images_needed(found, margin, level=level), False
        if seeds is None and times is None and found.trainings:
            both = ((each, images_needed(found.with_seeds(each), margin, level=level)) for each in SEEDS_WITH_IMAGES)
            seeds, times = next((each for each in both if each[1] is not None), (None, None))
            together = True
        if times is None:
            return cls(seeds=seeds, images=None, groups=None)
        groups = None if test.group_count is None else _rounded(times * test.group_count)
        return cls(seeds=seeds, images=_rounded(times * len(test.labels)), groups=groups, together=together)

    def sentence(self, margin: float) -> str:
        """What it takes in words."""
        grouped = "" if self.groups is None else f" in {count(self.groups)} groups"
        ways = [
            *([f"{self.seeds} seeds"] if self.seeds else []),
            *([f"{count(self.images)} test images{grouped}"] if self.images else []),
        ]
        difference = f"a difference of {margin_text(margin)}"
        if not ways:
            return f"no number of seeds or test images within reason would show {difference}"
        return f"with {(' and ' if self.together else ' or ').join(ways)}, {difference} could be shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two families on the same test images; their champions alone where one of them has a single seed.

    Args:
        better: the one with the higher accuracy; the other one is `worse`.
        seeds: how many retrained seeds the family with fewer of them has; 1 where the champions are compared.
        difference: of the mean accuracies, 0 or more.
        interval: its 95 % interval, for other test images of the kind and other trainings; that of champions for other
            test images alone.
        p_value: against there being no difference.
        p_corrected: the same, corrected for the number of pairs, as are the following two.
        p_beyond: against a difference of at most the margin.
        p_within: against a difference of at least the margin, in either direction.
        margin: the least difference that matters, as a share.
        better_alone: number of images that only the better family's champion recognises; `worse_alone` likewise.
        p_champions: against the champions, as they are, being equally good.
        needed: what would show a difference as large as the margin, where these images do not tell.
    """

    better: str
    worse: str
    seeds: int
    difference: float
    interval: tuple[float, float]
    p_value: float
    p_corrected: float
    p_beyond: float
    p_within: float
    margin: float
    better_alone: int
    worse_alone: int
    p_champions: float
    needed: Needed | None = None

    @property
    def differ(self) -> bool:
        """Whether one is shown to be better, by however little."""
        return self.p_corrected < LEVEL and self.interval[0] > 0

    @property
    def finding(self) -> Finding:
        """What the test images show."""
        if self.differ and self.p_beyond < LEVEL:
            return "better by more"
        if self.p_within < LEVEL:
            return "practically equal"
        return "better" if self.differ else "not enough to tell"

    @property
    def shown(self) -> bool:
        """Whether one is shown to be better by what may matter."""
        return self.finding.startswith("better")

    @property
    def sentence(self) -> str:
        """The comparison in words; differences in percentage points."""
        better, worse, caution = self.better, self.worse, ""
        if self.seeds == 1:
            better, worse = f"this model of {better}", f"that of {worse}"
            caution = "; a single seed says nothing about the families"
        figures, p_value, margin = _points(self.difference, *self.interval), p_text(self.p_corrected), self.margin
        match self.finding:
            case "better by more":
                more = f"more than the margin of {margin_text(margin)}"
                return f"{better} is better than {worse} by {figures}, {p_value}, {more}{caution}"
            case "better":
                return f"{better} is better than {worse} by {figures}, {p_value}{caution}"
            case "practically equal":
                less = f"less than the margin of {margin_text(margin)}"
                return f"{better} and {worse} are practically equal: they differ by {figures}, {less}{caution}"
            case "not enough to tell":
                needed = f"; {self.needed.sentence(margin)}" if self.needed else ""
                return f"not enough to tell {better} and {worse} apart: {figures}, {p_value}{needed}{caution}"

    @property
    def champions_sentence(self) -> str:
        """The same of the two champions as they are, whatever another training would bring."""
        return (
            f"the champions as they are: {count(self.better_alone)} images that only {self.better}'s recognises, "
            f"{count(self.worse_alone)} that only {self.worse}'s does, {p_text(self.p_champions)}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **asdict(self),
            "finding": self.finding,
            "shown": self.shown,
            "sentence": self.sentence,
            "champions_sentence": self.champions_sentence,
        }


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The test results of two families on the same images, their champions' first."""

    names: tuple[str, str]
    tests: tuple[Sequence[TestResult], Sequence[TestResult]]

    @property
    def seeds(self) -> int:
        """How many seeds the family with fewer of them has."""
        return min(map(len, self.tests))

    @property
    def champions(self) -> "Pair":
        """The same with the champions alone."""
        return replace(self, tests=(self.tests[0][:1], self.tests[1][:1]))

    @property
    def better_first(self) -> "Pair":
        """The same with the better family first, which stays first where they are equal."""
        if self.estimate.value >= 0:
            return self
        return Pair(names=(self.names[1], self.names[0]), tests=(self.tests[1], self.tests[0]))

    @cached_property
    def estimate(self) -> Estimate:
        """The first family's accuracy less the second one's; of their champions where one has a single seed."""
        first, second = self.champions.tests if self.seeds == 1 else self.tests
        return difference_estimate(answers(first), answers(second), first[0].groups)

    @property
    def alone(self) -> tuple[int, int]:
        """How many images only the one and only the other champion recognises."""
        first, second = (tests[0].correct for tests in self.tests)
        return int((first & ~second).sum()), int((second & ~first).sum())

    @property
    def p_value(self) -> float:
        """The p-value against there being no difference, where the better one comes first."""
        if self.seeds == 1 and self.tests[0][0].groups is None:  # two models on independent images: it can be exact
            return mcnemar(*self.alone)
        return self.estimate.above()


def compared(pairs: Sequence[Pair], *, margin: float) -> tuple[Comparison, ...]:
    """Compare families in pairs, corrected for their number (Holm 1979).

    Args:
        pairs: the family that comes first where they are equal, first.
        margin: the least difference that matters, as a share.
    """
    pairs = [pair.better_first for pair in pairs]
    p_values = [pair.p_value for pair in pairs]
    corrected = zip(
        holm(p_values),
        holm([pair.estimate.above(margin) for pair in pairs]),
        holm([pair.estimate.within(margin) for pair in pairs]),
        strict=True,
    )
    found = [
        Comparison(
            better=pair.names[0],
            worse=pair.names[1],
            seeds=pair.seeds,
            difference=pair.estimate.value,
            interval=pair.estimate.interval,
            p_value=pair.p_value,
            p_corrected=p_corrected,
            p_beyond=p_beyond,
            p_within=p_within,
            margin=margin,
            better_alone=pair.alone[0],
            worse_alone=pair.alone[1],
            p_champions=pair.champions.better_first.p_value,
        )
        for pair, (p_corrected, p_beyond, p_within) in zip(pairs, corrected, strict=True)
    ]
    level = LEVEL / max(len(pairs), 1)
    return tuple(
        replace(comparison, needed=Needed.of(pair, margin, level=level))
        if comparison.finding == "not enough to tell"
        else comparison
        for comparison, pair in zip(found, pairs, strict=True)
    )


def answers(tests: Sequence[TestResult]) -> NDArray[np.bool_]:
    """Return bool [K, N], which images each seed recognises."""
    return np.stack([test.correct for test in tests])


def margin_text(margin: float) -> str:
    """Return a margin as it is said.

    >>> margin_text(0.005), margin_text(0.01)
    ('0.5 points', '1 point')
    """
    shown = f"{100 * margin:.4g}"
    return f"{shown} {'point' if shown == '1' else 'points'}"


def _rounded(images: float) -> int:
    """Return a number of images to two digits, upwards: it is no more exact.

    >>> _rounded(3921.0), _rounded(87.2)
    (4000, 88)
    """
    unit = 10 ** max(0, len(str(int(images))) - 2)
    return int(-(-images // unit) * unit)


def _points(difference: float, low: float, high: float) -> str:
    """Return differences in percentage points, with enough digits that a low end above 0 does not read as 0."""
    digits = 1
    while low > 0 and round(100 * low, digits) == 0:
        digits += 1
    shown = [f"{100 * value:z.{digits}f}" for value in (difference, low, high)]
    return f"{shown[0]} points ({shown[1]} to {shown[2]})"
