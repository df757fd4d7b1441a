"""How long a search will take, from what an image costs each family; and how many trials fit into a given time."""

from collections.abc import Sequence
from dataclasses import dataclass

REDUCTION = 2
"""Of the default pruner: at epochs 1, 2, 4, … about one in so many trials goes on."""

LUCK = 1.35
"""How many times the epochs by chance trials train: later ones learn from earlier ones, and equal values go on."""

START_SECONDS = 10.0  # workers that import torch, and the tables of both stores
TRIAL_SECONDS = 0.7  # recording a trial, its weights included

COMFORTABLE_SECONDS = 5 * 60
LONGEST_SECONDS = 30 * 60
MANY_TRIALS, ENOUGH_TRIALS, FEWEST_TRIALS = (24, 20, 16, 12), (8, 6), 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySpeed:
    """Seconds that an image costs a family on one worker: forward, backward and step, or forward alone."""

    family: str
    train_seconds: float
    validation_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A search but for the number of its trials; `workers` run at once."""

    speeds: Sequence[FamilySpeed]
    epochs: int
    train_images: int
    validation_images: int
    workers: int

    def run_seconds(self, trials: int) -> float:
        """Return how long the search will take with this many trials of each family."""
        epoch = sum(
            speed.train_seconds * self.train_images + speed.validation_seconds * self.validation_images
            for speed in self.speeds
        )
        jobs = trials * len(self.speeds)
        training = min(LUCK * expected_epochs(trials, self.epochs), trials * self.epochs) * epoch
        return START_SECONDS + TRIAL_SECONDS * jobs + training / min(self.workers, jobs)

    def retrain_seconds(self, models: int) -> float:
        """Return the longest time to retrain the best configuration of each family this many times on all images.

        It takes less if a configuration was best before its last epoch.
        """
        images = self.epochs * (self.train_images + self.validation_images)
        training = sum(models * images * speed.train_seconds for speed in self.speeds)
        return START_SECONDS + training / min(self.workers, models * len(self.speeds))

    def fitting_trials(self) -> int:
        """Return the trials of each family to propose: many if five minutes do, else enough for half an hour, or 4."""
        for choices, limit in ((MANY_TRIALS, COMFORTABLE_SECONDS), (ENOUGH_TRIALS, LONGEST_SECONDS)):
            for trials in choices:
                if self.run_seconds(trials) <= limit:
                    return trials
        return FEWEST_TRIALS


def expected_epochs(trials: int, epochs: int) -> float:
    """Return the epochs that all trials of a family train by chance under the default pruner, successive halving.

    By Optuna's rule a trial goes on if it is in the better half of itself and those that came to the rung before it;
    the first one does in any case. Where every order of the values is as likely as any other, these events are
    independent of each other, so the number that gets through a rung follows from the number that comes to it.

    >>> expected_epochs(1, 16), expected_epochs(2, 1)
    (16.0, 2.0)
    >>> round(expected_epochs(10, 12), 1)
    33.4
    """
    arriving = [0.0] * trials + [1.0]  # the chance that this many trials arrive at the rung
    total, trained, rung = 0.0, 0, 1
    while trained < epochs:
        until = min(rung, epochs)
        total += (until - trained) * sum(count * chance for count, chance in enumerate(arriving))
        arriving = _through(arriving)
        trained, rung = until, rung * REDUCTION
    return total


def _through(arriving: Sequence[float]) -> list[float]:
    """Return the chances of how many trials pass a rung, from those of how many arrive at it."""
    passing = [1.0]  # chances of how many of the first trials pass
    through = [0.0] * len(arriving)
    for count, chance in enumerate(arriving):
        if count:
            share = max(1, count // REDUCTION) / count
            stopped = [value * (1 - share) for value in passing] + [0.0]
            passed = [0.0] + [value * share for value in passing]
            passing = [left + right for left, right in zip(stopped, passed, strict=True)]
        for number, value in enumerate(passing):
            through[number] += chance * value
    return through
