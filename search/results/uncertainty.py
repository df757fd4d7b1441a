"""What an accuracy, and a difference between two families, is uncertain by: the choice of images and of trainings."""

# SciPy has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .significance import LEVEL, wilson_interval

POWER = 0.8
"""How likely a difference is shown that seeds or images are said to suffice for."""

FEW_GROUPS = 10
"""Below so many independent groups of images, intervals are shorter than they should be."""

MOST_SEEDS = 50
MOST_IMAGES = 1000
"""More of them are not proposed: seeds of a family, and times the images that there are."""

_STEPS = 500  # of 1.4 %: numbers of images are said to two digits


@dataclass(frozen=True, slots=True)
class Part:
    """One source of variance of an estimate.

    Args:
        variance: that it adds to the estimate's, 0 or more.
        degrees: of freedom that this variance was estimated with, at least 1.
        of_images: how much of the variance shrinks as the number of images grows.
    """

    variance: float
    degrees: float
    of_images: float

    def with_images(self, times: float) -> "Part":
        """Return the same with so many times the images."""
        shrunk = self.of_images / times
        return replace(self, variance=self.variance - self.of_images + shrunk, of_images=shrunk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An accuracy or a difference of two, and what it is uncertain by.

    Args:
        value: in [-1, 1].
        images: what other test images of the kind would change.
        trainings: what trainings under other seeds would change, of one family or of each of two; empty where only
            these very models are meant.
    """

    value: float
    images: Part
    trainings: tuple[Part, ...] = ()

    @property
    def variance(self) -> float:
        """Of the value."""
        return math.fsum(part.variance for part in self._parts)

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the variance (Satterthwaite 1946, Biometrics Bulletin 2)."""
        return self.variance**2 / math.fsum(part.variance**2 / part.degrees for part in self._parts)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval by Student's t, within [-1, 1]."""
        half = student_quantile(1 - LEVEL / 2, self.degrees) * math.sqrt(self.variance)
        return max(-1.0, self.value - half), min(1.0, self.value + half)

    def above(self, margin: float = 0.0) -> float:
        """Return the p-value against a true value of at most `margin`, two-sided: as the interval is."""
        return self._tail((self.value - margin) / math.sqrt(self.variance))

    def within(self, margin: float) -> float:
        """Return the p-value against a true value of at least `margin` either way, two-sided (Schuirmann 1987)."""
        return self._tail((margin - abs(self.value)) / math.sqrt(self.variance))

    def _tail(self, deviations: float) -> float:
        from scipy.special import stdtr  # takes a third of a second to import

        return min(1.0, 2 * float(stdtr(self.degrees, -deviations)))

    def detectable(self, level: float) -> float:
        """Return the least true difference that a study of this kind shows at a level with a probability of 80 %."""
        quantiles = student_quantile(1 - level / 2, self.degrees) + student_quantile(POWER, self.degrees)
        return quantiles * math.sqrt(self.variance)

    def with_seeds(self, seeds: int) -> "Estimate":
        """Return the same with so many seeds for each family."""
        shares = [(part, (part.degrees + 1) / seeds) for part in self.trainings]
        trainings = (Part(part.variance * share, seeds - 1, part.of_images * share) for part, share in shares)
        return replace(self, trainings=tuple(trainings))

    def with_images(self, times: float) -> "Estimate":
        """Return the same with so many times the images."""
        images = replace(self.images.with_images(times), degrees=self.images.degrees * times)
        return replace(self, images=images, trainings=tuple(part.with_images(times) for part in self.trainings))

    @property
    def _parts(self) -> tuple[Part, ...]:
        return (self.images, *self.trainings)


def accuracy_estimate(correct: NDArray[np.bool_], groups: NDArray[np.int64] | None = None) -> Estimate:
    """Return a family's mean accuracy over its seeds.

    Its variance is s^2 / K + c: s^2 that of the seeds' accuracies, and c what the images have in common for all of
    them, the covariance of two seeds' accuracies. A single seed is a model: its variance is that of its images.

    Args:
        correct: bool [K, N], which images each seed recognises.
        groups: int64 [N], equal for images that belong together; None where all are independent.
    """
    covariances, count = _covariances(correct, groups)
    return _estimate(
        float(correct.mean()),
        _between_seeds(covariances),
        (_training(correct, covariances),),
        count,
        images=correct.shape[1],
    )


def difference_estimate(
    first: NDArray[np.bool_], second: NDArray[np.bool_], groups: NDArray[np.int64] | None = None
) -> Estimate:
    """Return the difference of the mean accuracies of two families, tested on the same images.

    Its variance is s1^2 / K1 + s2^2 / K2 + c1 + c2 - 2 c12: the terms of `accuracy_estimate`, less what the images have
    in common for both families. That is the analysis of Obuchowski and Rockette (Communications in Statistics B 24,
    1995) as Hillis has it for readers nested within tests (Statistics in Medicine 33, 2014), a training in a reader's
    place, with Satterthwaite's degrees of freedom. The covariances are those of groups, where there are some.

    Args:
        first: bool [K1, N], which images the seeds of one family recognise. A single seed means this very model.
        second: bool [K2, N], likewise of the other one.
        groups: as in `accuracy_estimate`.
    """
    covariances, count = _covariances(np.concatenate([first, second]), groups)
    seeds = len(first)
    common = _between_seeds(covariances[:seeds, :seeds]) + _between_seeds(covariances[seeds:, seeds:])
    # Whole numbers until the end: families that recognise equally much differ by 0.
    value = int(first.sum()) * len(second) - int(second.sum()) * len(first)
    return _estimate(
        value / (len(first) * second.size),
        common - 2 * float(covariances[:seeds, seeds:].mean()),
        (_training(first, covariances[:seeds, :seeds]), _training(second, covariances[seeds:, seeds:])),
        count,
        images=first.shape[1],
    )


def _estimate(
    value: float, of_images: float, trainings: Sequence[Part | None], groups: int, *, images: int
) -> Estimate:
    parts = tuple(part for part in trainings if part is not None)
    # Never less than a single image is worth: models that agree on every image would be certain of it otherwise. The
    # estimate of a small covariance may be negative.
    least = 1 / images**2 - math.fsum(part.variance for part in parts)
    # A single group tells nothing: another one may be anything.
    of_groups = max(of_images, least, 0.0) if groups > 1 else 1.0
    return Estimate(value=value, images=Part(of_groups, max(groups - 1, 1), of_groups), trainings=parts)


def _covariances(correct: NDArray[np.bool_], groups: NDArray[np.int64] | None) -> tuple[NDArray[np.float64], int]:
    """Return the covariances [K, K] of accuracies by the choice of groups, and the number of groups."""
    images = correct.shape[1]
    deviations = (correct - correct.mean(axis=1, keepdims=True)) / images
    count = images
    if groups is not None:
        starts = np.unique(np.sort(groups), return_index=True)[1]
        deviations = np.add.reduceat(deviations[:, np.argsort(groups, kind="stable")], starts, axis=1)
        count = len(starts)
    return deviations @ deviations.T * (count / max(count - 1, 1)), count


def _between_seeds(covariances: NDArray[np.float64]) -> float:
    """Return the mean covariance of two seeds; a single one has its own variance in its place."""
    seeds = len(covariances)
    if seeds == 1:
        return float(covariances[0, 0])
    return float(covariances.sum() - np.trace(covariances)) / (seeds * (seeds - 1))


def _training(correct: NDArray[np.bool_], covariances: NDArray[np.float64]) -> Part | None:
    """Return the variance of a mean over seeds by the choice of seeds; None for a single one.

    What each seed makes of each image by chance is among it, and evens out over more images.
    """
    seeds = len(correct)
    if seeds == 1:
        return None
    variance = float(correct.mean(axis=1).var(ddof=1))
    by_chance = max(float(np.trace(covariances)) / seeds - _between_seeds(covariances), 0.0)
    return Part(variance / seeds, seeds - 1, min(variance, by_chance) / seeds)


def seeds_needed(found: Estimate, difference: float, *, level: float) -> int | None:
    """Return how many seeds for each family show a difference on the same images, with a probability of 80 %.

    None where even 50 do not.
    """
    numbers = range(2, MOST_SEEDS + 1)
    place = bisect_left(numbers, True, key=lambda seeds: found.with_seeds(seeds).detectable(level) <= difference)
    return numbers[place] if place < len(numbers) else None


def images_needed(found: Estimate, difference: float, *, level: float) -> float | None:
    """Return how many times the images show a difference with the same seeds, with a probability of 80 %.

    None where even 1000 times as many do not.
    """
    times = np.geomspace(1, MOST_IMAGES, _STEPS).tolist()
    place = bisect_left(times, True, key=lambda more: found.with_images(more).detectable(level) <= difference)
    return times[place] if place < len(times) else None


def accuracy_interval(correct: NDArray[np.bool_], groups: NDArray[np.int64] | None = None) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy (Korn and Graubard 1998, Survey Methodology 24).

    That is Clopper's and Pearson's exact interval for as many independent images as have the estimate's variance: it
    holds also near 1, where an interval by Student's t is too short and goes beyond 1. One model on independent images
    has Wilson's.

    Args:
        correct: bool [K, N], which images each seed of a family recognises. A single seed means this very model.
        groups: int64 [N], equal for images that belong together; None where all are independent.
    """
    if len(correct) == 1 and groups is None:
        return wilson_interval(int(correct.sum()), correct.size)
    from scipy.special import betaincinv  # takes a third of a second to import

    found = accuracy_estimate(correct, groups)
    share = found.value
    of_one = share * (1 - share)
    # Of answers that are all right, or all wrong, the variance is unknown: each group counts once.
    independent = min(of_one / found.variance, correct.size) if of_one else found.images.degrees + 1
    normal, student = (student_quantile(1 - LEVEL / 2, degrees) for degrees in (math.inf, found.degrees))
    independent *= (normal / student) ** 2
    right = share * independent
    low = betaincinv(right, independent - right + 1, LEVEL / 2) if right > 0 else 0.0
    high = betaincinv(right + 1, independent - right, 1 - LEVEL / 2) if right < independent else 1.0
    return float(low), float(high)


def student_quantile(share: float, degrees: float) -> float:
    """Return the quantile of Student's t, with any degrees of freedom.

    >>> round(student_quantile(0.975, 4), 3), round(student_quantile(0.975, math.inf), 3)
    (2.776, 1.96)
    """
    from scipy.special import ndtri, stdtrit

    return float(ndtri(share) if math.isinf(degrees) else stdtrit(degrees, share))
