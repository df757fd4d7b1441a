"""The trials of a family by how they went."""

import math
from typing import TypeAlias

from optuna.trial import FrozenTrial, TrialState

from ..stores.optuna_store import StoredFamily

Trial: TypeAlias = FrozenTrial
"""A trial as Optuna stores it."""

TOP_SHARE, TOP_AT_LEAST = 0.2, 3

_WORDS = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def counts(stored: StoredFamily) -> dict[str, int]:
    """How many trials there are: finished, pruned, failed, running and waiting."""
    return {word: len(stored.in_state(state)) for state, word in _WORDS.items()}


def ended(stored: StoredFamily) -> list[Trial]:
    """The trials that are over, in whatever way."""
    return stored.in_state(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def finished(stored: StoredFamily) -> list[Trial]:
    """The trials that ran to their end with a number as their value."""
    return [trial for trial in stored.in_state(TrialState.COMPLETE) if math.isfinite(value_of(trial))]


def top_trials(stored: StoredFamily) -> list[Trial]:
    """The best fifth of the finished trials, at least three of them, the best first."""
    best_first = stored.study.objective.ranked(finished(stored), value_of)
    return best_first[: max(TOP_AT_LEAST, round(TOP_SHARE * len(best_first)))]


def value_of(trial: Trial) -> float:
    """The metric of a trial; NaN where it has none."""
    return math.nan if trial.value is None else trial.value
