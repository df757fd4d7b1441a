"""The loop that owns a study: ask for a configuration, dispatch it, record each epoch, prune, tell."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.trial import TrialState
from typing_extensions import override

from ...datasets import Prepared
from ..champions import Recipe
from ..launchers import EpochEnded, Event, JobEnded, JobFailed, Outcome, WorkerDied
from ..stores import (
    DATA_ATTRIBUTE,
    DEATHS_ATTRIBUTE,
    REPLICATE_ATTRIBUTE,
    SOURCE_ATTRIBUTE,
    STUDY_ATTRIBUTE,
    End,
    StoredFamily,
    WaitingStorage,
    data_record,
    open_family,
    replicated,
    requeue,
)
from ..stores import mlflow_names as names
from ..study import Family, Study
from ..training import SOURCE_FOLDER, Job, Jobs, data_code
from .family_search import FamilySearch, RunningTrial
from .recording import Recording, metrics_of
from .strategies import pruner, seed_of

REPEATED = {"seed": "seed", "threads": "threads", "planned_epochs": "epochs", "patience": "patience"}
"""What an interrupted trial keeps of its job, whatever the study says by now: user attribute to field."""


@dataclass(kw_only=True)
class Coordinator(Recording[RunningTrial]):
    """Owns a checked study while it runs, and is the only one to write both stores."""

    study: Study
    storage: WaitingStorage
    data: Prepared

    def __post_init__(self) -> None:
        super().__post_init__()
        self._pruner = pruner(self.study.pruner, self.study.budget)
        self._jobs = Jobs(self.study, self.data)
        self._searches: list[FamilySearch] = []

    @property
    @override
    def outcome(self) -> Outcome:
        return replace(super().outcome, stopped=any(search.stopped for search in self._searches))

    def run(self) -> Outcome:
        """Search until every family's budget is spent, or `stop` is called.

        Raises:
            OptrackError: a store does not answer; running trials are queued again as far as it can be told.
        """
        self._searches = [self._open_family(family) for family in self.study.families]
        self.observer.study_opened({search.family.name: search for search in self._searches})
        for search in self._searches:
            self._say_if_stopped(search)
        complete = False
        try:
            for running, event in self.pool.events(self._next_trial, timeout_seconds=self.study.budget.timeout_seconds):
                self._handle(running, event)
            complete = not (self.pool.stop_requested or self.pool.timed_out)
        finally:
            self._close(complete=complete)
        return self.outcome

    @override
    def stop(self) -> None:
        super().stop()
        self.storage.stop()

    def _open_family(self, family: Family) -> FamilySearch:
        opened = open_family(self.storage, self.study, family)
        opened.set_user_attr(STUDY_ATTRIBUTE, self.study.to_json())
        opened.set_user_attr(DATA_ATTRIBUTE, data_record(self.data))
        opened.pruner = self._pruner
        for trial in opened.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # This process owns the study, so the one that ran this trial is dead.
            self._interrupt(opened, trial.number, trial.user_attrs.get("mlflow_run"))
        run_id = self.tracker.open_family(family)
        self.tracker.log_file(run_id, names.STUDY_FILE, self.study.to_json())
        code = self._jobs.codes[family.name]
        for own in (code, data_code(self.study)):
            if own is not None:
                self.tracker.log_file(run_id, f"{SOURCE_FOLDER}/{own.file}", own.content)
        if code is not None:
            opened.set_user_attr(SOURCE_ATTRIBUTE, code.as_json())
            self.tracker.log(run_id, tags={names.SOURCE_DIGEST_TAG: code.digest})
        stored = StoredFamily.read(family.name, opened, self.study)
        return FamilySearch.of(stored, self.study, family, run_id)

    def _next_trial(self, device: str) -> RunningTrial | None:
        """Begin a trial of the family that is furthest behind; None if no family wants one."""
        wanting = [search for search in self._searches if search.wants_trial]
        if not wanting:
            return None
        search = min(wanting, key=lambda search: search.started)
        trial, values = search.ask()
        running = self._open_trial(search, trial, values, self._job(search, trial, values, device))
        search.begin(running)
        self.observer.started(running)
        return running

    def _job(self, search: FamilySearch, trial: optuna.Trial, values: Mapping[str, Any], device: str) -> Job:
        """Make the job of a trial; one that was interrupted keeps what its recorded epochs were trained with."""
        family, budget = search.family.name, self.study.budget
        seed = seed_of(self.study.seed, family, trial.number)
        job = self._jobs.job(family, trial.number, values, epochs=budget.epochs, patience=budget.patience, seed=seed)
        kept = {field: trial.user_attrs[name] for name, field in REPEATED.items() if name in trial.user_attrs}
        return replace(self.placed(job, str(trial.number), device=device, threads=self.pool.threads), **kept)

    def _open_trial(
        self, search: FamilySearch, trial: optuna.Trial, values: Mapping[str, Any], job: Job
    ) -> RunningTrial:
        """Open the trial's run in MLflow, and store in Optuna what is known of the trial before it is trained."""
        finished = search.trials(TrialState.COMPLETE)
        repeats: int | None = trial.user_attrs.get(REPLICATE_ATTRIBUTE, replicated(values, finished))
        known_run: str | None = trial.user_attrs.get("mlflow_run")
        run_id = self.tracker.open_trial(
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
            logged=self.tracker.logged_epochs(run_id) if known_run else 0,
            search=search,
            trial=trial,
            deaths=trial.user_attrs.get(DEATHS_ATTRIBUTE, 0),
            reported=reported,
            granted=reported,
        )

    def _handle(self, running: RunningTrial, event: Event) -> None:
        match event:
            case EpochEnded():
                self.record_epoch(running, event.result)
            case JobEnded():
                self._end(running, "pruned" if running.reason else "finished")
            case JobFailed():
                self.record_failure(running, event.reason, event.details)
                self._end(running, "failed")
            case WorkerDied():
                deaths = running.deaths + event.is_failure
                running.trial.set_user_attr(DEATHS_ATTRIBUTE, deaths)
                if self.requeues(running, event, deaths):
                    running.search.put_back(running)
                    requeue(self.storage, running.search.optuna_study, running.trial.number)
                else:
                    self._end(running, "failed")

    def _end(self, running: RunningTrial, state: End) -> None:
        metrics = metrics_of(running.best_epoch)
        self.pool.release(running)
        if running.search.end(running, state):
            self._log_best(running, metrics)
        self.close_run(running, state, metrics)
        # Optuna comes last: a process that is killed before this repeats the trial, and nothing is missing anywhere.
        running.tell(state)
        self.forget(running.job.family, only=str(running.job.trial))
        self.observer.ended(running, state)
        if state == "failed":
            self._say_if_stopped(running.search)

    def _say_if_stopped(self, search: FamilySearch) -> None:
        if search.stopped is not None:
            self.observer.family_stopped(search.family.name, search.stopped)

    def _log_best(self, running: RunningTrial, metrics: Mapping[str, float]) -> None:
        """Record the family's best weights and configuration; those of other trials are not kept."""
        job, code = running.job, self._jobs.codes[running.job.family]
        value, epoch = metrics[job.metric], int(metrics["epoch"])
        recipe = Recipe.of(self.study, self.data, job, code=code, value=value, epoch=epoch)
        self.tracker.log_best(
            running.search.run_id, weights=job.weights, configuration=recipe.as_json(), metrics=metrics
        )

    def _close(self, *, complete: bool) -> None:
        """End the workers, queue running trials for the next run, and leave no run of MLflow running."""
        for running in self.pool.close():
            self._interrupt(running.search.optuna_study, running.trial.number, running.run_id)
        for search in self._searches:
            self.tracker.close_run(search.run_id, "finished" if complete else "interrupted")
            waiting = {str(trial.number) for trial in search.trials(TrialState.WAITING)}
            self.forget(search.family.name, keep=waiting)

    def _interrupt(self, study: optuna.Study, number: int, run_id: str | None) -> None:
        requeue(self.storage, study, number)
        if run_id is not None:
            self.tracker.close_run(run_id, "interrupted")
