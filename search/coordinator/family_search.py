"""One family's search under way: proposals, budget, and which trial is best."""

from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from ..stores.trials import StoredFamily
from ..study.study import Family, Study
from ..training import EpochResult, Job, best_epoch
from .strategies import sampler


@dataclass(slots=True, kw_only=True)
class FamilySearch:
    """What is stored of a family, what may still be spent, and which trial is best.

    Args:
        study: what is searched.
        family: this part of it.
        optuna_study: proposes and remembers.
        run_id: of the family's MLflow run.
        finished: trials that ran to their end.
        pruned: trials that were stopped.
        failed: trials that raised, or whose worker died.
        running: trials under way.
        granted_epochs: epochs that are trained or being trained, all trials together.
        best_value: of the metric.
        best_trial: its number.
    """

    study: Study
    family: Family
    optuna_study: optuna.Study
    run_id: str
    finished: int
    pruned: int
    failed: int
    running: int = 0
    granted_epochs: int
    best_value: float | None
    best_trial: int | None

    @classmethod
    def of(cls, stored: StoredFamily, study: Study, family: Family, run_id: str) -> "FamilySearch":
        """The search that goes on from what is stored."""
        best = stored.best
        return cls(
            study=study,
            family=family,
            optuna_study=stored.optuna_study,
            run_id=run_id,
            finished=stored.counts["finished"],
            pruned=stored.counts["pruned"],
            failed=stored.counts["failed"],
            granted_epochs=stored.epochs,
            best_value=best.value if best else None,
            best_trial=best.number if best else None,
        )

    @property
    def started(self) -> int:
        """Trials that have ended or are under way."""
        return self.finished + self.pruned + self.failed + self.running

    @property
    def limit(self) -> int:
        """How many trials there may be: the budget's, or the cells of a grid where these are fewer."""
        cells = self.family.configurations() if self.study.sampler.name == "grid" else None
        return self.study.budget.trials if cells is None else min(cells, self.study.budget.trials)

    @property
    def epochs_spent(self) -> bool:
        """Whether no epoch may be begun any more."""
        total = self.study.budget.total_epochs
        return total is not None and self.granted_epochs >= total

    @property
    def wants_trial(self) -> bool:
        """Whether another trial may begin."""
        return self.started < self.limit and (not self.epochs_spent or self._next_is_paid)

    @property
    def _next_is_paid(self) -> bool:
        """Whether the next trial was interrupted after epochs that are counted already."""
        waiting = self._waiting()
        return bool(waiting) and bool(waiting[0].intermediate_values)

    def grant_epoch(self, running: "RunningTrial") -> None:
        """Allow a trial one more epoch."""
        running.granted += 1
        self.granted_epochs += 1

    def settle(self, running: "RunningTrial") -> None:
        """Take back what an ended trial was allowed and did not train."""
        self.granted_epochs -= running.granted - max(len(running.epochs), running.reported)

    def ask(self) -> optuna.Trial:
        """Optuna's next trial: one that waits (a start configuration, an interrupted trial), else a new one."""
        waiting = self._waiting()
        number = waiting[0].number if waiting else len(self.optuna_study.get_trials(deepcopy=False))
        self.optuna_study.sampler = sampler(self.study.sampler, self.family, self.study.seed, number)
        return self.optuna_study.ask()

    def _waiting(self) -> list[FrozenTrial]:
        return self.optuna_study.get_trials(deepcopy=False, states=(TrialState.WAITING,))


@dataclass(slots=True, kw_only=True)
class RunningTrial:
    """A trial under way.

    Args:
        search: of its family.
        trial: Optuna's.
        values: its configuration.
        job: what its worker does.
        run_id: of its MLflow run.
        reported: last epoch that an interrupted attempt has told Optuna already; 0 for a first attempt.
        logged: last epoch that it has told MLflow already.
        granted: epochs that it has trained or been allowed to begin.
        replicate_of: an earlier trial with the same configuration, under another seed.
        epochs: results so far.
        reason: why it stops before its end, or failed; None while it may go on.
    """

    search: FamilySearch
    trial: optuna.Trial
    values: dict[str, Any]
    job: Job
    run_id: str
    reported: int
    logged: int
    granted: int
    replicate_of: int | None = None
    epochs: list[EpochResult] = field(default_factory=list[EpochResult])
    reason: str | None = None

    @property
    def best_epoch(self) -> EpochResult | None:
        """The epoch with the best value of the metric; the first of equals, None when no value is a number."""
        return best_epoch(self.epochs, self.job.metric)

    def value(self, result: EpochResult) -> float:
        """The metric of an epoch."""
        return result.metrics()[self.job.metric]
