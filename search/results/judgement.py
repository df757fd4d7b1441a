"""Which family is best, and how certain that is: chosen by validation, compared in pairs on the same test images."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..defaults import MARGIN
from ..errors import NothingStoredError, StudyError
from ..text import listing
from .comparison import Comparison, Pair, answers, compared
from .uncertainty import accuracy_interval
from .values import TestResult

Standing = Literal["better than", "practically equal to", "not told apart from", "worse than"]
"""How the winner stands to another family on the test images, in the order in which it is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyScore:
    """A family on the test images.

    Args:
        accuracies: of its retrained seeds, in [0, 1], the champion's first.
        mean: of the accuracies.
        interval: 95 % interval of the family's accuracy, for other trainings and other test images of this kind; None
            for a single seed.
        deviation: standard deviation of the accuracies (n - 1); None for a single seed.
        champion_interval: 95 % interval of the champion's accuracy on other test images of this kind.
        mean_loss: cross-entropy, over the seeds.
        calibration_error: expected calibration error in [0, 1], mean over the seeds.
        openings: how often the test part was opened, for the seed for which that was most often.
    """

    name: str
    accuracies: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
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
class Verdict:
    """All families of a study that were tested, compared.

    Args:
        winner: the family that validation chose; no test image had a say.
        scores: at least one, the best on the test images first.
        comparisons: of every two, in that order.
        images: of the test.
        groups: that they come in; None where they are independent.
    """

    winner: str
    scores: tuple[FamilyScore, ...]
    comparisons: tuple[Comparison, ...]
    images: int
    groups: int | None

    @property
    def clear(self) -> bool:
        """Whether the winner is shown to be better than every other family; False where there is no other."""
        return set(self._standings.values()) == {"better than"}

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        others = self._standings
        if not others:
            return f"{self.winner} is the only family that was tested: there is none to compare it with"
        if self.clear:
            rest = next(iter(others)) if len(others) == 1 else "every other family"
            sentence = f"{self.winner} wins: chosen by validation, and better than {rest} on the test images"
        else:
            named = {each: [name for name, found in others.items() if found == each] for each in get_args(Standing)}
            parts = [f"{standing} {listing(names)}" for standing, names in named.items() if names]
            sentence = f"{self.winner} is chosen by validation; on the test images it is {listing(parts)}"
        first = self.scores[0].name
        if first != self.winner and others[first] == "not told apart from":
            sentence += f"; {first} comes first there, by less than they can show"
        return f"{sentence}{self._caution}"

    @property
    def _standings(self) -> dict[str, Standing]:
        """How the winner stands to each other family, the best on the test images first."""
        found: dict[str, Standing] = {
            pair.worse if pair.better == self.winner else pair.better: _standing(pair, self.winner)
            for pair in self.comparisons
            if self.winner in (pair.better, pair.worse)
        }
        return {score.name: found[score.name] for score in self.scores if score.name != self.winner}

    @property
    def _caution(self) -> str:
        """What a single seed leaves open."""
        single = any(pair.seeds == 1 for pair in self.comparisons if self.winner in (pair.better, pair.worse))
        return "; with a single seed that is said of models, not of families" if single else ""

    def as_json(self) -> dict[str, Any]:
        """Return plain values, ready for `json.dumps`."""
        return {
            "winner": self.winner,
            "clear": self.clear,
            "sentence": self.sentence,
            "images": self.images,
            "groups": self.groups,
            "families": [score.as_json() for score in self.scores],
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
        }


def verdict(
    results: Mapping[str, Sequence[TestResult]], *, by_validation: Sequence[str], margin: float = MARGIN
) -> Verdict:
    """Compare all families that were tested.

    Args:
        results: the test results of each family's retrained seeds, the champion's first; families without any are
            left out.
        by_validation: all families, the best by validation first.
        margin: the least difference that matters, as a share.

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
    pairs = [
        Pair(names=(first.name, second.name), tests=(tested[first.name], tested[second.name]))
        for first, second in itertools.combinations(scores, 2)
    ]
    any_test = next(iter(tested.values()))[0]
    return Verdict(
        winner=next(name for name in by_validation if name in tested),
        scores=tuple(scores),
        comparisons=compared(pairs, margin=margin),
        images=len(any_test.labels),
        groups=any_test.group_count,
    )


def _standing(pair: Comparison, winner: str) -> Standing:
    if pair.shown:
        return "better than" if pair.better == winner else "worse than"
    return "practically equal to" if pair.finding == "practically equal" else "not told apart from"


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
    correct, groups = answers(tests), tests[0].groups
    recognised = [int(count) for count in correct.sum(axis=1)]
    accuracies = [count / correct.shape[1] for count in recognised]
    return FamilyScore(
        name=name,
        accuracies=tuple(accuracies),
        mean=sum(recognised) / correct.size,  # of whole numbers: equal families have equal means to the last bit
        interval=accuracy_interval(correct, groups) if len(tests) > 1 else None,
        deviation=float(np.std(accuracies, ddof=1)) if len(tests) > 1 else None,
        champion_interval=accuracy_interval(correct[:1], groups),
        mean_loss=float(np.mean([test.loss for test in tests])),
        calibration_error=float(np.mean([test.calibration_error for test in tests])),
        openings=max(test.openings for test in tests),
    )
