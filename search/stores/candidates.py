"""The best configurations that a search found, and trials that repeat a configuration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from ..errors import NothingStoredError
from ..study.metric import EpochResult
from .trials import StoredFamily, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration that a search found, and how its trial went.

    Args:
        family: name of the family.
        trial: number of its trial.
        architecture: a registered name.
        params: the searched values.
        settings: fixed and searched values together.
        value: the study's metric in the best epoch.
        epoch: the best epoch, from 1 on: how long the configuration is trained again.
        epochs: all epochs of the trial.
    """

    family: str
    trial: int
    architecture: str
    params: Mapping[str, Any]
    settings: Mapping[str, Any]
    value: float
    epoch: int
    epochs: tuple[EpochResult, ...]

    @property
    def best_epoch(self) -> EpochResult | None:
        """The best epoch's metrics; None where these are not stored."""
        return next((epoch for epoch in self.epochs if epoch.epoch == self.epoch), None)

    @property
    def val_accuracy(self) -> float | None:
        """The accuracy on validation images in the best epoch, also where the study's metric is the loss."""
        return self.best_epoch and self.best_epoch.val_accuracy


def check_searched(families: Sequence[StoredFamily]) -> None:
    """Raise a `NothingStoredError` unless each family has a finished trial."""
    unfinished = [family.name for family in families if family.best is None]
    if unfinished:
        raise NothingStoredError(
            f"family {unfinished[0]!r} has no finished trial yet: `optrack run {families[0].study.name}` continues "
            "its search"
        )


def candidates(stored: StoredFamily, count: int) -> tuple[Candidate, ...]:
    """Return the best configurations of a family, each once, the best first; at most so many."""
    chosen: list[Trial] = []
    for trial in stored.ranked:
        if len(chosen) < count and replicated(trial.params, chosen) is None:
            chosen.append(trial)
    return tuple(_candidate(stored, trial) for trial in chosen)


def picked(stored: StoredFamily, raced: Mapping[int, Sequence[float]]) -> Candidate | None:
    """Return the configuration to be retrained: the winner of a race, or the search's best; None while there is none.

    Args:
        stored: a family with its trials.
        raced: fresh values of the configurations that were raced, by trial number, seed by seed; compared over the
            seeds that all of them have. A race without the search's best configuration is outdated and does not count.
    """
    best = next(iter(candidates(stored, 1)), None)
    seeds = min((len(values) for values in raced.values()), default=0)
    if best is None or best.trial not in raced or not seeds:
        return best
    means = {trial: sum(values[:seeds]) / seeds for trial, values in raced.items()}
    winner = stored.study.objective.best_of(means, means.get)
    return best if winner is None else candidate_of(stored, winner)


def candidate_of(stored: StoredFamily, number: int) -> Candidate | None:
    """Return the configuration of a trial, even where a replicate has a better value; None for no finished trial."""
    return next((_candidate(stored, trial) for trial in stored.ranked if trial.number == number), None)


def replicated(params: Mapping[str, Any], finished: Iterable[Trial | FrozenTrial]) -> int | None:
    """Return the number of the first of some finished trials with the same configuration; None where it is new."""
    return next((trial.number for trial in finished if trial.params == params), None)


def _candidate(stored: StoredFamily, trial: Trial) -> Candidate:
    return Candidate(
        family=stored.name,
        trial=trial.number,
        architecture=stored.family.architecture,
        params=trial.params,
        settings={**stored.family.options, **trial.params},
        value=trial.value or 0.0,
        epoch=trial.best_epoch or trial.reported,
        epochs=trial.epochs,
    )
