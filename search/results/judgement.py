"""Which family is best, and how certain that is: families compared in pairs on the same test images."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NothingStoredError, StudyError
from ..text import listing
from .significance import LEVEL, RESAMPLES, holm, mcnemar, p_text, paired_interval, wilson_interval
from .values import TestResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyScore:
    """A family on the test images.

    Args:
        accuracies: of its retrained seeds, in [0, 1], the champion's first.
        deviation: standard deviation of the accuracies (n - 1); None for a single seed.
        champion_interval: 95 % interval of the champion's accuracy on other test images of this kind.
        mean_loss: cross-entropy, over the seeds.
        calibration_error: expected calibration error in [0, 1], mean over the seeds.
        openings: how often the test part was opened, for the seed for which that was most often.
    """

    name: str
    accuracies: tuple[float, ...]
    mean: float
    deviation: float | None
    champion_interval: tuple[float, float]
    mean_loss: float
    calibration_error: float
    openings: int

    @property
    def champion(self) -> float:
        """The champion's accuracy."""
        return self.accuracies[0]

    @property
    def lowest(self) -> float:
        """The accuracy of the worst seed."""
        return min(self.accuracies)

    @property
    def highest(self) -> float:
        """The accuracy of the best seed."""
        return max(self.accuracies)

    def as_json(self) -> dict[str, Any]:
        """Return plain values; None for what is not finite."""
        values = asdict(self)
        named = {"family": values.pop("name"), **values}
        named |= {name: getattr(self, name) for name in ("lowest", "highest", "champion")}
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in named.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two families on the same test images.

    Args:
        better: the family with the higher mean accuracy over its seeds; the other one is `worse`.
        difference: of the mean accuracies, 0 or more.
        interval: 95 % interval of the difference on other test images of this kind, for the same seeds.
        better_alone: number of images that only the better family's champion recognises; `worse_alone` likewise.
        p_value: of McNemar's exact test between the champions.
        p_corrected: the same, corrected for the number of pairs.
        overlap: whether the worse family's best seed is as good as the better family's worst seed.
        seeds: how many retrained seeds the family with fewer of them has.
    """

    better: str
    worse: str
    difference: float
    interval: tuple[float, float]
    better_alone: int
    worse_alone: int
    p_value: float
    p_corrected: float
    overlap: bool
    seeds: int

    @property
    def contradicted(self) -> bool:
        """Whether the champions are ordered the other way round than the means over the seeds."""
        return self.worse_alone > self.better_alone

    @property
    def shown(self) -> bool:
        """Whether the difference is more than the choice of test images explains."""
        return self.p_corrected < LEVEL and self.interval[0] > 0 and not self.contradicted

    @property
    def sentence(self) -> str:
        """The comparison in words; differences in percentage points."""
        figures = f"{_points(self.difference, *self.interval)}, {p_text(self.p_corrected)}"
        if not self.shown:
            sentence = f"no difference between {self.better} and {self.worse} can be shown: {figures}"
            if self.p_corrected >= LEVEL:
                return sentence
            if self.contradicted:
                return f"{sentence}; the champions stand the other way round"
            return f"{sentence}; the champions differ, but not the means over their seeds"
        sentence = f"{self.better} is better than {self.worse} by {figures}"
        if self.overlap:
            return f"{sentence}; the ranges of their seeds overlap: another seed may turn it round"
        return f"{sentence}; with a single seed: another may turn it round" if self.seeds == 1 else sentence

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "shown": self.shown, "sentence": self.sentence}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All families of a study, compared.

    Args:
        scores: at least one, the best first.
        comparisons: of every two; those with the best family first.
    """

    scores: tuple[FamilyScore, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def winner(self) -> str:
        """The family with the best mean accuracy; ties go to the lower mean loss, then to the alphabet."""
        return self.scores[0].name

    @property
    def clear(self) -> bool:
        """Whether the winner is shown to be better than every other family; False where there is no other."""
        return len(self.scores) > 1 and all(comparison.shown for comparison in self._winners)

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        first, *others = self.scores
        if not others:
            return f"{first.name} is the only family that was tested: there is none to compare it with"
        if self.clear:
            rest = others[0].name if len(others) == 1 else "every other family"
            overlapping = [comparison.worse for comparison in self._winners if comparison.overlap]
            caution = f"; against {listing(overlapping)} another seed may turn it round" if overlapping else ""
            return f"{first.name} wins: it is better than {rest}{caution}"
        equal = [score.name for score in others if score.mean == first.mean]
        if equal:
            return f"{listing([first.name, *equal])} are level; {first.name} counts as the winner"
        doubtful = [comparison.worse for comparison in self._winners if not comparison.shown]
        return f"{first.name} is ahead, but not shown to be better than {listing(doubtful)}"

    @property
    def _winners(self) -> list[Comparison]:
        """The winner against each other family; it is the better one in each."""
        return [comparison for comparison in self.comparisons if comparison.better == self.winner]

    def as_json(self) -> dict[str, Any]:
        """Return plain values, ready for `json.dumps`."""
        return {
            "winner": self.winner,
            "clear": self.clear,
            "sentence": self.sentence,
            "families": [score.as_json() for score in self.scores],
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
        }


def verdict(results: Mapping[str, Sequence[TestResult]], *, resamples: int = RESAMPLES) -> Verdict:
    """Compare all families that were tested.

    The p-values compare the champions, the models that would be deployed, as McNemar's test takes two models. Intervals
    and means are over all seeds. A difference must pass both.

    Args:
        results: the test results of each family's retrained seeds, the champion's first; families without any are
            left out.
        resamples: bootstrap samples for each pair.

    Raises:
        NothingStoredError: no family was tested.
        StudyError: two families, or two seeds of one, were not tested on the same images, or on none.
    """
    tested = {name: tests for name, tests in results.items() if tests}
    if not tested:
        raise NothingStoredError("no family has been tested yet: `optrack test` does it")
    _check_same_images(tested)
    scores = sorted(
        (_score(name, tests) for name, tests in tested.items()),
        key=lambda score: (-score.mean, score.mean_loss, score.name),
    )
    pairs = list(itertools.combinations(scores, 2))
    alone = [_alone(tested[better.name][0], tested[worse.name][0]) for better, worse in pairs]
    p_values = [mcnemar(*counts) for counts in alone]
    comparisons = tuple(
        Comparison(
            better=better.name,
            worse=worse.name,
            difference=better.mean - worse.mean,
            interval=paired_interval(_correct(tested[better.name]), _correct(tested[worse.name]), resamples=resamples),
            better_alone=counts[0],
            worse_alone=counts[1],
            p_value=p_value,
            p_corrected=corrected,
            overlap=worse.highest >= better.lowest,
            seeds=min(len(better.accuracies), len(worse.accuracies)),
        )
        for (better, worse), counts, p_value, corrected in zip(pairs, alone, p_values, holm(p_values), strict=True)
    )
    return Verdict(scores=tuple(scores), comparisons=comparisons)


def _check_same_images(tested: Mapping[str, Sequence[TestResult]]) -> None:
    everything = [(name, test) for name, tests in tested.items() for test in tests]
    first_name, first = everything[0]
    if not first.labels.size:
        raise StudyError(f"a test must have images, but that of family {first_name!r} has none")
    for name, test in everything[1:]:
        if test.digest != first.digest or not np.array_equal(test.labels, first.labels):
            raise StudyError(
                "families are compared on the same test images, but "
                f"{f'the seeds of family {name!r}' if name == first_name else f'families {first_name!r} and {name!r}'} "
                "were tested on different ones: test them again with the same data"
            )


def _score(name: str, tests: Sequence[TestResult]) -> FamilyScore:
    correct = _correct(tests)
    recognised = [int(count) for count in correct.sum(axis=1)]
    accuracies = [count / correct.shape[1] for count in recognised]
    return FamilyScore(
        name=name,
        accuracies=tuple(accuracies),
        mean=sum(recognised) / correct.size,  # of whole numbers: equal families have equal means to the last bit
        deviation=float(np.std(accuracies, ddof=1)) if len(tests) > 1 else None,
        champion_interval=wilson_interval(recognised[0], correct.shape[1]),
        mean_loss=float(np.mean([test.loss for test in tests])),
        calibration_error=float(np.mean([test.calibration_error for test in tests])),
        openings=max(test.openings for test in tests),
    )


def _correct(tests: Sequence[TestResult]) -> NDArray[np.bool_]:
    """Bool [K, N], which images each seed recognises."""
    return np.stack([test.correct for test in tests])


def _alone(first: TestResult, second: TestResult) -> tuple[int, int]:
    return int((first.correct & ~second.correct).sum()), int((second.correct & ~first.correct).sum())


def _points(difference: float, low: float, high: float) -> str:
    """Return differences in percentage points, with enough digits that a low end above 0 does not read as 0."""
    digits = 1
    while low > 0 and round(100 * low, digits) == 0:
        digits += 1
    shown = [f"{100 * value:z.{digits}f}" for value in (difference, low, high)]
    return f"{shown[0]} points ({shown[1]} to {shown[2]})"
