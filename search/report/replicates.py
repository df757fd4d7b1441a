"""Trials that repeat a configuration under another seed: how much chance alone changes the metric."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import variance

from ..stores.trials import StoredFamily, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The noise of a single training, measured by replicates.

    Args:
        groups: values of the metric by trial number, at least two, for each configuration that has as many; in the
            order of their first trials.
    """

    groups: tuple[Mapping[int, float], ...]

    @property
    def degrees(self) -> int:
        """Degrees of freedom: number of values minus number of groups."""
        return sum(len(group) - 1 for group in self.groups)

    @property
    def deviation(self) -> float:
        """The standard deviation of the metric between seeds, pooled over the groups."""
        squares = sum(variance(group.values()) * (len(group) - 1) for group in self.groups)
        return math.sqrt(squares / self.degrees)


def noise(stored: StoredFamily) -> Noise | None:
    """Return the noise that a family's replicates show; None where no finished trial replicates a finished one."""
    known = {trial.number: trial for trial in stored.trials if trial.value is not None}
    groups: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for number, trial in known.items():
        groups[_first(trial, known)][number] = trial.value or 0.0
    repeated = tuple(values for _, values in sorted(groups.items()) if len(values) > 1)
    return Noise(groups=repeated) if repeated else None


def _first(trial: Trial, known: Mapping[int, Trial]) -> int:
    """Return the first trial of a configuration; a replicate may name another replicate."""
    earlier = trial.replicate_of
    if earlier is None or earlier >= trial.number:
        return trial.number
    return _first(known[earlier], known) if earlier in known else earlier
