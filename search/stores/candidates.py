"""The best configurations that a search found, and trials that repeat a configuration."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from ..errors import NothingStoredError
from ..results.values import Candidate
from .optuna_store import StoredFamily

REPLICATE_ATTRIBUTE = "replicate_of"
"""A trial's user attribute: the number of an earlier one with the same configuration, under another seed."""


def check_searched(families: Sequence[StoredFamily]) -> None:
    """Whether each family has a finished trial.

    Raises:
        NothingStoredError: one has none.
    """
    unfinished = [family.name for family in families if family.best is None]
    if unfinished:
        raise NothingStoredError(
            f"family {unfinished[0]!r} has no finished trial yet: `optrack run {families[0].study.name}` goes on with "
            "its search"
        )


def candidates(stored: StoredFamily, count: int) -> tuple[Candidate, ...]:
    """The best configurations of a family, each once, the best first; fewer where there are fewer.

    Args:
        stored: a family with its trials.
        count: how many at most.
    """
    chosen: list[FrozenTrial] = []
    for trial in stored.study.objective.ranked(stored.in_state(TrialState.COMPLETE), lambda trial: trial.value):
        if len(chosen) < count and replicated(trial.params, chosen) is None:
            chosen.append(trial)
    return tuple(_candidate(stored, trial) for trial in chosen)


def picked(stored: StoredFamily, raced: Mapping[int, Sequence[float]]) -> Candidate | None:
    """The configuration to be retrained: the winner of a race, or the search's best.

    Args:
        stored: a family with its trials.
        raced: fresh values of the configurations that were raced, by trial number, seed by seed; compared over the
            seeds that all of them have. A race without the search's best configuration is out of date and does not
            count.

    Returns:
        None while no trial is finished.
    """
    best = next(iter(candidates(stored, 1)), None)
    seeds = min((len(values) for values in raced.values()), default=0)
    if best is None or best.trial not in raced or not seeds:
        return best
    means = {trial: sum(values[:seeds]) / seeds for trial, values in raced.items()}
    winner = stored.study.objective.best_of(means, means.get)
    return best if winner is None else candidate_of(stored, winner)


def candidate_of(stored: StoredFamily, number: int) -> Candidate | None:
    """The configuration of a trial, also where another one repeats it with a better value; None for no finished trial.

    Args:
        stored: a family with its trials.
        number: of the trial.
    """
    finished = (trial for trial in stored.in_state(TrialState.COMPLETE) if trial.number == number)
    return next((_candidate(stored, trial) for trial in finished), None)


def replicated(params: Mapping[str, Any], trials: Iterable[FrozenTrial]) -> int | None:
    """The first of some finished trials with the same configuration; None where it is new."""
    finished = (trial for trial in trials if trial.state == TrialState.COMPLETE)
    return next((trial.number for trial in finished if trial.params == params), None)


def _candidate(stored: StoredFamily, trial: FrozenTrial) -> Candidate:
    family = next(family for family in stored.study.families if family.name == stored.name)
    return Candidate(
        family=stored.name,
        trial=trial.number,
        architecture=family.architecture,
        params=trial.params,
        settings={**family.options, **trial.params},
        value=float(trial.value or 0.0),
        epoch=trial.user_attrs["best_epoch"],
        epochs=tuple(trial.user_attrs["epochs"]),
    )
