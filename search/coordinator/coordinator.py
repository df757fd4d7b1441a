"""The loop that owns a study: ask for a configuration, dispatch it, record each epoch, prune, tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.trial import TrialState
from typing_extensions import override

from ...datasets import Prepared
from ..champions import Recipe
from ..launchers import EpochEnded, Event, JobEnded, JobFailed, Outcome, WorkerDied
from ..mirror import BestTrial, LiveMirror, environment
from ..stores import (
    DATA_RECORD,
    DEATHS_ATTRIBUTE,
    ENVIRONMENT_RECORD,
    FAILURE_RECORD,
    FILES_RECORD,
    MEMBERS_RECORD,
    PLANNED_ATTRIBUTE,
    REPLICATE_ATTRIBUTE,
    SOURCE_RECORD,
    STATE_RECORD,
    STUDY_RECORD,
    End,
    Records,
    StoredFamily,
    WaitingStorage,
    data_record,
    metrics_of,
    open_family,
    replicated,
    requeue,
)
from ..stores import mlflow_names as names
from ..study import EpochResult, Family, Study
from ..training import SOURCE_FOLDER, Job, Jobs, data_code
from .family_search import FamilySearch, RunningTrial
from .recording import Recording
from .strategies import pruner, seed_of

REPEATED = {"seed": "seed", "threads": "threads", PLANNED_ATTRIBUTE: "epochs", "patience": "patience"}
"""What an interrupted trial keeps of its job, whatever the study says by now: user attribute to field."""


@dataclass(kw_only=True)
class Coordinator(Recording[RunningTrial]):
    """Owns a checked study while it runs, and alone writes Optuna's storage; `mirror` writes MLflow's runs.

    Args:
        study: with the families that are searched.
        members: the names of all that it has.
        also_mirrored: the names of stored families that are not searched, whose runs are made equal all the same.
        storage: Optuna's.
        data: the images.
        best: where the best weights are kept.
        mirror: not started yet.
    """

    study: Study
    storage: WaitingStorage
    data: Prepared
    best: BestTrial
    mirror: LiveMirror
    members: Sequence[str]
    also_mirrored: Sequence[str] = ()

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
        self.mirror.start([*(search.family.name for search in self._searches), *self.also_mirrored])
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
        records = Records.of(self.storage, opened.study_name)
        records.identify()
        code = self._jobs.codes[family.name]
        own_code = [each for each in (code, data_code(self.study)) if each is not None]
        records.write(
            {
                STUDY_RECORD: self.study.to_json(),
                DATA_RECORD: data_record(self.data),
                FILES_RECORD: {f"{SOURCE_FOLDER}/{own.file}": own.text for own in own_code},
                ENVIRONMENT_RECORD: environment() | ({names.SOURCE_DIGEST_TAG: code.digest} if code else {}),
                **({SOURCE_RECORD: code.as_json()} if code else {}),
                STATE_RECORD: "running",
                MEMBERS_RECORD: list(self.members),
            }
        )
        for trial in opened.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # This process owns the study, so the one that ran this trial is dead.
            requeue(self.storage, opened, trial.number)
        stored = StoredFamily.read(opened, records.read())
        stored.optuna_study.pruner = self._pruner
        if stored.best is not None:  # a process may have died before it removed the one before
            self.best.drop_others(family.name, stored.best.number, *stored.best_apart)
        return FamilySearch.of(stored, self.study, family, records)

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
        """Store what is known of a trial before it is trained."""
        finished = search.trials(TrialState.COMPLETE)
        repeats: int | None = trial.user_attrs.get(REPLICATE_ATTRIBUTE, replicated(values, finished))
        if repeats is not None:
            trial.set_user_attr(REPLICATE_ATTRIBUTE, repeats)
        for name, field in REPEATED.items():
            trial.set_user_attr(name, getattr(job, field))
        trial.set_user_attr("device", job.device)
        self.mirror.changed(job.family, job.trial)
        [stored] = [each for each in search.trials(TrialState.RUNNING) if each.number == trial.number]
        reported = max(stored.intermediate_values, default=0)
        return RunningTrial(
            job=job,
            name=f"{job.family} {job.trial}" + ("" if repeats is None else f", a replicate of {repeats}"),
            values=values,
            search=search,
            trial=trial,
            deaths=trial.user_attrs.get(DEATHS_ATTRIBUTE, 0),
            reported=reported,
            granted=reported,
        )

    def keep_epoch(self, work: RunningTrial, result: EpochResult) -> None:  # noqa: ARG002 - the trial has stored it
        """Have the epoch written to MLflow."""
        self.mirror.changed(work.job.family, work.job.trial)

    def keep_failure(self, work: RunningTrial, details: str) -> None:
        """Keep the traceback with the trial."""
        work.search.records.write({FAILURE_RECORD: details}, work.job.trial)

    def _handle(self, running: RunningTrial, event: Event) -> None:
        match event:
            case EpochEnded():
                self.record_epoch(running, event.result)
            case JobEnded():
                self._end(running, "pruned" if running.is_cut_off else "finished")
            case JobFailed():
                self.record_failure(running, event.reason, event.details)
                self._end(running, "failed")
            case WorkerDied():
                deaths = running.deaths + event.is_failure
                running.trial.set_user_attr(DEATHS_ATTRIBUTE, deaths)
                if self.requeues(running, event, deaths):
                    running.search.put_back(running)
                    requeue(self.storage, running.search.optuna_study, running.trial.number)
                    self.mirror.changed(running.job.family, running.job.trial)
                else:
                    self._end(running, "failed")

    def _end(self, running: RunningTrial, state: End) -> None:
        job, is_best = running.job, running.search.end(running, state)
        self.pool.release(running)
        if is_best:
            self._keep_best(running)
        # The state comes last: a process that is killed before this repeats the trial, and nothing is missing.
        running.tell(state)
        if is_best:
            self.best.drop_others(job.family, job.trial, *running.search.best_apart)
            self.mirror.changed(job.family)
        self.mirror.changed(job.family, job.trial)
        self.forget(job.family, only=str(job.trial))
        self.observer.ended(running, state)
        if state == "failed":
            self._say_if_stopped(running.search)

    def _say_if_stopped(self, search: FamilySearch) -> None:
        if search.stopped is not None:
            self.observer.family_stopped(search.family.name, search.stopped)

    def _keep_best(self, running: RunningTrial) -> None:
        """Keep the weights and the configuration of the family's best trial; those of other trials are not kept."""
        job, code, metrics = running.job, self._jobs.codes[running.job.family], metrics_of(running.best_epoch)
        recipe = Recipe.of(
            self.study, self.data, job, code=code, value=metrics[job.metric], epoch=int(metrics["epoch"])
        )
        self.best.keep(job.family, job.trial, weights=job.weights, configuration=recipe.as_json())

    def _close(self, *, complete: bool) -> None:
        """End the workers, queue running trials for the next run, and leave no run of MLflow running."""
        for running in self.pool.close():
            requeue(self.storage, running.search.optuna_study, running.trial.number)
            self.mirror.changed(running.job.family, running.job.trial)
        for search in self._searches:
            search.records.write({STATE_RECORD: "finished" if complete else "interrupted"})
            self.mirror.changed(search.family.name)
            waiting = {str(trial.number) for trial in search.trials(TrialState.WAITING)}
            self.forget(search.family.name, keep=waiting)
        self.mirror.close(lambda: self.pool.stop_requested)
