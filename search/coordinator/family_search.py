"""One family's search under way: proposals, budget, running trials, and which trial is best."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from ..launchers import OUT_OF_MEMORY, Work
from ..stores import ENDS, OPTUNA_STATES, End, Records, StoredFamily
from ..study import EpochResult, Family, Study
from .strategies import sampler, suggest

TELLING = 3
"""So many trials that all fail for the same reason tell that the family's others will."""


@dataclass(slots=True, kw_only=True)
class FamilySearch:
    """What is stored of a family, what may still be spent, and which trial is best.

    `optuna_study` has the trials that are compared, and so has all else here: `ended` counts them by their state,
    `granted_epochs` what they together have trained or may train. `apart` counts the others, `best_apart` has the best
    of these for each number of epochs. `first_failures` says why the first trials that ended failed, `TELLING` of them;
    None for those that did not.
    """

    study: Study
    family: Family
    optuna_study: optuna.Study
    records: Records
    ended: Counter[End]
    apart: int = 0
    best_apart: Sequence[int] = ()
    running: int = 0
    granted_epochs: int
    best_value: float | None
    first_failures: list[str | None] = field(default_factory=list[str | None])

    @classmethod
    def of(cls, stored: StoredFamily, study: Study, family: Family, records: Records) -> "FamilySearch":
        """Return the search that continues from what is stored."""
        return cls(
            study=study,
            family=family,
            optuna_study=stored.optuna_study,
            records=records,
            ended=Counter({end: stored.counts[end] for end in ENDS}),
            apart=len(stored.apart),
            best_apart=stored.best_apart,
            granted_epochs=stored.epochs,
            best_value=stored.best.value if stored.best else None,
            first_failures=[trial.failure for trial in stored.in_order[:TELLING]],
        )

    @property
    def started(self) -> int:
        """Trials that have ended or are under way."""
        return self.ended.total() + self.running

    @property
    def limit(self) -> int:
        """Most trials that there may be: the budget's, or the cells of a grid if these are fewer."""
        cells = self.family.configurations() if self.study.sampler.name == "grid" else None
        return self.study.budget.trials if cells is None else min(cells, self.study.budget.trials)

    @property
    def epochs_spent(self) -> bool:
        """Whether no further epoch may begin."""
        total = self.study.budget.total_epochs
        return total is not None and self.granted_epochs >= total

    @property
    def stopped(self) -> str | None:
        """Why no further trial may begin: the reason for which each of the first ones failed; None if there is none."""
        reasons = {failure and kind_of(failure) for failure in self.first_failures}
        return self.first_failures[0] if len(self.first_failures) == TELLING and len(reasons) == 1 else None

    @property
    def wants_trial(self) -> bool:
        """Whether another trial may begin; one that was interrupted after epochs that count already always may."""
        if self.started >= self.limit or self.stopped is not None:
            return False
        return not self.epochs_spent or any(trial.intermediate_values for trial in self.trials(TrialState.WAITING)[:1])

    def ask(self) -> tuple[optuna.Trial, Mapping[str, Any]]:
        """Return Optuna's next trial and its values: a waiting one (start or interrupted), else a new one."""
        waiting = self.trials(TrialState.WAITING)
        number = waiting[0].number if waiting else len(self.trials()) + self.apart
        self.optuna_study.sampler = sampler(self.study.sampler, self.family, self.study.seed, number)
        trial = self.optuna_study.ask()
        return trial, suggest(trial, self.family.space, self.family.options)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in some states, or all, as they are stored now; those that are kept apart are not seen."""
        return self.optuna_study.get_trials(deepcopy=False, states=states or None)

    def begin(self, running: "RunningTrial") -> None:
        """Count a trial that begins, and its first epoch unless an interrupted attempt has paid for it."""
        self.running += 1
        if not running.reported:
            self.grant(running)

    def grant(self, running: "RunningTrial") -> None:
        """Allow a trial one more epoch."""
        running.granted += 1
        self.granted_epochs += 1

    def put_back(self, running: "RunningTrial") -> None:
        """Take back the epochs that a trial was allowed and did not train, as it is not under way any more."""
        self.running -= 1
        self.granted_epochs -= running.granted - max(len(running.epochs), running.reported)

    def end(self, running: "RunningTrial", state: End) -> bool:
        """Count a trial that has ended.

        Returns:
            Whether it is the family's best one from now on.
        """
        self.put_back(running)
        self.ended[state] += 1
        if len(self.first_failures) < TELLING:
            self.first_failures.append(running.reason if state == "failed" else None)
        if state != "finished" or not self.study.objective.better(running.value, self.best_value):
            return False
        self.best_value = running.value
        return True


@dataclass(slots=True, kw_only=True)
class RunningTrial(Work):
    """A trial under way.

    Args:
        search: of its family.
        trial: Optuna's.
        deaths: how often its worker has died.
        reported: last epoch that an interrupted attempt reported to Optuna; 0 for a first attempt.
        granted: epochs that it has trained or may begin.
    """

    search: FamilySearch
    trial: optuna.Trial
    deaths: int
    reported: int
    granted: int

    def add(self, result: EpochResult) -> None:
        """Report the next epoch to Optuna and decide whether the trial goes on; `reason` says why not."""
        self.epochs.append(result)
        # Before Optuna: what it has reported is kept here too.
        self.search.records.write_epoch(self.job.trial, result)
        if result.epoch < self.reported:
            return
        if result.epoch > self.reported:
            self.trial.report(result.metrics()[self.job.metric], result.epoch)
        else:
            # A pruner that is asked again after the same epoch may answer differently: the stored decision holds.
            self.reason = self.trial.user_attrs.get("reason")
        if self.reason is None:
            self.reason = self._reason_to_stop(result)
            if self.reason is not None:
                self.trial.set_user_attr("reason", self.reason)

    def tell(self, state: End) -> None:
        """Store in Optuna how the trial ended, the state last."""
        best = self.best_epoch
        self.trial.set_user_attr("best_epoch", best and best.epoch)
        if self.reason:
            self.trial.set_user_attr("reason", self.reason)
        value = self.value if state == "finished" else None
        self.search.optuna_study.tell(self.trial, value, state=OPTUNA_STATES[state])

    def _reason_to_stop(self, result: EpochResult) -> str | None:
        study = self.search.study
        if not result.finite:
            return self.divergence
        if result.epoch == self.job.epochs:
            return None
        if self.trial.should_prune():
            return f"pruned after epoch {result.epoch} by {study.pruner.name}"
        if self.search.epochs_spent:
            return f"the family's {study.budget.total_epochs} epochs are spent"
        self.search.grant(self)
        return None


def kind_of(failure: str) -> str:
    """Return a reason without what differs from trial to trial.

    >>> kind_of("RuntimeError: shapes (64x128 and 256x10) cannot be multiplied")
    'RuntimeError: shapes (x and x) cannot be multiplied'
    """
    return OUT_OF_MEMORY if failure.startswith(OUT_OF_MEMORY) else re.sub(r"\d+", "", failure)
