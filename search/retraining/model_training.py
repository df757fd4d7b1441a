"""Trainings outside the search: carried to workers, recorded in MLflow, resumed after an interruption."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..coordinator import Recording
from ..launchers import EpochEnded, Event, JobEnded, JobFailed, Work, WorkerDied
from ..stores import ModelRun, RunState, Stage, Tracker, Trial, metrics_of
from ..stores import mlflow_names as names
from ..study import EpochResult, Family
from ..training import Job

UNFINISHED = {"running", "interrupted"}
"""States of runs that are resumed; the owner of the study knows that none of them is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraining:
    """A planned training outside the search, of one of a configuration's seeds, from 1 on; its job has no place yet."""

    stage: Stage
    family: Family
    trial: Trial
    number: int
    job: Job

    @property
    def name(self) -> str:
        """What users see of it."""
        what = f"trial {self.trial.number} again" if self.stage == "confirm" else "retrained"
        return f"{self.family.name}, {what}, seed {self.number}"

    @property
    def digest(self) -> str:
        """A hash of all that the result depends on, except for how the number of threads rounds."""
        return self.job.digest(stage=self.stage)


@dataclass(slots=True, kw_only=True)
class RunningTraining(Work):
    """A planned training under way.

    Args:
        plan: of it.
        run_id: of its MLflow run.
        logged: last epoch that an interrupted attempt recorded in MLflow; 0 for a first attempt.
    """

    plan: ModelTraining
    run_id: str
    logged: int


@dataclass(kw_only=True)
class ModelTrainer(Recording[RunningTraining]):
    """Trains what is planned, on all workers, and writes MLflow's runs meanwhile, under those of the families."""

    tracker: Tracker
    parents: Mapping[str, str]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._runs: dict[str, ModelRun] = {}
        self._waiting = deque[ModelTraining]()
        self._deaths = Counter[str]()

    def train(
        self,
        planned: Sequence[ModelTraining],
        *,
        known: Sequence[ModelRun],
        keep: Callable[[RunningTraining], None] = lambda _: None,
    ) -> None:
        """Train all that is not finished yet, until it is or a stop is requested.

        Args:
            planned: all trainings of one stage.
            known: the runs of that stage; finished ones are not trained again.
            keep: called when a training has succeeded, before its run is closed; the weights' file still exists.
        """
        self._runs = {run.training: run for run in known}
        for training in planned:
            before = self._runs.get(training.digest)
            if before is not None and before.trial != training.trial.number:
                # The candidate is now a replicate of that trial; what its configuration has trained belongs to it.
                now = _tags(training, training.job)
                self.tracker.log(before.run_id, tags={name: now[name] for name in (names.TRIAL_TAG, names.VALUE_TAG)})
        finished = {run.training for run in known if run.state == "finished"}
        self._waiting = waiting = deque(item for item in planned if item.digest not in finished)
        if planned:
            jobs = [training.job for training in waiting]
            self.observer.trainings_planned(planned[0].stage, jobs, len(planned) - len(jobs))

        def next_training(device: str) -> RunningTraining | None:
            return self._start(waiting.popleft(), device) if waiting else None

        for running, event in self.pool.events(next_training):
            self._handle(running, event, keep)

    def close(self) -> None:
        """End the workers, and leave no run of MLflow running."""
        for running in self.pool.close():
            self.tracker.close_run(running.run_id, "interrupted")

    def _start(self, plan: ModelTraining, device: str) -> RunningTraining:
        before = self._runs.get(plan.digest)
        unfinished = before if before is not None and before.state in UNFINISHED else None
        # The recorded epochs of an interrupted run were trained with as many.
        threads = (unfinished and unfinished.threads) or self.pool.threads
        job = self.placed(plan.job, plan.digest, device=device, threads=threads)
        run_id = self.tracker.open_model(
            self.parents[plan.family.name],
            plan.name,
            known_run=unfinished and unfinished.run_id,
            params={"architecture": plan.family.architecture, **plan.family.options, **plan.trial.params},
            tags=_tags(plan, job),
        )
        running = RunningTraining(
            job=job,
            name=plan.name,
            values=plan.trial.params,
            run_id=run_id,
            logged=self.tracker.logged_epochs(run_id) if unfinished else 0,
            plan=plan,
        )
        self.observer.started(running)
        return running

    def _handle(self, running: RunningTraining, event: Event, keep: Callable[[RunningTraining], None]) -> None:
        match event:
            case EpochEnded():
                self.record_epoch(running, event.result)
            case JobFailed():
                self._fail(running, event.reason, event.details)
            case WorkerDied():
                self._deaths[running.plan.digest] += event.is_failure
                if self.requeues(running, event, self._deaths[running.plan.digest]):
                    self.tracker.close_run(running.run_id, "interrupted")
                    self._waiting.appendleft(running.plan)
                    self._runs |= {run.training: run for run in self.tracker.find(running.plan.stage)}
                else:
                    self._end(running, "failed", {})
            case JobEnded() if running.divergence is not None and running.best_epoch is None:
                self._fail(running, running.divergence, running.divergence)
            case JobEnded():
                keep(running)
                self._end(running, "finished", metrics_of(running.best_epoch or running.epochs[-1]))

    def keep_epoch(self, work: RunningTraining, result: EpochResult) -> None:
        """Write the epoch to MLflow, unless an interrupted attempt has."""
        if result.epoch > work.logged:
            self.tracker.log_epochs(work.run_id, {result.epoch: result.metrics()})

    def keep_failure(self, work: RunningTraining, details: str) -> None:
        """Write the traceback to MLflow."""
        self.tracker.log_file(work.run_id, names.FAILURE_FILE, details)

    def _fail(self, running: RunningTraining, reason: str, details: str) -> None:
        self.record_failure(running, reason, details)
        self._end(running, "failed", {})

    def _end(self, running: RunningTraining, state: RunState, metrics: Mapping[str, float]) -> None:
        self.pool.release(running)
        self.tracker.close_run(running.run_id, state, metrics=metrics, reason=running.reason)
        self.forget(running.job.family, only=running.plan.digest)
        self.observer.ended(running, state)


def _tags(plan: ModelTraining, job: Job) -> dict[str, str]:
    return {
        names.STAGE_TAG: plan.stage,
        names.FAMILY_TAG: plan.family.name,
        names.TRIAL_TAG: str(plan.trial.number),
        names.VALUE_TAG: repr(plan.trial.value),
        names.NUMBER_TAG: str(plan.number),
        names.TRAINING_TAG: plan.digest,
        names.SEED_TAG: str(job.seed),
        names.DEVICE_TAG: job.device,
        names.THREADS_TAG: str(job.threads),
    }
