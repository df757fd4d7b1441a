"""The loop that owns a study: ask for a configuration, dispatch it, record each epoch, prune, tell."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from ...datasets import Prepared
from ..champions.recipe import Recipe
from ..launchers import EpochEnded, Event, JobEnded, JobFailed, Launcher
from ..launchers.pool import Outcome, Pool
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
from ..stores.tracking import Tracker
from ..stores.trials import REPLICATE_ATTRIBUTE, End, StoredFamily
from ..study.study import Family, Study
from ..training import EpochResult, Job
from ..training.jobs import Jobs
from ..training.own_code import SOURCE_FOLDER, data_code
from .family_search import FamilySearch, RunningTrial
from .observer import Observer
from .strategies import pruner, seed_of

REPEATED = {"seed": "seed", "threads": "threads", "planned_epochs": "epochs", "patience": "patience"}
"""What an interrupted trial keeps of its job, whatever the study says by now: user attribute to field."""


class Coordinator:
    """Owns a study while it runs, and is the only one to write both stores.

    Args:
        study: what to search; checked, and owned by this process.
        storage: Optuna's.
        tracker: MLflow's side.
        launcher: carries jobs to workers.
        data: the prepared images.
        weights: folder for weights under way, removed at the end.
        observer: watches.
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
        self._weights = weights
        self._observer = observer
        self._pruner = pruner(study.pruner, study.budget)
        self._jobs = Jobs(study, data)
        self._pool = Pool[RunningTrial](launcher)
        self._searches: list[FamilySearch] = []
        self._failed = 0

    def stop(self) -> None:
        """Stop proposing trials and interrupt the running ones. Safe to call from a signal handler."""
        self._pool.stop()

    def run(self) -> Outcome:
        """Search until every family's budget is spent, or `stop` is called.

        Raises:
            OptrackError: a store does not answer; running trials are queued again as far as it can be told.
        """
        self._searches = [self._open_family(family) for family in self._study.families]
        self._observer.study_opened({search.family.name: search for search in self._searches})
        complete = False
        try:
            for running, event in self._pool.events(
                self._next_trial, timeout_seconds=self._study.budget.timeout_seconds
            ):
                self._handle(running, event)
            complete = not (self._pool.stop_requested or self._pool.timed_out)
        finally:
            self._close(complete=complete)
        return Outcome(interrupted=self._pool.stop_requested, timed_out=self._pool.timed_out, failed=self._failed)

    def _open_family(self, family: Family) -> FamilySearch:
        opened = open_family(self._storage, self._study, family)
        opened.set_user_attr(STUDY_ATTRIBUTE, self._study.to_json())
        opened.set_user_attr(DATA_ATTRIBUTE, data_record(self._jobs.data))
        opened.pruner = self._pruner
        for trial in opened.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # This process owns the study, so the one that ran this trial is dead.
            self._interrupt(opened, trial.number, trial.user_attrs.get("mlflow_run"))
        run_id = self._tracker.open_family(family)
        self._tracker.log_file(run_id, names.STUDY_FILE, self._study.to_json())
        code = self._jobs.codes[family.name]
        for own in (code, data_code(self._study)):
            if own is not None:
                self._tracker.log_file(run_id, f"{SOURCE_FOLDER}/{own.file}", own.content)
        if code is not None:
            opened.set_user_attr(SOURCE_ATTRIBUTE, code.as_json())
            self._tracker.log(run_id, tags={names.SOURCE_DIGEST_TAG: code.digest})
        stored = StoredFamily.read(family.name, opened, self._study)
        return FamilySearch.of(stored, self._study, family, run_id)

    def _next_trial(self, device: str) -> RunningTrial | None:
        """Begin a trial of the family that is furthest behind; None if no family wants one."""
        wanting = [search for search in self._searches if search.wants_trial]
        if not wanting:
            return None
        search = min(wanting, key=lambda search: search.started)
        trial, values = search.ask()
        running = self._open_trial(search, trial, values, self._job(search, trial, values, device))
        search.begin(running)
        self._observer.started(running)
        return running

    def _job(self, search: FamilySearch, trial: optuna.Trial, values: Mapping[str, Any], device: str) -> Job:
        """Make the job of a trial; one that was interrupted keeps what its recorded epochs were trained with."""
        family, budget = search.family.name, self._study.budget
        seed = seed_of(self._study.seed, family, trial.number)
        job = self._jobs.job(family, trial.number, values, epochs=budget.epochs, patience=budget.patience, seed=seed)
        kept = {field: trial.user_attrs[name] for name, field in REPEATED.items() if name in trial.user_attrs}
        weights = self._weights / family / str(trial.number) / "weights.safetensors"
        return replace(job, **{"device": device, "threads": self._pool.threads, "weights": weights, **kept})

    def _open_trial(
        self, search: FamilySearch, trial: optuna.Trial, values: Mapping[str, Any], job: Job
    ) -> RunningTrial:
        """Open the trial's run in MLflow, and store in Optuna what is known of the trial before it is trained."""
        finished = search.trials(TrialState.COMPLETE)
        repeats: int | None = trial.user_attrs.get(REPLICATE_ATTRIBUTE, replicated(values, finished))
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
        reported = max(search.trials()[trial.number].intermediate_values, default=0)
        return RunningTrial(
            job=job,
            name=f"{job.family} {job.trial}" + ("" if repeats is None else f", a replicate of {repeats}"),
            values=values,
            run_id=run_id,
            logged=self._tracker.logged_epochs(run_id) if known_run else 0,
            search=search,
            trial=trial,
            reported=reported,
            granted=reported,
        )

    def _handle(self, running: RunningTrial, event: Event) -> None:
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
        running.add(result)
        # The worker goes on while MLflow writes.
        self._pool.answer(running, go_on=running.reason is None)
        if result.epoch > running.logged:
            self._tracker.log_epoch(running.run_id, result.epoch, result.metrics())
        self._observer.epoch_ended(running)

    def _end(self, running: RunningTrial, state: End) -> None:
        best, weights = running.best_epoch, running.job.weights
        metrics = {} if best is None else {**best.metrics(), "epoch": best.epoch}
        self._pool.release(running)
        if running.search.end(running, state):
            self._log_best(running, metrics)
        if weights is not None:
            weights.unlink(missing_ok=True)
        self._tracker.close_run(running.run_id, state, metrics=metrics, reason=running.reason)
        # Optuna comes last: a process that is killed before this repeats the trial, and nothing is missing anywhere.
        running.tell(state)
        self._observer.ended(running, state)

    def _log_best(self, running: RunningTrial, metrics: Mapping[str, float]) -> None:
        """Record the family's best weights and configuration; those of other trials are not kept."""
        job, code = running.job, self._jobs.codes[running.job.family]
        value, epoch = metrics[job.metric], int(metrics["epoch"])
        recipe = Recipe.of(self._study, self._jobs.data, job, code=code, value=value, epoch=epoch)
        self._tracker.log_best(
            running.search.run_id, weights=job.weights, configuration=recipe.as_json(), metrics=metrics
        )

    def _close(self, *, complete: bool) -> None:
        """End the workers, queue running trials for the next run, and leave no run of MLflow running."""
        for running in self._pool.close():
            self._interrupt(running.search.optuna_study, running.trial.number, running.run_id)
        for search in self._searches:
            self._tracker.close_run(search.run_id, "finished" if complete else "interrupted")
        shutil.rmtree(self._weights, ignore_errors=True)

    def _interrupt(self, study: optuna.Study, number: int, run_id: str | None) -> None:
        requeue(self._storage, study, number)
        if run_id is not None:
            self._tracker.close_run(run_id, "interrupted")
