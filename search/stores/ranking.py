"""The best configurations that a search found, and trials that repeat a configuration."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from ..errors import NothingStoredError
from .trials import StoredFamily, Trial


def check_searched(families: Sequence[StoredFamily]) -> None:
    """Raise a `NothingStoredError` unless each family has a finished trial."""
    unfinished = [family.name for family in families if family.best is None]
    if unfinished:
        raise NothingStoredError(
            f"family {unfinished[0]!r} has no finished trial yet: `optrack run {families[0].study.name}` continues "
            "its search"
        )


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
    seeds = min((len(values) for values in raced.values()), default=0)
    if best is None or best.number not in raced or not seeds:
        return best
    means = {trial: sum(values[:seeds]) / seeds for trial, values in raced.items()}
    winner = stored.study.objective.best_of(means, means.get)
    return best if winner is None else candidate_of(stored, winner)


def candidate_of(stored: StoredFamily, number: int) -> Trial | None:
    """Return the finished trial of this number, even where a replicate has a better value; None where there is none."""
    return next((trial for trial in stored.ranked if trial.number == number), None)


def replicated(params: Mapping[str, Any], finished: Iterable[Trial | FrozenTrial]) -> int | None:
    """Return the number of the first of some finished trials with the same configuration; None where it is new."""
    return next((trial.number for trial in finished if trial.params == params), None)
