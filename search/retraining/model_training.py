"""Trainings outside the search: carried to workers, recorded in MLflow, resumed after an interruption."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ..coordinator import Recording
from ..errors import TrackingError
from ..launchers import EpochEnded, Event, JobEnded, JobFailed, Work, WorkerDied
from ..stores import ModelRun, RunState, Stage, Tracker, Trial, metrics_of
from ..stores import mlflow_names as names
from ..study import EpochResult, Family
from ..training import Job
from .writing import Writing

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
        deaths: how often its worker has died.
        run_id: of its MLflow run; empty until that is open.
        logged: last epoch that an interrupted attempt recorded in MLflow; 0 for a first attempt.
    """

    plan: ModelTraining
    deaths: int
    run_id: str = ""
    logged: int = 0


Keep = Callable[[RunningTraining], Callable[[], None]]
"""Makes what is kept of a training that has succeeded, whose weights' file still exists; returns what writes it."""


@dataclass(kw_only=True)
class ModelTrainer(Recording[RunningTraining]):
    """Trains what is planned, on all workers, and writes MLflow's runs meanwhile, under those of the families."""

    tracker: Tracker
    parents: Mapping[str, str]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._runs: dict[str, ModelRun] = {}
        self._waiting = deque[ModelTraining]()
        self._writing = Writing(on_failure=self.pool.stop)
        self._unended: dict[str, RunningTraining] = {}

    def train(
        self,
        planned: Sequence[ModelTraining],
        *,
        known: Sequence[ModelRun],
        keep: Keep = lambda _: lambda: None,
    ) -> None:
        """Train all that is not finished yet, until it is and stands in MLflow, or a stop is requested.

        Args:
            planned: all trainings of one stage.
            known: the runs of that stage; finished ones are not trained again.
            keep: called when a training has succeeded; what it returns is called before its run is closed.
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
        self._writing.finish()

    def close(self) -> None:
        """End the workers, and leave no run of MLflow running, unless MLflow is away."""
        self.pool.close()
        with suppress(Exception, KeyboardInterrupt):  # `train` has raised it, unless something worse happened there
            self._writing.finish()
        with suppress(TrackingError, KeyboardInterrupt):  # the next retraining takes up what seems to be running
            for running in self._unended.values():
                if running.run_id:
                    self.tracker.close_run(running.run_id, "interrupted")

    def _start(self, plan: ModelTraining, device: str) -> RunningTraining:
        before = self._runs.get(plan.digest)
        unfinished = before if before is not None and before.state in UNFINISHED else None
        # The recorded epochs of an interrupted run were trained with as many.
        threads = (unfinished and unfinished.threads) or self.pool.threads
        job = self.placed(plan.job, plan.digest, device=device, threads=threads)
        running = RunningTraining(
            job=job, name=plan.name, values=plan.trial.params, plan=plan, deaths=unfinished.deaths if unfinished else 0
        )
        self._writing.add(partial(self._open, running, unfinished))
        self.observer.started(running)
        return running

    def _open(self, running: RunningTraining, unfinished: ModelRun | None) -> None:
        """Open the run of a training, or that of an interrupted attempt again."""
        plan = running.plan
        self._unended[plan.digest] = running
        running.run_id = self.tracker.open_model(
            self.parents[plan.family.name],
            plan.name,
            known_run=unfinished and unfinished.run_id,
            params={"architecture": plan.family.architecture, **plan.family.options, **plan.trial.params},
            tags=_tags(plan, running.job),
        )
        running.logged = self.tracker.logged_epochs(running.run_id) if unfinished else 0

    def _handle(self, running: RunningTraining, event: Event, keep: Keep) -> None:
        match event:
            case EpochEnded():
                self.record_epoch(running, event.result)
            case JobFailed():
                self._fail(running, event.reason, event.details)
            case WorkerDied():
                running.deaths += event.is_failure
                if self.requeues(running, event, running.deaths):
                    self._requeue(running)
                else:
                    self._end(running, "failed", {})
            case JobEnded() if running.divergence is not None and running.best_epoch is None:
                self._fail(running, running.divergence, running.divergence)
            case JobEnded():
                running.reason = running.divergence
                self._writing.add(keep(running))
                self._end(running, "finished", metrics_of(running.best_epoch or running.epochs[-1]))

    def _requeue(self, running: RunningTraining) -> None:
        """Have a training go on whose worker died; how often that has happened outlives this process."""

        def write() -> None:
            self.tracker.log(running.run_id, tags={names.DEATHS_TAG: str(running.deaths)})
            self.tracker.close_run(running.run_id, "interrupted")

        self._writing.add(write)
        self._writing.finish()
        self._waiting.appendleft(running.plan)
        self._runs |= {run.training: run for run in self.tracker.find(running.plan.stage)}

    def keep_epoch(self, work: RunningTraining, result: EpochResult) -> None:
        """Have the epoch written to MLflow, unless an interrupted attempt has."""

        def write() -> None:
            if result.epoch > work.logged:
                self.tracker.log_epochs(work.run_id, {result.epoch: result.metrics()})

        self._writing.add(write)

    def keep_failure(self, work: RunningTraining, details: str) -> None:
        """Have the traceback written to MLflow."""
        self._writing.add(lambda: self.tracker.log_file(work.run_id, names.FAILURE_FILE, details))

    def _fail(self, running: RunningTraining, reason: str, details: str) -> None:
        self.record_failure(running, reason, details)
        self._end(running, "failed", {})

    def _end(self, running: RunningTraining, state: RunState, metrics: Mapping[str, float]) -> None:
        self.pool.release(running)

        def write() -> None:
            self.tracker.close_run(running.run_id, state, metrics=metrics, reason=running.reason)
            del self._unended[running.plan.digest]
            self.forget(running.job.family, only=running.plan.digest)
            self.observer.ended(running, state)

        self._writing.add(write)


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
