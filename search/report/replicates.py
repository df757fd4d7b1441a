"""Trials that repeat a configuration under another seed: how much chance alone changes the metric."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from ..stores import StoredFamily, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Trials of one configuration.

    Args:
        values: of the metric, by trial number; at least two.
    """

    values: Mapping[int, float]

    @property
    def mean(self) -> float:
        """The mean value."""
        return fmean(self.values.values())

    @property
    def squares(self) -> float:
        """The sum of squared deviations from the mean."""
        return sum((value - self.mean) ** 2 for value in self.values.values())

    @property
    def deviation(self) -> float:
        """The standard deviation of the values (n - 1)."""
        return math.sqrt(self.squares / (len(self.values) - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The noise of a single training, measured by replicates.

    Args:
        groups: of trials with equal configurations, in the order of their first trials.
    """

    groups: tuple[Group, ...]

    @property
    def degrees(self) -> int:
        """Degrees of freedom: number of values minus number of groups."""
        return sum(len(group.values) - 1 for group in self.groups)

    @property
    def deviation(self) -> float:
        """The standard deviation of the metric between seeds, pooled over the groups."""
        return math.sqrt(sum(group.squares for group in self.groups) / self.degrees)


def noise(stored: StoredFamily) -> Noise | None:
    """Return the noise that a family's replicates show; None where no finished trial replicates a finished one."""
    known = {trial.number: trial for trial in stored.trials if trial.value is not None}
    groups: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for number, trial in known.items():
        groups[_first(trial, known)][number] = trial.value or 0.0
    repeated = tuple(Group(values=values) for _, values in sorted(groups.items()) if len(values) > 1)
    return Noise(groups=repeated) if repeated else None


def _first(trial: Trial, known: Mapping[int, Trial]) -> int:
    """Return the first trial of a configuration; a replicate may name another replicate."""
    earlier = trial.replicate_of
    if earlier is None or earlier >= trial.number:
        return trial.number
    return _first(known[earlier], known) if earlier in known else earlier
