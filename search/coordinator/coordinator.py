"""The loop that owns a study: ask for a configuration, dispatch it, record each epoch, prune, tell."""

import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from ...datasets import Prepared
from ..champions.recipe import Recipe
from ..launchers import EpochEnded, Event, JobEnded, JobFailed, Launcher
from ..stores import mlflow_names as names
from ..stores.candidates import replicated
from ..stores.comparable import data_record
from ..stores.optuna_store import (
    DATA_ATTRIBUTE,
    SOURCE_ATTRIBUTE,
    STUDY_ATTRIBUTE,
    open_family,
    requeue,
)
from ..stores.tracking import RunState, Tracker
from ..stores.trials import OPTUNA_STATES, REPLICATE_ATTRIBUTE, End, StoredFamily, stored_epoch
from ..study.study import Family, Study
from ..training import EpochResult, Job, split_settings
from ..training.own_code import SOURCE_FOLDER, data_code, network_code
from .family_search import FamilySearch, RunningTrial
from .strategies import pruner, seed_of, suggest

# How often the loop looks whether it was asked to stop while all workers are busy.
POLL_SECONDS = 0.2

# What a trial that was interrupted keeps of its job, whatever the study says by now: user attribute to field.
REPEATED = {"seed": "seed", "threads": "threads", "planned_epochs": "epochs", "patience": "patience"}


class Observer(Protocol):
    """Who watches a study: a progress display, lines of text, a test."""

    def study_opened(self, searches: Mapping[str, FamilySearch]) -> None:
        """All families are open; nothing has been trained yet."""
        ...

    def trial_started(self, running: RunningTrial) -> None:
        """A job has gone to a worker."""
        ...

    def epoch_ended(self, running: RunningTrial) -> None:
        """An epoch is recorded."""
        ...

    def trial_ended(self, running: RunningTrial, state: RunState) -> None:
        """A trial is recorded with its end state."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run of a study ended.

    Args:
        interrupted: it was asked to stop.
        timed_out: its budget of seconds was spent.
        failed: trials that failed in this run.
        trials: most trials that a family has now.
    """

    interrupted: bool
    timed_out: bool
    failed: int
    trials: int


class Coordinator:
    """Owns a study while it runs, and alone writes both stores.

    Args:
        study: what to search; checked, and owned by this process.
        storage: Optuna's.
        tracker: MLflow's side.
        launcher: carries jobs to workers.
        data: the prepared images.
        weights: folder for weights under way, emptied at the end.
        observer: who watches.
    """

    def __init__(
        self,
        study: Study,
        *,
        storage: optuna.storages.RDBStorage,
        tracker: Tracker,
        launcher: Launcher,
        data: Prepared,
        weights: Path,
        observer: Observer,
    ) -> None:
        self._study = study
        self._storage = storage
        self._tracker = tracker
        self._launcher = launcher
        self._data = data
        self._weights = weights
        self._observer = observer
        self._pruner = pruner(study.pruner, study.budget)
        self._codes = {family.name: network_code(family) for family in study.families}
        self._running: dict[tuple[str, int], RunningTrial] = {}
        self._stop_requested = False
        self._failed = 0

    def stop(self) -> None:
        """Ask no more and interrupt what runs; `run` returns soon. Safe to call from a signal handler."""
        self._stop_requested = True

    def run(self) -> Outcome:
        """Search until every family's budget is spent, or `stop` is called.

        Raises:
            OptrackError: a store does not answer; trials under way are queued again as far as it can be told.
        """
        searches = [self._open_family(family) for family in self._study.families]
        self._observer.study_opened({search.family.name: search for search in searches})
        timeout = self._study.budget.timeout_seconds
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        complete = False
        try:
            while not self._stop_requested and time.monotonic() < deadline:
                self._fill(searches)
                if not self._running:
                    complete = True
                    break
                event = self._launcher.next_event(POLL_SECONDS)
                if event is not None:
                    self._handle(event)
        finally:
            self._close(searches, complete=complete)
        return Outcome(
            interrupted=self._stop_requested,
            timed_out=not complete and not self._stop_requested,
            failed=self._failed,
            trials=max(search.started for search in searches),
        )

    def _open_family(self, family: Family) -> FamilySearch:
        opened = open_family(self._storage, self._study, family)
        opened.set_user_attr(STUDY_ATTRIBUTE, self._study.to_json())
        opened.set_user_attr(DATA_ATTRIBUTE, data_record(self._data))
        opened.pruner = self._pruner
        for trial in opened.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # This process owns the study, so whoever ran that trial is dead.
            self._interrupt(opened, trial.number, trial.user_attrs.get("mlflow_run"))
        run_id = self._tracker.open_family(family)
        self._tracker.log_file(run_id, names.STUDY_FILE, self._study.to_json())
        code = self._codes[family.name]
        for own in (code, data_code(self._study)):
            if own is not None:
                self._tracker.log_file(run_id, f"{SOURCE_FOLDER}/{own.file}", own.content)
        if code is not None:
            opened.set_user_attr(SOURCE_ATTRIBUTE, code.as_json())
            self._tracker.log(run_id, tags={names.SOURCE_DIGEST_TAG: code.digest})
        stored = StoredFamily.read(family.name, opened, self._study)
        return FamilySearch.of(stored, self._study, family, run_id)

    def _fill(self, searches: list[FamilySearch]) -> None:
        """Give every free worker a trial, of the family that is furthest behind."""
        while len(self._running) < len(self._launcher.devices) and not self._stop_requested:
            wanting = [search for search in searches if search.wants_trial]
            if not wanting:
                return
            self._start(min(wanting, key=lambda search: search.started))

    def _start(self, search: FamilySearch) -> None:
        trial = search.ask()
        values = suggest(trial, search.family.space, search.family.options)
        # As in an attempt before, so that the epochs that are recorded already fit to those that come.
        kept = {field: trial.user_attrs[name] for name, field in REPEATED.items() if name in trial.user_attrs}
        job = replace(self._job(search, trial, values), **kept)
        repeats = trial.user_attrs.get(
            REPLICATE_ATTRIBUTE,
            replicated(values, search.optuna_study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))),
        )
        known_run: str | None = trial.user_attrs.get("mlflow_run")
        run_id = self._tracker.open_trial(
            search.run_id,
            search.family,
            trial.number,
            known_run=known_run,
            params={"architecture": search.family.architecture, **search.family.options, **values},
            tags={
                names.SEED_TAG: str(job.seed),
                names.DEVICE_TAG: job.device,
                names.THREADS_TAG: str(job.threads),
                **({} if repeats is None else {names.REPLICATE_TAG: str(repeats)}),
            },
        )
        if repeats is not None:
            trial.set_user_attr(REPLICATE_ATTRIBUTE, repeats)
        for name, field in REPEATED.items():
            trial.set_user_attr(name, getattr(job, field))
        trial.set_user_attr("device", job.device)
        trial.set_user_attr("mlflow_run", run_id)
        stored = search.optuna_study.get_trials(deepcopy=False)[trial.number].intermediate_values
        running = RunningTrial(
            search=search,
            trial=trial,
            values=values,
            job=job,
            run_id=run_id,
            reported=max(stored, default=0),
            logged=self._tracker.logged_epochs(run_id) if known_run else 0,
            granted=max(stored, default=0),
            replicate_of=repeats,
        )
        search.running += 1
        if not running.reported:
            search.grant_epoch(running)
        self._running[job.key] = running
        self._launcher.submit(job)
        self._observer.trial_started(running)

    def _job(self, search: FamilySearch, trial: optuna.Trial, values: Mapping[str, Any]) -> Job:
        training, model = split_settings({**search.family.options, **values})
        code = self._codes[search.family.name]
        free = list(self._launcher.devices)
        for running in self._running.values():
            free.remove(running.job.device)
        return Job(
            family=search.family.name,
            trial=trial.number,
            architecture=search.family.architecture,
            source=code and code.digest,
            model=model,
            training=training,
            data=self._data,
            epochs=self._study.budget.epochs,
            patience=self._study.budget.patience,
            metric=self._study.metric,
            seed=seed_of(self._study.seed, search.family.name, trial.number),
            device=free[0],
            threads=self._launcher.threads,
            weights=self._weights / search.family.name / str(trial.number) / "weights.safetensors",
        )

    def _handle(self, event: Event) -> None:
        running = self._running[event.job.key]
        match event:
            case EpochEnded():
                self._record_epoch(running, event.result)
            case JobEnded():
                self._end(running, "pruned" if running.reason else "finished")
            case JobFailed():
                self._failed += 1
                running.reason = event.reason
                self._tracker.log_file(running.run_id, names.FAILURE_FILE, event.details)
                self._end(running, "failed")

    def _record_epoch(self, running: RunningTrial, result: EpochResult) -> None:
        running.epochs.append(result)
        if result.epoch > running.reported:
            running.trial.report(running.value(result), result.epoch)
        if result.epoch == running.reported:
            # A pruner asked again after the same epoch may answer otherwise: what was decided before holds.
            running.reason = running.trial.user_attrs.get("reason")
        if result.epoch >= running.reported and running.reason is None:
            running.reason = self._reason_to_stop(running, result)
            if running.reason is not None:
                running.trial.set_user_attr("reason", running.reason)
        # The worker goes on while MLflow writes.
        self._launcher.answer(running.job, go_on=running.reason is None)
        if result.epoch > running.logged:
            self._tracker.log_epoch(running.run_id, result.epoch, result.metrics())
        self._observer.epoch_ended(running)

    def _reason_to_stop(self, running: RunningTrial, result: EpochResult) -> str | None:
        """Why a trial is stopped after an epoch; None when it goes on, or ends by itself."""
        if not result.finite:
            return f"diverged in epoch {result.epoch}: the loss is no finite number"
        if result.epoch == running.job.epochs:
            return None
        if running.trial.should_prune():
            return f"pruned after epoch {result.epoch} by {self._study.pruner.name}"
        if running.search.epochs_spent:
            return f"the family's {self._study.budget.total_epochs} epochs are spent"
        running.search.grant_epoch(running)
        return None

    def _end(self, running: RunningTrial, state: End) -> None:
        search, best = running.search, running.best_epoch
        del self._running[running.job.key]
        search.running -= 1
        search.settle(running)
        setattr(search, state, getattr(search, state) + 1)
        if state == "finished" and best is not None:
            self._keep_if_best(running, best)
        if running.job.weights is not None:
            running.job.weights.unlink(missing_ok=True)
        metrics = {} if best is None else {**best.metrics(), "epoch": best.epoch}
        self._tracker.close_run(running.run_id, state, metrics=metrics, reason=running.reason)
        # Optuna comes last: who is killed before this repeats the trial, and nothing is missing anywhere.
        self._store_end(running, state)
        self._observer.trial_ended(running, state)

    def _store_end(self, running: RunningTrial, state: End) -> None:
        """Optuna gets all that is needed to rebuild MLflow's side, then the state."""
        best = running.best_epoch
        record: dict[str, Any] = {
            "epochs": [stored_epoch(result) for result in running.epochs],
            "best_epoch": best and best.epoch,
        }
        if running.reason:
            record["reason"] = running.reason
        for name, value in record.items():
            running.trial.set_user_attr(name, value)
        value = running.value(best) if state == "finished" and best is not None else None
        running.search.optuna_study.tell(running.trial, value, state=OPTUNA_STATES[state])

    def _keep_if_best(self, running: RunningTrial, best: EpochResult) -> None:
        """The family's best weights and configuration go into the record; nobody needs the others'."""
        search, value = running.search, running.value(best)
        if self._study.objective.better(value, search.best_value):
            search.best_value, search.best_trial = value, running.trial.number
            self._log_best(running, best)

    def _log_best(self, running: RunningTrial, best: EpochResult) -> None:
        job, value = running.job, running.value(best)
        code = self._codes[job.family]
        record = Recipe.of(self._study, self._data, job, code=code, value=value, epoch=best.epoch).as_json()
        metrics = {**best.metrics(), "epoch": best.epoch}
        self._tracker.log_best(running.search.run_id, weights=job.weights, configuration=record, metrics=metrics)

    def _close(self, searches: list[FamilySearch], *, complete: bool) -> None:
        """Workers end, trials under way wait for the next run, and no run of MLflow is left running."""
        self._launcher.close()
        for running in self._running.values():
            self._interrupt(running.search.optuna_study, running.trial.number, running.run_id)
        for search in searches:
            self._tracker.close_run(search.run_id, "finished" if complete else "interrupted")
        shutil.rmtree(self._weights, ignore_errors=True)

    def _interrupt(self, study: optuna.Study, number: int, run_id: str | None) -> None:
        requeue(self._storage, study, number)
        if run_id is not None:
            self._tracker.close_run(run_id, "interrupted")
