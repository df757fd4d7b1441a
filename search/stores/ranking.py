"""The best configurations that a search found, and trials that repeat a configuration."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from optuna.trial import FrozenTrial

from ..errors import NothingStoredError
from ..text import plural
from .trials import StoredFamily, Trial


def check_searched(families: Sequence[StoredFamily]) -> None:
    """Raise a `NothingStoredError` unless each family has a finished trial."""
    for family in families:
        if family.best is None:
            raise NothingStoredError(
                f"family {family.name!r} has no finished trial {missing_epochs(family)}yet: `optrack run "
                f"{family.study.name}` continues its search"
            )


def missing_epochs(family: StoredFamily) -> str:
    """Return the number of epochs that no trial has finished, where trials of another one are kept apart; else nothing.

    It ends with a blank.
    """
    epochs = plural(family.study.budget.epochs, "epoch")
    return f"of {epochs} (kept apart: {family.apart_text}) " if family.apart else ""


def candidates(stored: StoredFamily, count: int) -> tuple[Trial, ...]:
    """Return the trials with the best configurations of a family, each once, the best first; at most so many."""
    chosen: list[Trial] = []
    for trial in stored.ranked:
        if len(chosen) < count and replicated(trial.params, chosen) is None:
            chosen.append(trial)
    return tuple(chosen)


def picked(stored: StoredFamily, raced: Mapping[int, Sequence[float]]) -> Trial | None:
    """Return the trial to be retrained: the winner of a race, or the search's best; None while none is finished.

    A race has fresh values by trial number, seed by seed, compared over the seeds that all of its trials have. One
    without the search's best configuration is outdated and does not count.
    """
    best = stored.best
    compared = {trial.number for trial in stored.ranked}
    raced = {trial: values for trial, values in raced.items() if trial in compared}
    seeds = min((len(values) for values in raced.values()), default=0)
    if best is None or best.number not in raced or not seeds:
        return best
    means = {trial: sum(values[:seeds]) / seeds for trial, values in raced.items()}
    winner = stored.study.objective.best_of(means, means.get)
    return best if winner is None else candidate_of(stored, winner)


def promised(number: int, value: float | None, raced: Mapping[int, Sequence[float]]) -> float | None:
    """Return the metric on validation images by which families are chosen: a race's mean, else the search's value.

    Args:
        number: of the trial that was retrained, or is to be.
        value: that the search found for it.
        raced: fresh values of the family's race by trial number; empty without one.
    """
    fresh = raced.get(number)
    return fmean(fresh) if fresh else value


def candidate_of(stored: StoredFamily, number: int) -> Trial | None:
    """Return the finished trial of this number, even where a replicate has a better value; None where there is none.

    It may be one that is kept apart by now.
    """
    return next((trial for trial in stored.all_trials if trial.number == number and trial.value is not None), None)


def replicated(params: Mapping[str, Any], finished: Iterable[Trial | FrozenTrial]) -> int | None:
    """Return the number of the first of some finished trials with the same configuration; None where it is new."""
    return next((trial.number for trial in finished if trial.params == params), None)
